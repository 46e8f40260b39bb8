/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees to text through libyaml's emitter. Only the style of each scalar is decided here: plain when no reader of
 * YAML 1.1 or 1.2 can take it for anything but this string, a literal block for clean text of several lines, else
 * double quotes, whose escapes every reader agrees on.
 */
#include "yaml/internal.h"

#include <assert.h>
#include <ctype.h>
#include <yaml.h>

#define NUMBER_LIKE "0123456789abcdefABCDEFxXoO_:.+-tTzZ "
#define PLAIN_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _./@+=,:-"

static bool is_keyword(const char *s)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false", "null" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

/* Stricter than any YAML: what fails here is quoted, which never hurts. */
static bool plain_is_safe(const char *s, size_t n)
{
	if (!n || strlen(s) != n || strspn(s, PLAIN_CHARS) != n)
		return false;
	if (!isalnum((unsigned char)s[0]) && s[0] != '/')
		return false;
	if (s[n - 1] == ' ' || s[n - 1] == ':' || strstr(s, ": "))
		return false;
	/* numbers in any base, 1:30, dates, 1.20.0 (a float to YAML 1.1) */
	if (isdigit((unsigned char)s[0]) && strspn(s, NUMBER_LIKE) == n)
		return false;
	return !is_keyword(s);
}

/* Text of several lines that a literal block gives back byte for byte, with `|` or `|-`. */
static bool literal_is_safe(const char *s, size_t n)
{
	if (!memchr(s, '\n', n) || strlen(s) != n || isspace((unsigned char)s[0]))
		return false;
	if (n > 1 && s[n - 1] == '\n' && s[n - 2] == '\n')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c != '\n' && (c < 0x20 || c > 0x7e))
			return false;
		if (c == ' ' && (i + 1 == n || s[i + 1] == '\n'))
			return false;
	}
	return true;
}

static yaml_scalar_style_t style_of(const struct yaml_node *n, bool key)
{
	/* What may stand alone at the beginning of a file or a line must not make the file refused. */
	if (yaml_withheld(n->text, n->n, NULL) || yaml_conflict_mark(n->text, n->n) < n->n)
		return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	/* A built number or boolean, or text that was read without quotes: it means the same without them again. */
	if (n->plain && n->n && !memchr(n->text, '\n', n->n))
		return YAML_PLAIN_SCALAR_STYLE;
	if (plain_is_safe(n->text, n->n))
		return YAML_PLAIN_SCALAR_STYLE;
	if (!key && literal_is_safe(n->text, n->n))
		return YAML_LITERAL_SCALAR_STYLE;
	return YAML_DOUBLE_QUOTED_SCALAR_STYLE;
}

/* libyaml fails for text that is no UTF-8 or when memory is out: both are not the caller's to handle. */
static void send(yaml_emitter_t *em, yaml_event_t *event, int made)
{
	int ok = made && yaml_emitter_emit(em, event);

	if (!ok) {
		fprintf(stderr, "pibuild: cannot write YAML: %s\n", str_or(em->problem, "text is not valid UTF-8"));
		abort();
	}
}

static void emit_scalar(yaml_emitter_t *em, const struct yaml_node *n, bool key)
{
	static const struct yaml_node null = { .text = "null", .n = 4, .plain = true };
	yaml_event_t event;

	if (n->plain && !n->n)
		n = &null;
	send(em, &event,
	     yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)n->text, (int)n->n, 1, 1,
					  style_of(n, key)));
}

static void emit_node(yaml_emitter_t *em, const struct yaml_node *n)
{
	yaml_event_t event;

	switch (n->type) {
	case YAML_SCALAR:
		emit_scalar(em, n, false);
		return;
	case YAML_SEQ:
		send(em, &event,
		     yaml_sequence_start_event_initialize(
			     &event, NULL, NULL, 1, n->flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE));
		for (size_t i = 0; i < n->count; i++)
			emit_node(em, n->items[i]);
		send(em, &event, yaml_sequence_end_event_initialize(&event));
		return;
	case YAML_MAP:
		send(em, &event,
		     yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
							 n->flow ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE));
		for (size_t i = 0; i < n->count; i++) {
			emit_scalar(em, n->keys[i], true);
			emit_node(em, n->items[i]);
		}
		send(em, &event, yaml_mapping_end_event_initialize(&event));
		return;
	}
}

static int write_out(void *out, unsigned char *data, size_t n)
{
	strbuf_add(out, data, n);
	return 1;
}

static void add_comment(const char *comment, struct strbuf *out)
{
	while (*comment) {
		size_t n = strcspn(comment, "\n");

		strbuf_adds(out, n ? "# " : "#");
		strbuf_add(out, comment, n);
		strbuf_adds(out, "\n");
		comment += n + (comment[n] == '\n');
	}
}

void yaml_emit_all(struct yaml_node *const *docs, size_t n, const char *comment, struct strbuf *out)
{
	_cleanup_(yaml_emitter_delete) yaml_emitter_t em;
	yaml_event_t event;

	add_comment(str_or(comment, ""), out);
	yaml_emitter_initialize(&em);
	yaml_emitter_set_output(&em, write_out, out);
	yaml_emitter_set_unicode(&em, 1);
	yaml_emitter_set_width(&em, -1);
	yaml_emitter_set_indent(&em, 2);
	yaml_emitter_set_break(&em, YAML_LN_BREAK);
	send(&em, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
	for (size_t i = 0; i < n; i++) {
		send(&em, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, i == 0));
		emit_node(&em, docs[i]);
		send(&em, &event, yaml_document_end_event_initialize(&event, 1));
	}
	send(&em, &event, yaml_stream_end_event_initialize(&event));
}

void yaml_emit(const struct yaml_node *doc, const char *comment, struct strbuf *out)
{
	struct yaml_node *docs[] = { unconst(doc) };

	yaml_emit_all(docs, 1, comment, out);
}
