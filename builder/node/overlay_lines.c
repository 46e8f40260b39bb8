/* SPDX-License-Identifier: Apache-2.0 */
#include "node/overlay_lines.h"

char *next_setting(char **text)
{
	char *line;

	while ((line = strsep(text, "\n"))) {
		size_t n;

		line += strspn(line, " \t");
		n = strcspn(line, "\r");
		while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
			n--;
		line[n] = '\0';
		if (*line && !strchr("#;", *line))
			return line;
	}
	return NULL;
}

const char *setting_value(const char *line, const char *key)
{
	size_t n = strlen(key);

	if (strncasecmp(line, key, n) != 0)
		return NULL;
	line += n + strspn(line + n, " \t");
	return *line == '=' ? line + 1 + strspn(line + 1, " \t") : NULL;
}
