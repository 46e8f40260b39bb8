/* SPDX-License-Identifier: Apache-2.0 */
#include "base/data.h"

#include <limits.h>

#include "base/file.h"

/* What makes a folder a data folder. */
static const char marker[] = "configs/catalogue.yaml";

static bool is_data_folder(const char *dir)
{
	return access(path_join(dir, marker), R_OK) == 0;
}

/* The folder above the one the program lies in, on the arena: the source tree or the prefix it is installed under.
 * NULL when /proc does not tell. */
static const char *folder_above(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	return path_dir(path_dir(exe));
}

static int data_folder(const char **ret, struct err *e)
{
	const char *env = getenv("PIBUILD_DATA"), *above, *share;
	char real[PATH_MAX];

	if (env && *env) {
		if (!is_data_folder(env) || !realpath(env, real))
			return err_class(e, CLASS_HOST,
					 "PIBUILD_DATA: %s has no %s; point it at pibuild's data folder or unset it",
					 env, marker);
		*ret = arena_strdup(real);
		return 0;
	}
	above = folder_above();
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
