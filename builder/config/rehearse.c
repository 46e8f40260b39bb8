/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster on QEMU's machine: what is the Pi's own goes, everything of the cluster stays. */
#include "config/config.h"

static void rehearse_node(struct node_config *n)
{
	n->board = "virt";
	n->memory = 0;
	n->interface = NULL;
	n->boot = (struct boot_config){ 0 };
	n->data = (struct node_data){ 0 };
}

void config_rehearse(struct config *c, const char *base)
{
	vec_foreach (n, &c->nodes)
		rehearse_node(n);
	c->boot = (struct boot_config){ 0 };
	c->network.interface = "eth0";
	c->network.vlan = 0;
	memset(&c->network.wifi, 0, sizeof(c->network.wifi));
	c->lb.interfaces.n = 0;
	/* A cluster that is thrown away must not be taken for the real one's last backup. */
	memset(&c->backup, 0, sizeof(c->backup));
	if (!base && starts_with(c->os.base, "raspios"))
		base = "debian";
	if (base) {
		c->os.base = base;
		c->os.sha256 = c->os.signature_key = NULL;
	}
}
