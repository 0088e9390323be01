#include "common/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/text.h"
#include "common/text_stream.h"

/* A report quotes what it refuses. */
#define REPORT_MAX 512

struct parser {
	const char *source;
	const struct conf_field *fields;
	size_t n_fields;
	void *target;
	unsigned *seen; /* per field: the line it was set in, 0: not yet */
	unsigned line;
	char **reterr_text;
};

/* "FILE:LINE: ..." into *reterr_text. Return: -EINVAL, -ENOMEM. */
_printf_(2, 3) static int fail(const struct parser *p, const char *fmt, ...)
{
	_cleanup_free_ char *message = NULL, *clean = NULL;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	message = text_vprintf(fmt, ap);
	va_end(ap);
	if (!message)
		return -ENOMEM;
	clean = text_sanitize(message, REPORT_MAX);
	text = clean ? text_printf("%s:%u: %s", p->source, p->line, clean) : NULL;
	if (!text)
		return -ENOMEM;
	*p->reterr_text = text;
	return -EINVAL;
}

static int fail_unknown(const struct parser *p, const char *key)
{
	_cleanup_free_ char *known = NULL;
	struct text_stream out;

	if (text_stream_open(&out) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_fields; i++)
		fprintf(out.file, "%s%s", i ? ", " : "", p->fields[i].name);
	known = text_stream_close(&out);
	if (!known)
		return -ENOMEM;
	return fail(p, "%.64s: unknown key; expected one of %s", key, known);
}

/* Drops blanks at both ends, in place. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len > 0 && strchr(" \t\r", s[len - 1]))
		len--;
	s[len] = '\0';
	return s;
}

static int set_field(const struct parser *p, size_t i, const char *value)
{
	const struct conf_field *field = &p->fields[i];
	int r;

	if (p->seen[i] && !field->repeats)
		return fail(p, "%s: is set in line %u already; expected one line for each key",
			    field->name, p->seen[i]);
	p->seen[i] = p->line;
	r = field->read(field, value, (char *)p->target + field->offset);
	if (r == -EINVAL)
		return fail(p, "%s: \"%.128s\" does not fit; expected %s", field->name, value,
			    field->expected);
	return r;
}

static int parse_line(const struct parser *p, char *line)
{
	char *key, *equals;

	line = trim(line);
	if (line[0] == '\0' || line[0] == '#')
		return 0;
	equals = strchr(line, '=');
	if (!equals)
		return fail(p, "\"%.64s\" is no setting; expected Key=value", line);
	*equals = '\0';
	key = trim(line);
	for (size_t i = 0; i < p->n_fields; i++)
		if (strcmp(p->fields[i].name, key) == 0)
			return set_field(p, i, trim(equals + 1));
	return fail_unknown(p, key);
}

static int parse_lines(struct parser *p, char *text)
{
	int r;

	for (char *next; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		p->line++;
		r = parse_line(p, text);
		if (r < 0)
			return r;
	}
	return 0;
}

int conf_parse(const char *text, size_t len, const char *source, const struct conf_field *fields,
	       size_t n_fields, void *target, char **reterr_text)
{
	struct parser p = {
		.source = source,
		.fields = fields,
		.n_fields = n_fields,
		.target = target,
		.reterr_text = reterr_text,
	};
	_cleanup_free_ unsigned *seen = NULL;
	_cleanup_free_ char *copy = NULL;

	if (len > CONF_MAX_BYTES) {
		*reterr_text = text_printf("%s: the file is too large; expected %u KiB at most",
					   source, CONF_MAX_BYTES >> 10);
		return *reterr_text ? -EFBIG : -ENOMEM;
	}
	if (memchr(text, '\0', len)) {
		*reterr_text = text_printf("%s: the file holds a NUL byte; expected text", source);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	copy = strndup(text, len);
	seen = calloc(n_fields + 1, sizeof(*seen));
	if (!copy || !seen)
		return -ENOMEM;
	p.seen = seen;
	return parse_lines(&p, copy);
}

static int fail_read(const char *path, int error, char **reterr_text)
{
	*reterr_text = text_printf("%s: cannot be read: %s", path, file_read_problem(error));
	return *reterr_text ? error : -ENOMEM;
}

/* What others may write is theirs to say. */
static int check_owner(const char *path, int fd, uid_t owner, char **reterr_text)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_read(path, -errno, reterr_text);
	if (!S_ISREG(st.st_mode))
		return fail_read(path, -EINVAL, reterr_text);
	if (owner == CONF_ANY_OWNER)
		return 0;
	if (st.st_uid == owner && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	*reterr_text = text_printf("%s: others than root may write it; expected owner root and "
				   "mode 0644 or less",
				   path);
	return *reterr_text ? -EPERM : -ENOMEM;
}

int conf_read_file(const char *path, uid_t owner, char **ret_text, size_t *ret_len,
		   char **reterr_text)
{
	/* O_NONBLOCK: a FIFO put there does not hang us. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : fail_read(path, -errno, reterr_text);
	r = check_owner(path, fd, owner, reterr_text);
	if (r < 0)
		return r;
	/* One byte more than allowed, so that conf_parse() does the refusing. */
	r = file_read_fd(fd, CONF_MAX_BYTES + 1, ret_text, ret_len);
	return r < 0 ? fail_read(path, r, reterr_text) : 0;
}

int conf_load(const char *path, uid_t owner, const struct conf_field *fields, size_t n_fields,
	      void *target, char **reterr_text)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = conf_read_file(path, owner, &text, &len, reterr_text);

	return r < 0 ? r : conf_parse(text, len, path, fields, n_fields, target, reterr_text);
}
