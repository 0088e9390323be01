/*
 * Tokens of forms: that whoever posts a form got it from us, in this browser, for this purpose. An
 * HMAC of the purpose, by the secret in the browser's cookie, which other sites neither know nor
 * can set ("__Host-"). Nothing is kept here.
 */
#pragma once

#include <stdbool.h>

#define CSRF_SIZE 44u /* 32 bytes in base64url, and a NUL */

/*
 * purpose: "logout", "check/ID/REVISION": what the form does, and to what as it was when it was
 * shown. Return: 0, -EIO when libcrypto fails.
 */
int csrf_token(const char *secret, const char *purpose, char ret_token[CSRF_SIZE]);
/* In constant time; token NULL: no. */
bool csrf_check(const char *secret, const char *purpose, const char *token);
