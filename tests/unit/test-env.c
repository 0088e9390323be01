#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "sshgw/monitor/env.h"

static char everything[] = "*", git[] = "GIT_*", one[] = "FOO?", bracket[] = "[A-Z]*",
	    exact[] = "EXACT", escape[] = "\\FOO", lower[] = "foo";

/* What no pattern lets in. */
static void test_never(void **state)
{
	static const char *const names[] = {
		"LD_PRELOAD",
		"LD_LIBRARY_PATH",
		"ld_preload",
		"LD_",
		"DYLD_INSERT_LIBRARIES",
		"dyld_insert_libraries",
		"GOTRACEBACK",
		"gotraceback",
		"BASH_ENV",
		"ENV",
		"env",
		"BASH_FUNC_x",
		"SHELLOPTS",
		"BASHOPTS",
		"IFS",
		"PS4",
		"PERL5LIB",
		"PERL5OPT",
		"PERLLIB",
		"PYTHONPATH",
		"PYTHONSTARTUP",
		"RUBYOPT",
		"NODE_OPTIONS",
		"GCONV_PATH",
		"GLIBC_TUNABLES",
		"MALLOC_CHECK_",
		"TZDIR",
		"LOCPATH",
		"NLSPATH",
		"SHELL",
		"HOME",
		"USER",
		"LOGNAME",
		"PATH",
		"MAIL",
		"SSH_AUTH_SOCK",
		"SSH_ORIGINAL_COMMAND",
		"SSH_CONNECTION",
		"XDG_RUNTIME_DIR",
		"DBUS_SESSION_BUS_ADDRESS",
		"TMPDIR",
		"ZDOTDIR",
		"FPATH",
		"OPENSSL_CONF",
		"OPENSSL_MODULES",
		"GIT_SSH_COMMAND",
		"GIT_CONFIG_COUNT",
		"JAVA_TOOL_OPTIONS",
		"PROMPT_COMMAND",
		"LESSOPEN",
		"HOSTALIASES",
		"KRB5_CONFIG",
		"NOTIFY_SOCKET",
		"LISTEN_FDS",
	};
	char *const patterns[] = { everything, NULL };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *own = strdup(names[i]);
		char *const itself[] = { own, NULL };

		print_message("%s\n", names[i]);
		assert_false(env_is_allowed(names[i], patterns));
		assert_false(env_is_allowed(names[i], itself));
		assert_false(env_is_allowed(names[i], NULL));
	}
}

static void test_always(void **state)
{
	static const char *const names[] = { "LANG", "LC_ALL", "LC_CTYPE", "LC_" };
	char *const none[] = { NULL };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_true(env_is_allowed(names[i], NULL));
		assert_true(env_is_allowed(names[i], none));
	}
	assert_false(env_is_allowed("LANGUAGE", NULL));
	assert_false(env_is_allowed("lang", NULL));
	assert_false(env_is_allowed("XLANG", NULL));
}

static void test_names(void **state)
{
	static const char *const bad[] = { "",	       "A,B",		"1FOO",	    "A=B",
					   "A B",      "A\n",		"A-B",	    "A.B",
					   "\xc3\x84", "BASH_FUNC_x%%", "LC_ALL=x", "LANG\t" };
	static const char *const good[] = { "FOO", "_", "_1", "a", "Foo_Bar9" };
	char *const patterns[] = { everything, NULL };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(env_is_allowed(bad[i], patterns));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(env_is_allowed(good[i], patterns));
		assert_false(env_is_allowed(good[i], NULL));
	}
}

static void test_patterns(void **state)
{
	static const struct {
		char *pattern;
		const char *name;
		bool allowed;
	} cases[] = {
		{ git, "GIT_AUTHOR_NAME", true },
		{ git, "GIT_", true },
		{ git, "GIT", false },
		{ git, "XGIT_A", false },
		{ git, "git_author", false },
		{ one, "FOO1", true },
		{ one, "FOO", false },
		{ one, "FOO12", false },
		{ exact, "EXACT", true },
		{ exact, "EXACT1", false },
		{ lower, "foo", true },
		{ lower, "FOO", false },
		/* Brackets and escapes are no part of the language. */
		{ bracket, "FOO", false },
		{ escape, "FOO", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *const patterns[] = { cases[i].pattern, NULL };
		char *const second[] = { exact, cases[i].pattern, NULL };

		print_message("%s %s\n", cases[i].pattern, cases[i].name);
		assert_int_equal(env_is_allowed(cases[i].name, patterns), cases[i].allowed);
		assert_int_equal(env_is_allowed(cases[i].name, second), cases[i].allowed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_always),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
