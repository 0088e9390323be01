/*
 * Was the head of a request written as RFC 9112 has it? libmicrohttpd 0.9.75 lets pass, or makes
 * something of, what a proxy in front of it may read in another way: lines that end in LF alone,
 * folded lines (which it appends to the *name*), blanks before the colon, NUL within a line (the
 * rest of the line is dropped; at its beginning it ends the head). Whoever reads differently than
 * the proxy can be made to take one request for two. So what it has read is looked at again, in the
 * memory where it leaves it: CR, LF, colons and the blanks of the first line have become NUL. (One
 * thing is not seen: a NUL in the place of CR.) Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_head {
	const char *start; /* the method; NUL-terminated, as are the other two */
	const char *target;
	const char *version;
	size_t len;	   /* up to and with the empty line */
	size_t n_fields;   /* header fields that libmicrohttpd has found */
	size_t target_len; /* before it was decoded in place */
};

/* Return: NULL: as it should be; else what is wrong, a static text. */
const char *http_head_check(const struct http_head *head);

/* What says how long a body is; values of the fields, and how many there are of each. */
struct http_framing {
	const char *transfer_encoding, *content_length;
	unsigned n_transfer_encoding, n_content_length, n_host;
	bool http10;
};
/* Return: NULL: the end of the body can be known in one way only; else what is wrong. */
const char *http_framing_check(const struct http_framing *framing);
