/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of a chart that Helm and the chart's schema let pass and the API of Kubernetes refuses, by keys that mean the
 * same in all charts: Helm then installs nothing.
 */
#ifndef CONFIG_API_VALUES_H
#define CONFIG_API_VALUES_H

#include "yaml/yaml.h"

/* N, at PATH ("operator.resources.limits.memory") of the values; WHY goes on behind the path. */
typedef void (*api_value_told)(void *arg, const struct yaml_node *n, const char *path, const char *why);

void api_values_check(const struct yaml_node *values, api_value_told told, void *arg);

#endif
