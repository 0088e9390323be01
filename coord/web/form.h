/*
 * The body of a POST as a browser sends it (application/x-www-form-urlencoded; WHATWG URL, 5.1).
 * Pure.
 */
#pragma once

#include <stddef.h>

#define FORM_MAX_FIELDS 16u
#define FORM_MAX_NAME	32u	    /* bytes */
#define FORM_MAX_VALUE	1024u	    /* bytes, decoded */
#define FORM_MAX_BYTES	(16u << 10) /* of the body: each byte may be three */

/* Zero-initialise; form_done() wipes and frees. */
struct form {
	char *memory; /* of the texts */
	size_t size;
	size_t n_fields;
	struct form_field {
		const char *name, *value;
	} fields[FORM_MAX_FIELDS];
};
void form_done(struct form *form);

/*
 * Names are letters, digits, "-" and "_", each once; values UTF-8 without control characters.
 * Return: 0; -EINVAL and *ret_why (static text); -ENOMEM. On failure *ret_form is untouched.
 */
int form_parse(const char *body, size_t len, struct form *ret_form, const char **ret_why);
/* Borrowed; NULL: there is no such field. */
const char *form_get(const struct form *form, const char *name);
