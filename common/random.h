/* Randomness that nobody can guess, from getrandom(2). */
#pragma once

#include <stddef.h>

/* Return: 0, negative errno. */
int random_bytes(void *buf, size_t len);

#define RANDOM_SECRET_SIZE 44u /* of the text, with a NUL */
/* 32 bytes as base64url: as hard to guess as a key. Return: as above. */
int random_secret(char ret_text[RANDOM_SECRET_SIZE]);
