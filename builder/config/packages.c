/* SPDX-License-Identifier: Apache-2.0 */
/* Packages of Debian that cluster.yaml asks for. */
#include "config/config.h"

static void add_packages(struct text_list *list, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*vec_push(list) = names[i];
}

struct text_list config_packages(const struct config *c, const struct node_config *n)
{
	struct text_list list = { 0 };
	size_t kept = 0;

	add_packages(&list, c->os.packages.v, c->os.packages.n);
	vec_foreach (node, &c->nodes)
		if (!n || n == node)
			add_packages(&list, node->packages.v, node->packages.n);
	vec_sort(&list, text_order);
	for (size_t i = 0; i < list.n; i++)
		if (!kept || !streq(list.v[kept - 1], list.v[i]))
			list.v[kept++] = list.v[i];
	list.n = kept;
	return list;
}
