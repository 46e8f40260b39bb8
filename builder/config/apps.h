/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from an app of cluster.yaml. */
#ifndef CONFIG_APPS_H
#define CONFIG_APPS_H

#include "config/config.h"
#include "yaml/yaml.h"

/* Namespace, Secret, GitRepository and Kustomization of Flux are all called so, as `flux bootstrap` does. */
#define FLUX_NAME "flux-system"
/* gitops.flux becomes the last app. */
void config_add_flux(struct config *c);
/* Where the file has A: "apps[1]", "gitops.flux". */
const char *app_key(const struct config *c, const struct app *a);
/* Where it is put; NULL: its manifests say so. */
const char *app_namespace(const struct app *a);
/* What its chart is given, without what is secret: valuesFile, then values over it. New on each call. */
struct yaml_node *app_chart_values(const struct app *a);
bool app_manifest_is_url(const char *manifest);
/* The files that MANIFEST, a path, means: itself, or what ends in .yaml, .yml or .json in the folder, sorted. Class
 * CONFIG when there are none, or more than 64. */
int app_manifest_files(const char *manifest, struct text_list *ret, struct err *e);

#endif
