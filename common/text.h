/* Text from outside: checking, cleaning, splitting. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* Valid UTF-8 without overlong forms and surrogates. */
bool text_is_utf8(const char *s);
/* Any C0, DEL or C1 control character, or bidirectional override (U+202A..E, U+2066..9). */
bool text_has_control(const char *s);

/*
 * A copy fit for a terminal, a banner, a comment or a log: control characters, bidirectional
 * overrides and invalid UTF-8 become '?', at most max bytes are kept (cut at a character).
 * Return: the caller's to free; NULL when out of memory.
 */
char *text_sanitize(const char *s, size_t max);

/* A single LDH label (RFC 1123): letters, digits, inner hyphens, 1..63, lower case only. */
bool text_is_label(const char *s);
/* Dot-separated labels, at most 253 bytes, no final dot. */
bool text_is_domain(const char *s);

/* printf into fresh memory. Return: the caller's to free; NULL when out of memory. */
char *text_printf(const char *fmt, ...) _printf_(1, 2);
char *text_vprintf(const char *fmt, va_list ap) _printf_(1, 0);

/* Whole-string decimal, no sign, no space. Return: 0, -EINVAL, -ERANGE. */
int parse_u64(const char *s, uint64_t max, uint64_t *ret_value);
/* "yes", "no", "true", "false", "on", "off", "1", "0". Return: 0, -EINVAL. */
int parse_bool(const char *s, bool *ret_value);
/* "90", "90s", "5m", "2h", "1d", "500ms". A number alone is seconds. Return: 0, -EINVAL, -ERANGE.
 */
int parse_duration(const char *s, uint64_t *ret_usec);
/* "4096", "64K", "1M", "2G": bytes, with factors of 1024. Return: 0, -EINVAL, -ERANGE. */
int parse_size(const char *s, uint64_t *ret_bytes);
/*
 * RFC 3339 in UTC ("2026-11-22T10:00:00Z"; a fraction and a numeric offset are understood).
 * Return: 0 and microseconds since 1970, -EINVAL.
 */
int parse_rfc3339(const char *s, uint64_t *ret_usec);
/* The reverse, whole seconds; buf of at least 21 bytes; returns buf. */
char *format_rfc3339(uint64_t usec, char *buf, size_t len);

/* "s" after so many of something, "" after one. */
const char *text_plural(size_t n);
