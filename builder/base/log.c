/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <pthread.h>

#include "base/terminal.h"

static enum log_level current = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*hook_before)(void), (*hook_after)(void);

void log_set_level(enum log_level level)
{
	current = level;
}

void log_set_hooks(void (*before)(void), void (*after)(void))
{
	hook_before = before;
	hook_after = after;
}

static struct cure_option {
	const char *commands, *option, *value;
} cure_options[8];
static size_t n_cure_options;

void log_add_cure_option(const char *commands, const char *option, const char *value)
{
	if (value && n_cure_options < ARRAY_SIZE(cure_options))
		cure_options[n_cure_options++] = (struct cure_option){ commands, option, value };
}

/* Behind the next "`pibuild " or "`sudo pibuild " of TEXT; NULL = there is none. */
static const char *find_cure(const char *text)
{
	static const char program[] = "pibuild ";

	for (const char *p = text; (p = strchr(p, '`')); p++) {
		const char *word = p + 1 + (starts_with(p + 1, "sudo ") ? strlen("sudo ") : 0);

		if (starts_with(word, program))
			return word + strlen(program);
	}
	return NULL;
}

void log_cures(struct strbuf *out, const char *msg)
{
	const char *p = msg, *word, *end;

	while ((word = find_cure(p)) && (end = strchr(word, '`'))) {
		size_t n = strcspn(word, " `");

		strbuf_add(out, p, (size_t)(end - p));
		for (size_t i = 0; i < n_cure_options; i++) {
			const struct cure_option *o = &cure_options[i];

			if (!word_in(o->commands, word, n))
				continue;
			/* What the shell made of <(...) is gone with the run. */
			strbuf_addf(out, " %s %s", o->option,
				    starts_with(o->value, "/dev/fd/") ? "<(...)" : shell_word(o->value));
		}
		p = end;
		strbuf_adds(out, "`");
		p++;
	}
	strbuf_adds(out, p);
}

__attribute__((format(printf, 3, 0))) static void emit(enum log_level level, const char *name, const char *fmt,
						       va_list ap)
{
	_cleanup_strbuf_ struct strbuf said = { 0 }, line = { 0 };

	if (level > current)
		return;
	/* What came from outside, as words of the command line do, must not speak to the terminal. */
	log_cures(&said, clean_lines(arena_vprintf(fmt, ap)));
	strbuf_adds(&line, "pibuild: ");
	if (*name) {
		terminal_ink(&line,
			     level == LOG_ERROR	    ? INK_ERROR
			     : level == LOG_WARNING ? INK_WARNING
						    : INK_NOTE,
			     name);
		strbuf_adds(&line, " ");
	}
	text_wrap(&line, said.s, terminal_columns(), (unsigned)(strlen("pibuild: ") + strlen(name) + (*name != 0)), 4);
	pthread_mutex_lock(&lock);
	fflush(stdout); /* one log of both has them in the order they were said in; a failure shows at the end */
	if (hook_before)
		hook_before();
	fprintf(stderr, "%s\n", line.s);
	if (hook_after)
		hook_after();
	pthread_mutex_unlock(&lock);
}

#define LOG_FUNCTION(fn, level, name)                                                                                  \
	void fn(const char *fmt, ...)                                                                                  \
	{                                                                                                              \
		va_list ap;                                                                                            \
		va_start(ap, fmt);                                                                                     \
		emit(level, name, fmt, ap);                                                                            \
		va_end(ap);                                                                                            \
	}

LOG_FUNCTION(log_error, LOG_ERROR, "error:")
LOG_FUNCTION(log_warning, LOG_WARNING, "warning:")
LOG_FUNCTION(log_info, LOG_INFO, "")
LOG_FUNCTION(log_debug, LOG_DEBUG, "debug:")
