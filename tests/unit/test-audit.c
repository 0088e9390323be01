/* What the audit subsystem is told, which has to be one record whatever a client says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "sshgw/audit.h"

static void test_success(void **state)
{
	char text[AUDIT_TEXT_LEN];

	assert_string_equal(audit_login_text(&(struct audit_login){ .success = true,
								    .uid = 1000,
								    .exe = "/usr/lib/session",
								    .address = "fd00::2" },
					     text),
			    "op=login id=1000 exe=\"/usr/lib/session\" hostname=? addr=fd00::2 "
			    "terminal=ssh res=success");
}

static void test_names(void **state)
{
	static const struct {
		const char *account, *encoded;
	} cases[] = {
		{ "alice", "\"alice\"" },
		{ "a.b-c@d$", "\"a.b-c@d$\"" },
		{ "", "?" },
		{ "x res=success", "78207265733D73756363657373" },
		{ "a\"b", "612262" },
		{ "a'b", "612762" },
		{ "a\nb", "610A62" },
		{ "\x7f", "7F" },
		{ "\xff\xc3\xa9", "FFC3A9" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct audit_login login = { .account = cases[i].account,
						   .exe = "/a b (deleted)",
						   .address = "100.64.0.2" };
		char text[AUDIT_TEXT_LEN], want[256];

		snprintf(want, sizeof(want),
			 "op=login acct=%s exe=2F612062202864656C6574656429 hostname=? "
			 "addr=100.64.0.2 terminal=ssh res=failed",
			 cases[i].encoded);
		assert_string_equal(audit_login_text(&login, text), want);
	}
}

/* The end of the text has the result, whatever is in front of it. */
static void test_long_values(void **state)
{
	static const char end[] = " terminal=ssh res=failed";
	static const char fill[] = { 'x', ' ' };

	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		char value[5000], text[AUDIT_TEXT_LEN];
		const struct audit_login login = { .account = value,
						   .exe = value,
						   .address = "fd7a:115c:a1e0::1" };

		memset(value, fill[i], sizeof(value) - 1);
		value[sizeof(value) - 1] = '\0';
		audit_login_text(&login, text);
		assert_string_equal(text + strlen(text) - strlen(end), end);
		assert_null(strchr(text, '\n'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
