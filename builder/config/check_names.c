/* SPDX-License-Identifier: Apache-2.0 */
/* Names of cluster.yaml that must exist in the base: a name that does not is a link to nothing, which no program says.
 */
#include "config/check.h"
#include "config/names.h"

/* The lists are those of Debian 13. An image of one's own, or another Debian, may have other names: there the build's
 * look into the base decides. */
static bool base_is_listed(const struct config *c)
{
	vec_foreach (pin, &c->versions)
		if (streq(pin->name, "debian") && streq(c->os.base, "debian"))
			return starts_with(pin->version, "trixie");
	return config_base_named(c->os.base);
}

/* Debian 12 has the names that Debian 13 moved to a package of their own. */
static bool has_moved_zones(const struct config *c)
{
	return streq(c->os.base, "raspios-bookworm") || !base_is_listed(c);
}

static void name_replaced(const struct check *x, const char *key, enum name_list list, const char *value,
			  const char *instead)
{
	static const char *const why[NAME_LIST_COUNT] = {
		[NAMES_TIMEZONES] =
			"is not in Debian 13's tzdata (it moved to tzdata-legacy), so the clock would show UTC",
		[NAMES_LOCALES] = "is no locale of the C library",
		[NAMES_KEYBOARDS] = "is a keymap of the console, not an XKB layout",
		[NAMES_COUNTRIES] = "is not the country's code in ISO 3166, so Wi-Fi would not follow its rules",
	};

	if (list == NAMES_TIMEZONES && has_moved_zones(x->config))
		return;
	if (list == NAMES_COUNTRIES && streq(instead, "world"))
		note_key(
			x->faults, x->config, key,
			"%s: Linux knows no Wi-Fi rules of %s and keeps to those that hold everywhere, with fewer channels",
			key, value);
	else
		fault_key(x->faults, x->config, key, "%s: '%s' %s; write %s", key, value, why[list], instead);
}

/* "GMT+2", "UTC-5": POSIX, and so Etc/GMT-2, counts the hours west of Greenwich. */
static const char *offset_meant(const char *value)
{
	const char *hours = value + strlen("GMT");
	const struct name *found = NULL;
	struct err ignored = { 0 };
	const char *zone;

	if ((!starts_with(value, "GMT") && !starts_with(value, "UTC")) || !*hours || !strchr("+-", *hours))
		return NULL;
	zone = arena_printf("Etc/GMT%c%s", *hours == '+' ? '-' : '+', hours + 1);
	if (names_find(NAMES_TIMEZONES, zone, &found, &ignored) < 0 || !found)
		return arena_printf("%s lists them", names_path(NAMES_TIMEZONES));
	return arena_printf(
		"name a place, such as Europe/Berlin, which knows summer time, or write %s (the sign is the other way round there)",
		zone);
}

static void name_unknown(const struct check *x, const char *key, enum name_list list, const char *value)
{
	static const char *const what[NAME_LIST_COUNT] = {
		[NAMES_TIMEZONES] = "time zone",
		[NAMES_LOCALES] = "locale",
		[NAMES_KEYBOARDS] = "XKB layout",
		[NAMES_COUNTRIES] = "country",
	};
	const char *near = names_nearest(list, value);
	const char *cure = list == NAMES_TIMEZONES ? offset_meant(value) : NULL;

	if (!cure)
		cure = near ? did_you_mean("", near) : arena_printf("%s lists them", names_path(list));

	if (list == NAMES_COUNTRIES || base_is_listed(x->config))
		fault_key(x->faults, x->config, key, "%s: there is no %s '%s'; %s", key, what[list], value, cure);
	else
		note_key(x->faults, x->config, key, "%s: Debian 13 has no %s '%s', perhaps your base has; %s", key,
			 what[list], value, cure);
}

void check_names(const struct check *x)
{
	const struct config *c = x->config;
	const struct {
		const char *key;
		enum name_list list;
		const char *value; /* NULL = none, or refused for its form */
	} rows[] = {
		{ "access.timezone", NAMES_TIMEZONES, c->access.timezone },
		{ "access.locale", NAMES_LOCALES, c->access.locale },
		{ "access.keyboard", NAMES_KEYBOARDS, c->access.keyboard },
		{ "network.wifi.country", NAMES_COUNTRIES, c->network.wifi.country },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct name *found;
		struct err e = { 0 };

		if (!rows[i].value)
			continue;
		if (names_find(rows[i].list, rows[i].value, &found, &e) < 0)
			fault_key_failed(x->faults, c, rows[i].key, &e);
		else if (!found)
			name_unknown(x, rows[i].key, rows[i].list, rows[i].value);
		else if (found->instead)
			name_replaced(x, rows[i].key, rows[i].list, rows[i].value, found->instead);
	}
}
