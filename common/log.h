/*
 * Logging for programs: to the journal with structured fields where stderr is
 * connected to it, else as plain lines to stderr. Pure and shared code does not
 * log; it returns.
 *
 * error = we gave up on something, warning = we went on, notice = an operator
 * wants to know, info = life events, debug = the rest.
 */
#pragma once

#include <stddef.h>
#include <syslog.h>

#include "common/cleanup.h"

/* What a line is about: journal fields such as PEER=, USER=, CONNECTION=, RULE=. */
struct log_field {
	const char *name;  /* upper case, without '=' */
	const char *value; /* NULL: field is left out. Control characters are escaped. */
};

/* Receives each finished line: used where a process may not reach the journal. */
typedef void (*log_sink_fn)(void *userdata, int level, const char *text);

/* Start logging as "ident" (static string), as lines to stderr. */
void log_open(const char *ident);

/*
 * The same for daemons: to the journal, with fields, if stderr is the journal's stream
 * ($JOURNAL_STREAM, systemd.exec(5)).
 */
void log_open_journal(const char *ident);
/*
 * "JOURNAL_STREAM=...", the caller's, for the environment of a child that inherits our stderr;
 * NULL: there is none.
 */
char *log_journal_env(void);

/* Lines above this level (LOG_DEBUG is the highest) are dropped. Default LOG_INFO. */
void log_set_level(int level);

/* Writes one line somewhere; fields hold context and own fields, values sanitised. */
typedef void (*log_writer_fn)(const char *ident, int level, const char *text,
			      const struct log_field *fields, size_t n_fields);
/* Replace the writer to stderr. */
void log_set_writer(log_writer_fn fn);

/* Send every line to fn instead. NULL: back to normal. */
void log_set_sink(log_sink_fn fn, void *userdata);

/* Fields that every line of this process carries (n up to 8; values are copied). */
void log_set_context(const struct log_field *fields, size_t n);

/*
 * Log one line. error: 0 or a negative errno, whose text is appended.
 * Control characters in the finished text are escaped: names from outside
 * cannot forge lines. Returns error, so that "return log_error_errno(r, ..)" works.
 */
int log_full(int level, int error, const struct log_field *fields, size_t n_fields, const char *fmt,
	     ...) _printf_(5, 6);

#define log_error(...)	 (void)log_full(LOG_ERR, 0, NULL, 0, __VA_ARGS__)
#define log_warning(...) (void)log_full(LOG_WARNING, 0, NULL, 0, __VA_ARGS__)
#define log_notice(...)	 (void)log_full(LOG_NOTICE, 0, NULL, 0, __VA_ARGS__)
#define log_info(...)	 (void)log_full(LOG_INFO, 0, NULL, 0, __VA_ARGS__)
#define log_debug(...)	 (void)log_full(LOG_DEBUG, 0, NULL, 0, __VA_ARGS__)

#define log_error_errno(r, ...)	  log_full(LOG_ERR, (r), NULL, 0, __VA_ARGS__)
#define log_warning_errno(r, ...) log_full(LOG_WARNING, (r), NULL, 0, __VA_ARGS__)
#define log_debug_errno(r, ...)	  log_full(LOG_DEBUG, (r), NULL, 0, __VA_ARGS__)

/* log_with(LOG_INFO, r, LOG_FIELDS({ "PEER", id }, { "RULE", origin }), "...") */
#define LOG_FIELDS(...)                            \
	(const struct log_field[]){ __VA_ARGS__ }, \
		sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field)
#define log_with(level, r, ...) log_full((level), (r), __VA_ARGS__)
