/* SPDX-License-Identifier: Apache-2.0 */
/* devices: the disks of this machine, and which of them flash would write. */
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "flash/device.h"

static json_t *holds_json(const struct card_identity *id)
{
	if (id->state == CARD_NODE)
		return json_pack("{s:s, s:s, s:s}", "node", id->node, "cluster", id->cluster, "role", id->role);
	if (id->state == CARD_UNFINISHED)
		return json_pack("{s:s, s:b}", "node", id->node, "unfinished", true);
	return json_null();
}

static json_t *device_json(const struct device *d, const struct card_identity *id)
{
	const char *why = guard_verdict(d);

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:b, s:s, s:s, s:b, s:s, s:o}", "name", d->name, "path",
			 d->path, "bus", d->bus, "model", d->model, "serial", d->identity, "size", (json_int_t)d->size,
			 "removable", d->removable, "readOnly", d->read_only, "labels", d->labels, "mounts", d->mounts,
			 "flashable", why == NULL, "reason", str_or(why, ""), "holds", holds_json(id));
}

static void print_device(const struct device *d, const struct card_identity *id, const char *project_dir)
{
	char size[SIZE_TEXT_MAX];
	const char *why = guard_verdict(d), *holds = cmd_card_text(id, d->identity, project_dir);

	printf("%-12s %10s  %-6s  %-24s  %s\n", d->path, size_text(d->size, size), *d->bus ? d->bus : "-",
	       *d->model ? d->model : "-", *d->identity ? d->identity : "-");
	if (holds)
		printf("    holds %s\n", holds);
	if (why)
		printf("    not to be flashed: %s\n", why);
	else if (guard_wants_identity(d))
		printf("    not removable: flashed only when its serial is typed, or given with --serial\n");
	if (*d->labels)
		printf("    labels %s\n", d->labels);
}

/* Cards first, then the disks that need their serial typed, then those that cannot be had at all. */
static unsigned rank(const struct device *d)
{
	return guard_verdict(d) ? 2 : guard_wants_identity(d) ? 1 : 0;
}

static int cmd_devices(const struct cmd_options *o, struct err *e)
{
	const char *project_dir = cmd_project_dir(o);
	bool closed = false;
	struct devices all;
	json_t *list;
	int r = cmd_args(o, 0, 0, "devices [--json]", e);

	if (r < 0)
		return r;
	r = devices_scan(&host_real, &all, e);
	if (r < 0)
		return r;
	list = json_array();
	if (!o->json)
		printf("%-12s %10s  %-6s  %-24s  %s\n", "disk", "size", "bus", "model", "serial");
	for (unsigned i = 0; i < 3; i++)
		vec_foreach (d, &all.v) {
			struct card_identity id = { .state = CARD_OTHER, .node = "", .cluster = "", .role = "" };

			if (rank(d) != i)
				continue;
			if (!d->system && !d->no_disk)
				cmd_identify(d->path, &id);
			closed |= i < 2 && id.state == CARD_CLOSED;
			if (o->json)
				json_array_append_new(list, device_json(d, &id));
			else
				print_device(d, &id, project_dir);
		}
	if (closed)
		log_info("which nodes the cards hold, root can see: sudo pibuild devices");
	if (o->json)
		return json_print(list, e);
	json_decref(list);
	return 0;
}

const struct command devices_command = {
	.name = "devices",
	.args = "",
	.help = "disks that can be flashed, and why others cannot",
	.run = cmd_devices,
	.reads_disks = true,
	.common = "config json",
	.examples = { "pibuild devices", "sudo pibuild devices --json" },
};
