/* Base64 (RFC 4648): with "+/" and padding, or with "-_" and none, as URLs and JSON like it. */
#pragma once

#include <stddef.h>

/* Characters for len bytes, without a final NUL. */
#define BASE64_LEN(len)	   (((len) + 2) / 3 * 4)
#define BASE64URL_LEN(len) (((len)*4 + 2) / 3)

/* Write BASE64_LEN(len) or BASE64URL_LEN(len) characters and a NUL; return buf. */
char *base64_encode(const void *data, size_t len, char *buf);
char *base64url_encode(const void *data, size_t len, char *buf);

/*
 * Exactly len bytes from exactly as many characters as they take; nothing behind them is looked at.
 * One content, one text: stray bits in the last character, blanks and other padding are refused.
 * Takes the same time whatever the content, which may be a secret.
 * Return: 0; -EINVAL, and buf then holds nothing of use.
 */
int base64_decode(const char *text, size_t text_len, void *buf, size_t len);
int base64url_decode(const char *text, size_t text_len, void *buf, size_t len);
