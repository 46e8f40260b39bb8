/* SPDX-License-Identifier: Apache-2.0 */
#include "base/data.h"

#include <errno.h>
#include <limits.h>

#include "base/file.h"

/* What makes a folder a data folder. */
static const char marker[] = "configs/catalogue.yaml";

static bool is_data_folder(const char *dir)
{
	return !file_is_missing(path_join(dir, marker));
}

/* The folder above the one the program lies in, on the arena: the source tree or the prefix it is installed under.
 * NULL where there is no /proc to tell. */
static int folder_above(const char **ret, struct err *e)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	*ret = NULL;
	if (n < 0 && errno != ENOENT)
		return err_machine(e, -errno, "cannot tell from /proc/self/exe where pibuild's data are");
	if (n <= 0)
		return 0;
	exe[n] = '\0';
	*ret = path_dir(path_dir(exe));
	return 0;
}

static int data_folder(const char **ret, struct err *e)
{
	const char *env = getenv("PIBUILD_DATA"), *above, *share;
	char real[PATH_MAX];
	int r;

	if (env && *env) {
		if (!is_data_folder(env))
			return err_class(e, CLASS_HOST,
					 "PIBUILD_DATA: %s has no %s; point it at pibuild's data folder or unset it",
					 env, marker);
		if (!realpath(env, real))
			return err_machine(e, -errno, "PIBUILD_DATA: cannot follow %s", env);
		*ret = arena_strdup(real);
		return 0;
	}
	r = folder_above(&above, e);
	if (r < 0)
		return r;
	if (above && is_data_folder(above)) {
		*ret = above;
		return 0;
	}
	/* Where `make install` puts it. PIBUILD_DATADIR is the PREFIX of the compile, not that of the install. */
	share = above ? path_join(above, "share/pibuild") : NULL;
	if (share && is_data_folder(share)) {
		*ret = share;
		return 0;
	}
	if (is_data_folder(PIBUILD_DATADIR)) {
		*ret = PIBUILD_DATADIR;
		return 0;
	}
	return err_class(e, CLASS_HOST,
			 "pibuild's data folder is missing: no %s/%s; install pibuild again, or set PIBUILD_DATA",
			 PIBUILD_DATADIR, marker);
}

int data_path(const char *name, const char **ret, struct err *e)
{
	const char *dir;
	int r = data_folder(&dir, e);

	if (r < 0)
		return r;
	*ret = path_join(dir, name);
	return 0;
}
