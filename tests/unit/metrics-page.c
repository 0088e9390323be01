#include "tests/unit/metrics-page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "tests/unit/golden.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz_"

static bool names(const char *page, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = strstr(page, name); p; p = strstr(p + 1, name))
		if (p > page && !strchr(NAME_CHARS, p[-1]) && strspn(p, NAME_CHARS) == len)
			return true;
	return false;
}

void metrics_page_check(const char *page, const char *text)
{
	_cleanup_free_ char *said = golden_read(page);
	unsigned n = 0;

	for (const char *p = strstr(text, "# TYPE "); p; p = strstr(p + 1, "# TYPE ")) {
		char name[80], type[16];

		assert_int_equal(sscanf(p, "# TYPE %72s %15s", name, type), 2);
		if (strcmp(type, "counter") == 0)
			strcat(name, "_total");
		if (!names(said, name))
			fail_msg("%s does not tell of %s", page, name);
		n++;
	}
	assert_true(n > 0);
}
