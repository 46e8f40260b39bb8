/* SPDX-License-Identifier: Apache-2.0 */
#include "download/login.h"

#include <errno.h>

#include "base/file.h"
#include "base/json.h"

enum { LOGIN_LIMIT = 1024 * 1024, MAX_LOGIN = 16 * 1024 };

static void add_below(struct text_list *f, const char *variable, const char *home, const char *name)
{
	const char *dir = getenv(variable);

	if (dir && *dir)
		*vec_push(f) = path_join(dir, name);
	else if (home && getenv("HOME"))
		*vec_push(f) = path_join(path_join(getenv("HOME"), home), name);
}

static struct text_list login_files(void)
{
	const char *given = getenv("REGISTRY_AUTH_FILE");
	struct text_list f = { 0 };

	if (given && *given) {
		*vec_push(&f) = given;
		return f;
	}
	add_below(&f, "XDG_RUNTIME_DIR", NULL, "containers/auth.json");
	add_below(&f, "XDG_CONFIG_HOME", ".config", "containers/auth.json");
	add_below(&f, "DOCKER_CONFIG", ".docker", "config.json");
	return f;
}

/* Base64, which is all that can stand in the header. */
static bool is_login(const char *s)
{
	size_t n = strlen(s);

	return n && n <= MAX_LOGIN &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == n;
}

static const json_t *entry_of(const json_t *auths, const char *key)
{
	const json_t *x = json_object_get(auths, key);

	if (!x)
		x = json_object_get(auths, streq(key, "docker.io") ? "https://index.docker.io/v1/"
								   : arena_printf("https://%s", key));
	return x;
}

static void look_in(const json_t *j, const char *file, const char *host, const char *repository, struct login *ret)
{
	char *key = arena_printf("%s/%s", host, repository), *slash;
	const char *text;

	for (;;) {
		text = json_get_text(entry_of(json_object_get(j, "auths"), key), "auth");
		if (is_login(text))
			*ret = (struct login){ arena_printf("Basic %s", text), file, "" };
		slash = strrchr(key, '/');
		if (ret->authorization || !slash)
			break;
		*slash = '\0';
	}
	if (!ret->authorization &&
	    (json_object_get(json_object_get(j, "credHelpers"), host) || *json_get_text(j, "credsStore")))
		ret->why_none = arena_printf(
			"; %s leaves logins to a helper program, which is not asked: `skopeo login %s` keeps one in a file of its own",
			file, host);
}

static int login_read(const char *file, json_t **ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read(file, LOGIN_LIMIT, &text, &n, e);

	if (r < 0)
		return r;
	*ret = json_loadb(text, n, 0, NULL);
	if (!json_is_object(*ret))
		return err_class(e, CLASS_CONFIG, "%s is no file of logins to registries: it is no JSON object", file);
	return 0;
}

int login_find(const char *host, const char *repository, struct login *ret, struct err *e)
{
	const struct text_list files = login_files();

	/* Docker's registry has another host than the name that its logins are kept under. */
	if (streq(host, "registry-1.docker.io"))
		host = "docker.io";
	*ret = (struct login){ .why_none = arena_printf("; log in with `skopeo login %s`, or podman or docker", host) };
	vec_foreach (file, &files) {
		_cleanup_json_ json_t *j = NULL;
		int r = login_read(*file, &j, e);

		if (r < 0 && r != -ENOENT)
			return r;
		*e = (struct err){ 0 };
		look_in(j, *file, host, repository, ret);
		if (ret->authorization)
			break;
	}
	return 0;
}
