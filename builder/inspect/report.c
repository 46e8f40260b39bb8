/* SPDX-License-Identifier: Apache-2.0 */
/* The two faces of an image report: text for people, JSON for programs. */
#include "inspect/inspect.h"

static json_t *partitions_json(const struct disk *d)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < d->n; i++)
		json_array_append_new(a,
				      json_pack("{s:i, s:I, s:I, s:o, s:o}", "number", (int)d->parts[i].number, "start",
						(json_int_t)d->parts[i].start, "size", (json_int_t)d->parts[i].size,
						"type", json_sprintf("0x%02x", d->parts[i].type), "partuuid",
						json_sprintf("%08x-%02u", d->id, d->parts[i].number)));
	return a;
}

json_t *image_report_json(const struct image_report *r)
{
	json_t *j = json_object(), *files = records_json(&r->records), *units = json_array(), *more = json_array();
	static const char *const kept[] = { "cluster", "node", "role", "board",	   "layer",
					    "pibuild", "time", "base", "artifacts" };

	json_object_set_new(j, "image", json_string(r->path));
	json_object_set_new(j, "size", json_integer((json_int_t)r->disk.size));
	json_object_set_new(j, "partitions", partitions_json(&r->disk));
	for (size_t i = 0; r->manifest && i < ARRAY_SIZE(kept); i++)
		json_object_set(j, kept[i], json_object_get(r->manifest, kept[i]));
	json_object_set_new(j, "rootFree", json_integer((json_int_t)(r->root.free_blocks * r->root.block_size)));
	json_object_set_new(j, "bootFree", json_integer((json_int_t)r->boot_free));
	for (size_t i = 0; i < r->records.v.n; i++)
		json_object_set_new(json_array_get(files, i), "state", json_string(record_state_names[r->states[i]]));
	json_object_set_new(j, "files", files);
	vec_foreach (u, &r->units)
		json_array_append_new(units, json_pack("{s:s, s:s}", "unit", u->unit, "wantedBy", u->target));
	json_object_set_new(j, "units", units);
	vec_foreach (p, &r->undeclared)
		json_array_append_new(more, json_string(*p));
	json_object_set_new(j, "undeclared", more);
	return j;
}

static void print_origin(const struct image_report *r)
{
	const json_t *base = json_object_get(r->manifest, "base"), *one;
	const json_t *artifacts = json_object_get(r->manifest, "artifacts");
	size_t i;

	if (!r->manifest) {
		printf("no manifest: not an image made by pibuild\n");
		return;
	}
	if (json_object_get(r->manifest, "node"))
		printf("node %s of cluster %s: %s on %s\n", json_clean(r->manifest, "node"),
		       json_clean(r->manifest, "cluster"), json_clean(r->manifest, "role"),
		       json_clean(r->manifest, "board"));
	else
		printf("generic: %s, for `pibuild flash IMAGE --node NAME DISK`\n", json_clean(r->manifest, "role"));
	printf("base %s %s, sha256 %.12s...\n", json_clean(base, "name"), json_clean(base, "version"),
	       json_clean(base, "sha256"));
	for (i = 0; (one = json_array_get(artifacts, i)); i++)
		printf("  %-20s %-18s sha256 %.12s...\n", json_clean(one, "name"), json_clean(one, "version"),
		       json_clean(one, "sha256"));
}

static void print_files(const struct image_report *r)
{
	char size[SIZE_TEXT_MAX];

	printf("\nfiles pibuild put there (%zu)\n", r->records.v.n);
	for (size_t i = 0; i < r->records.v.n; i++) {
		const struct record *x = &r->records.v.v[i];
		bool link = x->kind == ENTRY_SYMLINK, gone = x->kind == ENTRY_REMOVE, dir = x->kind == ENTRY_DIR;

		printf("  %-7s %-7s ", record_state_names[r->states[i]], entry_kind_names[x->kind]);
		if (link || gone)
			printf("%-38s", "");
		else
			printf("%04o %4u:%-4u %10s %-12.12s ", x->mode, x->uid, x->gid,
			       dir ? "" : size_text(x->size, size), x->sha256);
		printf(" %s%s%s  [%s]\n", x->path, x->note ? " -> " : "", x->note ? x->note : "", x->origin);
	}
}

void image_report_print(const struct image_report *r)
{
	char size[SIZE_TEXT_MAX], unused[SIZE_TEXT_MAX];

	printf("%s: %s\n", r->path, size_text(r->disk.size, size));
	for (unsigned i = 0; i < r->disk.n; i++)
		printf("  partition %u  start %12llu  size %12llu  type 0x%02x  PARTUUID %08x-%02u\n",
		       r->disk.parts[i].number, (unsigned long long)r->disk.parts[i].start,
		       (unsigned long long)r->disk.parts[i].size, r->disk.parts[i].type, r->disk.id,
		       r->disk.parts[i].number);
	printf("  free: root %s, boot %s\n", size_text(r->root.free_blocks * r->root.block_size, size),
	       size_text(r->boot_free, unused));
	print_origin(r);
	if (r->manifest)
		print_files(r);
	printf("\nunits enabled\n");
	vec_foreach (u, &r->units)
		printf("  %-40s %s\n", u->unit, u->target);
	if (r->undeclared.n)
		printf("\nchanged against the base, and no record says so (%zu)\n", r->undeclared.n);
	vec_foreach (p, &r->undeclared)
		printf("  %s\n", *p);
}
