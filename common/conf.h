/*
 * "Key=value" configuration files, read by a typed table. Lines that are empty or begin with '#'
 * are skipped; blanks around key and value are dropped. Every refusal reads
 * "FILE:LINE: Key: what is wrong; expected ...".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"

#define CONF_MAX_BYTES (64u << 10)

struct conf_field;

/*
 * Reads value into *target. Return: 0, -EINVAL (the value does not fit: conf_parse() writes the
 * message from field->expected), -ENOMEM.
 */
typedef int (*conf_read_fn)(const struct conf_field *field, const char *value, void *target);

struct conf_field {
	const char *name; /* as written in the file; upper and lower case matter */
	conf_read_fn read;
	size_t offset;	      /* into the target struct */
	uint64_t min, max;    /* conf_read_u64 and conf_read_duration (usec) */
	const char *expected; /* "a port, 1 to 65535": ends the message */
	bool repeats;	      /* may occur more than once: read adds to what there is */
};

/*
 * Parse a whole file's text into target. Keys that do not occur leave their field as it was; a key
 * that occurs twice (and may not) and a key that the table does not know are refused. source names
 * the file. Return: 0; -EINVAL and *reterr_text (the caller's), -EFBIG likewise, -ENOMEM; what was
 * read so far stays in target, for its owner to free.
 */
int conf_parse(const char *text, size_t len, const char *source, const struct conf_field *fields,
	       size_t n_fields, void *target, char **reterr_text);

#define CONF_ANY_OWNER ((uid_t)-1) /* and whoever may write it */

/*
 * Read a file of root's, whose user id is owner (0, except in tests). One that does not exist is
 * -ENOENT, without a text: whether that matters is the caller's to say.
 * Return: 0; -EPERM (others may write it) or another negative errno, with *reterr_text.
 */
int conf_read_file(const char *path, uid_t owner, char **ret_text, size_t *ret_len,
		   char **reterr_text);

/* Read a file likewise, and parse it. */
int conf_load(const char *path, uid_t owner, const struct conf_field *fields, size_t n_fields,
	      void *target, char **reterr_text);

/* Readers. Strings and lists are the target owner's to free; older ones are freed here. */
int conf_read_bool(const struct conf_field *f, const char *value, void *target /* bool * */);
int conf_read_u64(const struct conf_field *f, const char *value, void *target /* uint64_t * */);
int conf_read_duration(const struct conf_field *f, const char *value,
		       void *target /* uint64_t *, usec */);
/* Not empty, valid UTF-8, no control characters. */
int conf_read_string(const struct conf_field *f, const char *value, void *target /* char ** */);
/* An absolute path. */
int conf_read_path(const struct conf_field *f, const char *value, void *target /* char ** */);
/* Words separated by blanks; an empty value is an empty list. The list ends with NULL. */
int conf_read_strv(const struct conf_field *f, const char *value, void *target /* char *** */);

/* "error", "warning", "notice", "info" or "debug". */
int conf_read_log_level(const struct conf_field *f, const char *value, void *target /* int * */);
/* The reverse; "" for other levels. */
const char *conf_log_level_to_string(int level);

/* Free a NULL-terminated list and its words. Returns NULL. */
char **conf_strv_free(char **list);
