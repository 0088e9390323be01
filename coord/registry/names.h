/* Names of people, tags and hosts: what is accepted, and the DNS name of a host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * What is wrong with it, and what would be right: a static text, to be put behind the quoted value
 * and a colon. NULL: nothing.
 */
const char *login_problem(const char *login);
const char *tag_problem(const char *tag);
const char *domain_problem(const char *domain);
const char *label_problem(const char *label);
/* A good label, but not to be given to a node. */
bool label_is_reserved(const char *label);
/* Text that people see: 1..max bytes of UTF-8 without control characters. */
const char *text_problem(const char *text, size_t max);
/* Of a password, as crypt(5) has it: "$METHOD$...". The message does not repeat it. */
const char *crypt_problem(const char *hash);
/* Base32 of 20 bytes: the secret of a TOTP (RFC 6238). */
const char *totp_problem(const char *secret);

#define LABEL_SIZE 64 /* of a DNS label and its NUL */

/*
 * The DNS label that a host of this name gets: the part before the first dot in lower case, other
 * characters than a-z 0-9 as hyphens; "host" if nothing is left of it. suffix above 0 is appended
 * as "-N", and the label cut to make room. Writes LABEL_SIZE bytes at most; returns buf.
 */
char *label_from_hostname(const char *hostname, unsigned suffix, char *buf);
