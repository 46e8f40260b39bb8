/* SPDX-License-Identifier: Apache-2.0 */
#include "status/identity.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "disk/unfinished.h"
#include "image/image.h"

enum { WORD_LIMIT = 4096 };
static const char release[] = "/etc/pibuild/release.json";

/* A card may be anybody's, and names of nodes and clusters are ASCII: the rest commands terminals or is no UTF-8. */
static const char *safe_name(const char *text)
{
	char *name = arena_printf("%.64s", text);

	for (char *s = name; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
	return name;
}

static const char *identity_member(const json_t *j, const char *name)
{
	return safe_name(json_get_text(j, name));
}

bool card_is_unfinished(int fd, struct card_identity *ret)
{
	char mark[UNFINISHED_MAX], name[UNFINISHED_MAX];

	if (pread_all(fd, mark, sizeof(mark), UNFINISHED_AT) < 0 || !unfinished_read(mark, name))
		return false;
	*ret = (struct card_identity){ .state = CARD_UNFINISHED, .node = safe_name(name), .cluster = "", .role = "" };
	return true;
}

/* The file's only line is WORD. */
static bool file_says(struct ext4 *root, const char *path, const char *word)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct err ignored = { 0 };

	return ext4_read(root, path, WORD_LIMIT, &text, &ignored) == 0 && text.n &&
	       streq(text.s, arena_printf("%s\n", word));
}

/* "members cp-1=control-plane w-1=worker" of the node's facts (node/facts.c) */
static bool is_only_server(struct ext4 *root)
{
	static const char members[] = "\nmembers ", server[] = "=control-plane";
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct err ignored = { 0 };
	const char *at, *end;
	unsigned servers = 0;

	if (ext4_read(root, "/etc/pibuild/node", RELEASE_LIMIT, &text, &ignored) < 0 || !text.n)
		return false;
	at = strstr(text.s, members);
	end = at ? strchrnul(at + 1, '\n') : NULL;
	while (at && (at = strstr(at + 1, server)) && at < end)
		servers++;
	return servers == 1;
}

/* The node has a data disk for all of K3s's (node/data_disk.c). */
static bool keeps_state_elsewhere(struct ext4 *root)
{
	_cleanup_strbuf_ struct strbuf text = { 0 };
	struct err ignored = { 0 };

	return ext4_read(root, "/etc/pibuild/data", WORD_LIMIT, &text, &ignored) == 0 && text.n &&
	       strstr(text.s, "\nmount /var/lib/rancher\n");
}

/* The text of J's member "born", an object; NULL without one. */
static const char *born_text(const json_t *j)
{
	const json_t *born = json_object_get(j, "born");
	_cleanup_free_ char *text = json_is_object(born) ? json_dumps(born, JSON_COMPACT) : NULL;

	return text ? arena_strdup(text) : NULL;
}

static void read_release(int fd, const char *path, struct card_identity *ret)
{
	_cleanup_(image_close) struct disk_image m = { 0 };
	_cleanup_strbuf_ struct strbuf text = { 0 };
	_cleanup_json_ json_t *j = NULL;
	struct err ignored = { 0 };

	if (image_open_direct(fd, path, &m, &ignored) < 0 ||
	    image_open_fs(&m, IMAGE_ROOT | IMAGE_LOOK, 1, &ignored) < 0 ||
	    ext4_read(m.root, release, RELEASE_LIMIT, &text, &ignored) < 0)
		return;
	j = json_loadb(text.s, text.n, 0, NULL);
	if (json_is_string(json_object_get(j, "node")))
		*ret = (struct card_identity){
			CARD_NODE,
			identity_member(j, "node"),
			identity_member(j, "cluster"),
			identity_member(j, "role"),
			/* systemd puts the machine's own there at its first boot: machine-id(5). */
			!file_says(m.root, "/etc/machine-id", "uninitialized"),
			file_says(m.root, "/etc/pibuild/birth", "yes"),
			is_only_server(m.root) && !keeps_state_elsewhere(m.root),
			born_text(j),
		};
}

void card_identify(const char *path, struct card_identity *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*ret = (struct card_identity){ .state = CARD_OTHER, .node = "", .cluster = "", .role = "" };
	if (fd < 0)
		ret->state = errno == EACCES || errno == EPERM ? CARD_CLOSED : CARD_OTHER;
	else if (!card_is_unfinished(fd, ret))
		read_release(fd, path, ret);
}
