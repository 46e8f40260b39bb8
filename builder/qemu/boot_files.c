/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware would boot, as far as QEMU needs it: the kernel, its initramfs and the command line. Names come
 * from config.txt where it says so for every board, else they are those of Raspberry Pi OS.
 */
#include <ctype.h>
#include <errno.h>

#include "base/file.h"
#include "qemu/internal.h"

enum { TEXT_LIMIT = 1024 * 1024 };

struct boot_names {
	const char *kernel, *initramfs;
};

/* "kernel=NAME" and "initramfs NAME followkernel", outside of sections or under [all]. */
static struct boot_names read_config(char *text)
{
	struct boot_names names = { "kernel8.img", "initramfs8" };
	bool for_all = true;
	char *end;

	text_foreach (s, text, "\r\n") {
		s += strspn(s, " \t");
		end = s + strlen(s);
		while (end > s && isspace((unsigned char)end[-1]))
			*--end = '\0';
		if (*s == '[')
			for_all = streq(s, "[all]");
		else if (for_all && starts_with(s, "kernel="))
			names.kernel = arena_strdup(s + strlen("kernel="));
		else if (for_all && starts_with(s, "initramfs "))
			names.initramfs = arena_strndup(s + strlen("initramfs "),
							strcspn(s + strlen("initramfs "), " \t"));
	}
	return names;
}

static int read_names(struct fat *boot, struct boot_names *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf config = { 0 };
	int r = fat_read(boot, "config.txt", TEXT_LIMIT, &config, e);

	if (r == -ENOENT && e->class == CLASS_FAILED) {
		strbuf_adds(&config, "");
		*e = (struct err){ 0 };
		r = 0;
	}
	if (r < 0)
		return r;
	*ret = read_config(config.s);
	return 0;
}

int boot_files_extract(struct fat *boot, const char *dir, struct boot_files *ret, struct err *e)
{
	_cleanup_strbuf_ struct strbuf cmdline = { 0 };
	struct boot_names names = { 0 };
	int r = read_names(boot, &names, e);

	if (r < 0)
		return r;
	r = fat_read(boot, "cmdline.txt", TEXT_LIMIT, &cmdline, e);
	if (r < 0)
		return r;
	ret->cmdline = arena_strndup(cmdline.s, strcspn(cmdline.s, "\r\n"));
	ret->kernel_name = clean_copy(names.kernel);
	ret->kernel = path_join(dir, "kernel");
	r = fat_extract(boot, names.kernel, ret->kernel, e);
	if (r < 0)
		return r;
	ret->initramfs = path_join(dir, "initramfs");
	r = fat_extract(boot, names.initramfs, ret->initramfs, e);
	if (r == -ENOENT && e->class == CLASS_FAILED) {
		ret->initramfs = NULL;
		*e = (struct err){ 0 };
		r = 0;
	}
	return r;
}

const char *cmdline_for_virt(const char *line, bool closed, const char *more)
{
	_cleanup_free_ char *words = xstrdup(line);
	_cleanup_strbuf_ struct strbuf out = { 0 };

	text_foreach (s, words, " \t")
		if (!starts_with(s, "console="))
			strbuf_addf(&out, "%s ", s);
	if (closed)
		strbuf_adds(&out, "pibuild.network=closed ");
	if (more)
		strbuf_addf(&out, "%s ", more);
	strbuf_adds(&out, "console=tty1 console=ttyAMA0");
	return arena_strdup(out.s);
}
