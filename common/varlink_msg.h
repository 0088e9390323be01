/* Varlink messages as JSON objects: building and checking, without I/O. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/varlink.h"

/* Names of interfaces, methods and errors are no longer than this. */
#define VARLINK_MAX_NAME 255u

/* Builders. params is stolen, NULL means {}. Return: a new object; NULL when out of memory. */
json_t *varlink_call_build(const char *method, json_t *params, bool more, bool oneway);
json_t *varlink_reply_build(json_t *params, bool continues);
json_t *varlink_error_build(const char *error, json_t *params);

/* One message without its NUL. Return: 0, -EINVAL (not a reply), -ENOMEM. */
int varlink_reply_parse(const char *text, size_t len, struct varlink_reply *ret_reply);
