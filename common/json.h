/*
 * Reading JSON by tables, with the path of what is wrong: "peers[3].addresses[0]: ...".
 * jansson does the syntax; this turns values into structs and refuses what does not fit.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* A place in a document, as a chain on the stack: child first. The root has no parent. */
struct json_at {
	const struct json_at *parent;
	const char *key; /* member name; NULL: an array element */
	size_t index;	 /* of the array element */
};

/* The first thing that was wrong. Zero-initialise; json_report_done() frees. */
struct json_report {
	char *text; /* "peers[3].name: ...", sanitised; NULL: nothing yet */
};
void json_report_done(struct json_report *rep);

/* Record "PATH: text" (only the first report is kept). Returns -EINVAL, or -ENOMEM. */
int json_fail(struct json_report *rep, const struct json_at *at, const char *fmt, ...)
	_printf_(3, 4);

/* "expected WANTED, not a number": value is of the wrong type. Returns like json_fail(). */
int json_fail_type(struct json_report *rep, const struct json_at *at, const char *wanted,
		   const json_t *value);

/*
 * json_loadb() that is safe without memory (json_load.c says what jansson's own does).
 * Return: 0, -EINVAL and *ret_error, -ENOMEM.
 */
int json_load(const char *text, size_t len, size_t flags, json_error_t *ret_error,
	      json_t **ret_value);

/*
 * A value that json_pack() may leave out ("o*") can be NULL because there is none, or because there
 * was no memory for it: a login without its end. So whoever sends what was built calls
 * json_watch_memory() once, before anything is; json_compact() asks json_lost().
 */
void json_watch_memory(void);
/* Did jansson want for memory since the last call, or since json_load()? */
bool json_lost(void);

/*
 * An object or array in compact form. Return: the caller's; NULL when there was no memory for it,
 * or since the last text for anything that may have been meant to be part of it.
 */
char *json_compact(const json_t *value, size_t *ret_len);

/*
 * Parse one document. Duplicate keys, NUL in strings and nesting beyond jansson's limit are
 * refused. On -EINVAL *rep says "line L column C: ...". The caller owns *ret_value.
 */
int json_parse(const char *text, size_t len, struct json_report *rep, json_t **ret_value);

/* Reads one value into *target; see the readers below. 0, -EINVAL (reported), -ENOMEM. */
typedef int (*json_read_fn)(const json_t *value, const struct json_at *at, void *target,
			    struct json_report *rep);

struct json_field {
	const char *name;
	json_read_fn read;
	size_t offset; /* into the target struct */
	unsigned flags;
};
enum {
	JSON_REQUIRED = 1 << 0, /* absence is an error */
	JSON_NULLABLE = 1 << 1, /* null counts as absent */
};

/*
 * Read an object's members into target; unknown members are ignored. What is absent leaves its
 * field as it was. Return: 0, -EINVAL (reported), -ENOMEM; what was read so far stays in target,
 * for its owner to free.
 */
int json_read_object(const json_t *value, const struct json_at *at, const struct json_field *fields,
		     size_t n_fields, void *target, struct json_report *rep);

/*
 * Read an array of at most max elements into fresh, zeroed memory of size bytes each. *items (T **)
 * and *n_items grow with every element begun, so that the target's owner can free what is there on
 * failure too; both must be empty before. An empty array leaves them so.
 */
int json_read_array(const json_t *value, const struct json_at *at, size_t max, size_t size,
		    json_read_fn read, void *items, size_t *n_items, struct json_report *rep);

/* Readers. Strings are copied; the target's owner frees them (an older one is freed here). */
int json_read_string(const json_t *v, const struct json_at *at, void *target /* char ** */,
		     struct json_report *rep);
int json_read_bool(const json_t *v, const struct json_at *at, void *target /* bool * */,
		   struct json_report *rep);
int json_read_u64(const json_t *v, const struct json_at *at, void *target /* uint64_t * */,
		  struct json_report *rep);
/* RFC 3339 text to microseconds since 1970 (uint64_t *). */
int json_read_time(const json_t *v, const struct json_at *at, void *target,
		   struct json_report *rep);
