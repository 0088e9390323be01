#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ssh/known_hosts.h"
#include "common/file.h"
#include "common/text.h"

static char *read_data(const char *name, size_t *ret_len)
{
	_cleanup_free_ char *path = text_printf("%s/%s", getenv("TEST_DATA"), name);
	char *text = NULL;

	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, ret_len), 0);
	return text;
}

static void test_golden(void **state)
{
	_cleanup_free_ char *document = NULL, *golden = NULL, *error = NULL, *text = NULL;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	size_t len, golden_len;

	document = read_data("netmap-full.json", &len);
	golden = read_data("known_hosts.golden", &golden_len);
	assert_int_equal(netmap_parse(document, len, "m", &error, &map), 0);
	assert_int_equal(known_hosts_format(map, &text), 0);
	assert_string_equal(text, golden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
