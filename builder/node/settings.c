/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the base's own programs that cluster.yaml passes on, each a drop-in: systemd-sysctl, systemd-timesyncd.
 */
#include "node/node.h"

static const char origin[] = "generated: settings";

/* sysctl.d(5). Keys hold no '=', values no line end, and neither starts with a mark of a comment. */
static void add_sysctl(const struct config *c, struct tree *t)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (!c->os.sysctl.n)
		return;
	vec_foreach (s, &c->os.sysctl)
		strbuf_addf(&b, "%s = %s\n", s->key, s->value);
	tree_add_text(t, "/etc/sysctl.d/60-pibuild.conf", 0644, origin, b.s);
}

/* timesyncd.conf(5): with NTP= the servers of FallbackNTP=, which are on the internet, are not asked. */
static void add_time_servers(const struct config *c, struct tree *t)
{
	_cleanup_strbuf_ struct strbuf b = { 0 };

	if (!c->network.ntp.n)
		return;
	strbuf_adds(&b, "[Time]\nNTP=");
	vec_foreach (server, &c->network.ntp)
		strbuf_addf(&b, "%s%s", server == c->network.ntp.v ? "" : " ", *server);
	strbuf_adds(&b, "\n");
	tree_add_text(t, "/etc/systemd/timesyncd.conf.d/50-pibuild.conf", 0644, origin, b.s);
}

int node_add_settings(const struct node_ctx *x, struct tree *t, struct err *e)
{
	add_sysctl(x->config, t);
	add_time_servers(x->config, t);
	return 0;
}
