/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that outlives the node's cards: what the step that finds, formats and mounts it goes by
 * (overlays/common/usr/lib/pibuild/steps/data.sh), and that K3s does not start without it.
 */
#include "crypto/digest.h"
#include "node/node.h"

static const char origin[] = "generated: data disk";

bool node_has_data_disk(const struct node_ctx *x)
{
	return x->node->data.device != NULL;
}

/* Of this node of this cluster with this CA: a disk of any other one has another. A UUID as RFC 9562 has them, version
 * 8, whose bits are anybody's own. */
static const char *data_uuid(const struct node_ctx *x)
{
	const char *all = arena_printf("pibuild data disk %s %s %s", x->config->cluster.name, x->node->name,
				       x->secrets->ca_hash);
	char hex[SHA256_HEX];

	sha256_bytes(all, strlen(all), hex);
	return arena_printf("%.8s-%.4s-8%.3s-8%.3s-%.12s", hex, hex + 8, hex + 12, hex + 15, hex + 18);
}

/*
 * The step mounts it before K3s, which waits for that step; the assertion holds even when somebody stopped or masked
 * it. RequiresMountsFor has K3s end before the disk is unmounted. What systemd itself would do for a mount unit is wait
 * 90 seconds for a disk, and then give up K3s until the next start.
 */
static void add_guard(const struct node_ctx *x, struct tree *t)
{
	const char *unit = x->node->role == ROLE_WORKER ? "k3s-agent" : "k3s";

	tree_add_text(t, arena_printf("/etc/systemd/system/%s.service.d/50-pibuild-data.conf", unit), 0644, origin,
		      arena_printf("[Unit]\nWants=pibuild-data.service\nAfter=pibuild-data.service\n"
				   "RequiresMountsFor=%s\nAssertPathIsMountPoint=%s\n",
				   x->node->data.mount, x->node->data.mount));
}

/* The base's fstrim.timer, where it has one, goes by /etc/fstab, which has the card's file systems alone (util-linux
 * sys-utils/fstrim.service.in). */
static void add_trim(const struct node_ctx *x, struct tree *t)
{
	tree_add_text(
		t, "/etc/systemd/system/pibuild-trim.service", 0644, origin,
		arena_printf("[Unit]\nDescription=The data disk is told what is free\nConditionPathIsMountPoint=%s\n\n"
			     "[Service]\nType=oneshot\nExecStart=/sbin/fstrim --verbose --quiet-unsupported %s\n",
			     x->node->data.mount, x->node->data.mount));
	tree_add_text(t, "/etc/systemd/system/" TRIM_TIMER, 0644, origin,
		      "[Unit]\nDescription=When the data disk is told what is free\n\n"
		      "[Timer]\nOnCalendar=weekly\nRandomizedDelaySec=2h\nPersistent=yes\n\n"
		      "[Install]\nWantedBy=timers.target\n");
}

int node_add_data_disk(const struct node_ctx *x, struct tree *t, struct err *e)
{
	const struct node_data *d = &x->node->data;
	const char *uuid;

	if (!node_has_data_disk(x))
		return 0;
	uuid = data_uuid(x);
	tree_add_text(
		t, "/etc/pibuild/data", 0644, origin,
		arena_printf("device %s\nmount %s\nuuid %s\nlabel pibuild-%.8s\n", d->device, d->mount, uuid, uuid));
	add_guard(x, t);
	add_trim(x, t);
	return 0;
}
