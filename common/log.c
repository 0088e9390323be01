#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/text.h"

#define MAX_CONTEXT 8
#define MAX_FIELDS  (MAX_CONTEXT + 16)

static void write_stderr(const char *ident, int level, const char *text,
			 const struct log_field *fields, size_t n_fields)
{
	fprintf(stderr, "%s: %s\n", ident, text);
}

/* One per process, as stderr is. */
static struct {
	const char *ident;
	int max_level;
	log_writer_fn writer;
	log_sink_fn sink;
	void *sink_userdata;
	struct log_field context[MAX_CONTEXT]; /* values owned */
	size_t n_context;
} log_state = { .ident = "peergate", .max_level = LOG_INFO, .writer = write_stderr };

void log_open(const char *ident)
{
	log_state.ident = ident;
}

void log_set_writer(log_writer_fn fn)
{
	log_state.writer = fn;
}

void log_set_level(int level)
{
	log_state.max_level = level;
}

void log_set_sink(log_sink_fn fn, void *userdata)
{
	log_state.sink = fn;
	log_state.sink_userdata = userdata;
}

void log_set_context(const struct log_field *fields, size_t n)
{
	for (size_t i = 0; i < log_state.n_context; i++)
		free((char *)log_state.context[i].value);
	log_state.n_context = 0;
	for (size_t i = 0; i < n && log_state.n_context < MAX_CONTEXT; i++) {
		char *value = fields[i].value ? text_sanitize(fields[i].value, 4096) : NULL;

		if (value)
			log_state.context[log_state.n_context++] =
				(struct log_field){ fields[i].name, value };
	}
}

static void write_line(int level, const char *text, const struct log_field *fields, size_t n_fields)
{
	struct log_field all[MAX_FIELDS] = { 0 };
	size_t n = 0;

	for (; n < log_state.n_context; n++)
		all[n] = log_state.context[n];
	for (size_t i = 0; i < n_fields && n < MAX_FIELDS; i++) {
		char *value = fields[i].value ? text_sanitize(fields[i].value, 4096) : NULL;

		if (value)
			all[n++] = (struct log_field){ fields[i].name, value };
	}
	log_state.writer(log_state.ident, level, text, all, n);
	while (n > log_state.n_context)
		free((char *)all[--n].value);
}

int log_full(int level, int error, const struct log_field *fields, size_t n_fields, const char *fmt,
	     ...)
{
	_cleanup_free_ char *raw = NULL, *text = NULL;
	va_list ap;

	if (level > log_state.max_level)
		return error;
	va_start(ap, fmt);
	raw = text_vprintf(fmt, ap);
	va_end(ap);
	if (!raw)
		return error;
	if (error < 0) {
		char *with_error = text_printf("%s: %s", raw, strerror(-error));

		free(raw);
		raw = with_error;
	}
	text = raw ? text_sanitize(raw, 8192) : NULL;
	if (!text)
		return error;

	if (log_state.sink)
		log_state.sink(log_state.sink_userdata, level, text);
	else
		write_line(level, text, fields, n_fields);
	return error;
}
