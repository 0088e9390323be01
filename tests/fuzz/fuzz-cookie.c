/*
 * Values of the Cookie field. What is found is one of the pairs, and a value as we write them; it
 * is found again when it stands alone.
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "coord/web/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_found(const char *field, const char *name, const char *value)
{
	char alone[COOKIE_SET_SIZE], again[COOKIE_SIZE];
	const struct cookie_set set = { .name = name, .value = value };

	require(*value && strlen(value) < COOKIE_SIZE && strstr(field, value));
	for (const char *c = value; *c; c++)
		require(isalnum((unsigned char)*c) || *c == '-' || *c == '_');
	cookie_set_text(&set, alone);
	alone[strcspn(alone, ";")] = '\0';
	require(cookie_find(alone, name, again) == 0 && strcmp(again, value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "__Host-peergate", "pg" };
	_cleanup_free_ char *field = strndup((const char *)data, size);

	require(field != NULL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char value[COOKIE_SIZE] = "";
		int r = cookie_find(field, names[i], value);

		require(r == 0 || r == -ENOENT || r == -EINVAL);
		if (r == 0)
			check_found(field, names[i], value);
		else
			require(!*value);
	}
	return 0;
}
