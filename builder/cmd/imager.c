/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A manifest for Raspberry Pi Imager, so that cards are written on Windows and macOS too: its devices are the nodes,
 * each with one image, so that no wrong one can be chosen. Form: rpi-imager's doc/json-schema/os-list-schema.json; what
 * it makes of entries: src/oslistmodel.cpp, src/hwlistmodel.cpp, src/downloadthread.cpp (version 2.0).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "companion/companion.h"

static struct {
	const char *dir, *base_url;
} imager_opt;

static const struct option imager_options[] = {
	CMD_OWN("dir", OPT_TEXT, &imager_opt.dir, "PATH",
		"the folder of the images as the other computer sees it: 'C:\\homelab\\out'"),
	CMD_OWN("base-url", OPT_TEXT, &imager_opt.base_url, "URL",
		"where the other computer downloads the images instead"),
};

struct imager {
	const struct cmd_options *o;
	const struct config *config;
	const char *url; /* what every image's begins with, without the last slash */
	json_t *devices, *systems;
};

/* One of Imager's own pictures: needs no network and no file. */
static const char picture[] = "icons/cat_raspberry_pi_os.png";

/* ---- where the images are ---- */

static bool has_drive(const char *path)
{
	return ((path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z')) && path[1] == ':' &&
	       (path[2] == '\\' || path[2] == '/');
}

/* "file:///C:/homelab/out" of 'C:\homelab\out', "file://nas/out" of '\\nas\out'; NULL when PATH is not a whole one. */
static const char *folder_url(const char *path)
{
	char *slashes = arena_strdup(path);
	const char *scheme;

	if (has_drive(path) || starts_with(path, "\\\\"))
		for (char *p = slashes; (p = strchr(p, '\\'));)
			*p = '/';
	if (slashes[0] != '/' && !has_drive(slashes))
		return NULL;
	for (size_t n = strlen(slashes); n > 1 && slashes[n - 1] == '/'; n--)
		slashes[n - 1] = '\0';
	scheme = has_drive(slashes) ? "file:///" : starts_with(slashes, "//") ? "file:" : "file://";
	return arena_printf("%s%s", scheme, percent_encoded(slashes, "/:" UNRESERVED));
}

/* X->url */
static int images_at(struct imager *x, struct err *e)
{
	const struct cmd_options *o = x->o;
	const char *path = imager_opt.dir, *url = imager_opt.base_url;
	char real[PATH_MAX];

	if (path && url)
		return err_class(e, CLASS_USAGE,
				 "--dir and --base-url exclude each other: the images are files there, or downloaded");
	if (url && !starts_with(url, "https://") && !starts_with(url, "http://"))
		return err_class(e, CLASS_USAGE,
				 "--base-url %s: an address that begins with https:// or http:// was expected here",
				 url);
	if (url) {
		x->url = ends_with(url, "/") ? arena_strndup(url, strlen(url) - 1) : url;
		return 0;
	}
	if (!path && !realpath(o->out, real))
		return err_class(e, CLASS_USAGE,
				 "cannot look at %s: %s; run `pibuild build` first, or give the images' folder with -o",
				 o->out, strerror(errno));
	x->url = folder_url(path ? path : real);
	return x->url ? 0
		      : err_class(
				e, CLASS_USAGE,
				"--dir %s: a whole path was expected here, such as 'C:\\homelab\\out' or /Users/me/out",
				path);
}

/* ---- one image ---- */

struct image_facts {
	uint64_t size, raw_size; /* of the file, and decompressed */
	char raw_sha256[SHA256_HEX];
	int64_t time; /* of the build */
};

static int hash_piece(void *arg, const void *data, size_t n, uint64_t offset)
{
	sha256_update(arg, data, n);
	return 0;
}

static int hash_raw(int fd, const char *path, struct image_facts *ret, struct err *e)
{
	_cleanup_(sha256_done) struct sha256 s;
	struct decode d = { .in = fd, .name = path, .write = hash_piece, .write_arg = &s };
	int r;

	sha256_init(&s);
	r = decode_image(&d, e);
	if (r < 0)
		return r;
	sha256_final(&s, ret->raw_sha256);
	ret->raw_size = d.size;
	return 0;
}

/* Class CONFIG when the image is another's: Imager would write it onto this node's card. */
static int imager_check_manifest(const char *image, const struct config *c, const struct node_config *n,
				 int64_t *ret_time, struct err *e)
{
	const char *path = companion_path(image, COMPANION_MANIFEST), *cluster, *node;
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *j = NULL;
	size_t size = 0;
	int r = file_read(path, MANIFEST_LIMIT, &text, &size, e);

	if (r < 0 && r != -ENOENT)
		return r;
	j = r < 0 ? NULL : json_loadb(text, size, 0, NULL);
	cluster = json_get_text(j, "cluster");
	node = json_get_text(j, "node");
	if (!j)
		return err_class(e, CLASS_CONFIG,
				 "%s, which says whose image %s is, is missing or damaged: build the image again", path,
				 image);
	if (!streq(cluster, c->cluster.name) || !streq(node, n->name))
		return err_class(e, CLASS_CONFIG, "%s is the image of '%s' in the cluster '%s': build it again from %s",
				 image, node, cluster, c->path);
	*ret_time = (int64_t)json_integer_value(json_object_get(j, "time"));
	return 0;
}

static int look_at(const char *image, const struct config *c, const struct node_config *n, struct image_facts *ret,
		   struct err *e)
{
	_cleanup_close_ int fd = open(image, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read %s", image);
	ret->size = (uint64_t)st.st_size;
	r = imager_check_manifest(image, c, n, &ret->time, e);
	return r < 0 ? r : hash_raw(fd, image, ret, e);
}

/* ---- the manifest ---- */

static const char *about(const struct node_config *n)
{
	return arena_printf("%s, %s, %s", role_names[n->role], n->board,
			    n->address.set ? ipv4_text(n->address.addr, (char[IPV4_TEXT]){ 0 }) : "DHCP");
}

static json_t *device(const struct node_config *n)
{
	return json_pack("{s:s, s:s, s:s, s:[s], s:s, s:s}", "name", n->name, "description", about(n), "icon", picture,
			 "tags", n->name, "matching_type", "exclusive", "architecture", "armv8");
}

static json_t *system_of(const struct imager *x, const struct node_config *n, const char *image,
			 const struct image_facts *f)
{
	const char *name = percent_encoded(path_base(image), UNRESERVED);

	return json_pack("{s:o, s:s, s:s, s:o, s:I, s:s, s:I, s:o, s:[s], s:s}", "name",
			 json_sprintf("%s of %s", n->name, x->config->cluster.name), "description", about(n), "icon",
			 picture, "url", json_sprintf("%s/%s", x->url, name), "extract_size", (json_int_t)f->raw_size,
			 "extract_sha256", f->raw_sha256, "image_download_size", (json_int_t)f->size, "release_date",
			 json_sprintf("%.10s", utc_text(f->time)), "devices", n->name, "init_format", "none");
}

static int add_node(const struct imager *x, const struct node_config *n, struct err *e)
{
	const char *out = x->o->out, *image = image_find(path_join(out, n->name));
	struct image_facts facts;
	int r;

	if (!image) {
		log_warning("%s has no image in %s and is left out: `pibuild build --node %s` makes it", n->name, out,
			    n->name);
		return 0;
	}
	log_info("reading %s", image);
	r = look_at(image, x->config, n, &facts, e);
	if (r < 0)
		return r;
	json_array_append_new(x->devices, device(n));
	json_array_append_new(x->systems, system_of(x, n, image, &facts));
	return 0;
}

static int cmd_imager(const struct cmd_options *o, struct err *e)
{
	struct imager x = { .o = o, .devices = json_array(), .systems = json_array() };
	_cleanup_json_ json_t *manifest = json_pack("{s:{s:o}, s:o}", "imager", "devices", x.devices, "os_list",
						    x.systems);
	struct config *c;
	_cleanup_strbuf_ struct strbuf text = { 0 };
	const char *path;
	int r = cmd_args(o, 0, 0, "imager [--dir PATH | --base-url URL] [-o DIR]", e);
	if (r < 0)
		return r;
	r = cmd_load_config(o, &c, e);
	if (r < 0)
		return r;
	x.config = c;
	r = images_at(&x, e);
	for (size_t i = 0; r == 0 && i < c->nodes.n; i++)
		r = add_node(&x, &c->nodes.v[i], e);
	if (r < 0)
		return r;
	if (!json_array_size(x.systems))
		return err_class(e, CLASS_USAGE,
				 "no node of %s has an image in %s: run `pibuild build --compress xz` first", c->path,
				 o->out);
	path = path_join(o->out, arena_printf("%s.rpi-imager-manifest", c->cluster.name));
	r = json_add(json_incref(manifest), &text, e);
	if (r == 0)
		r = file_publish(path, text.s, text.n, 0644, e);
	if (r < 0)
		return r;
	printf("%s\n", path);
	log_info("the images hold the keys of the cluster: whoever has them can be its administrator");
	if (imager_opt.base_url)
		log_warning(
			"Raspberry Pi Imager keeps what it downloads in its cache on that computer, keys included: empty it afterwards (App Options), or use files");
	cmd_next(
		o,
		"open it with Raspberry Pi Imager 2.0 or later on that computer (double-click, or `rpi-imager --repo FILE`), and choose the node as the device");
	return 0;
}

const struct command imager_command = {
	.name = "imager",
	.args = "",
	.help = "a manifest for Raspberry Pi Imager: cards written on Windows or macOS",
	.run = cmd_imager,
	.options = imager_options,
	.n_options = ARRAY_SIZE(imager_options),
	.common = "config out",
	.examples = { "pibuild imager --dir 'C:\\homelab\\out'", "pibuild imager --base-url https://nas.lan/homelab" },
};
