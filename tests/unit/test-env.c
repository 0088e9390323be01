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
		"JDK_JAVA_OPTIONS",
		"DOTNET_STARTUP_HOOKS",
		"LUA_INIT",
		"LUA_INIT_5_4",
		"PHPRC",
		"PHP_INI_SCAN_DIR",
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
		assert_false(env_is_allowed(names[i], patterns, false));
		assert_false(env_is_allowed(names[i], itself, false));
		assert_false(env_is_allowed(names[i], NULL, false));
	}
}

static void test_always(void **state)
{
	static const char *const names[] = { "LANG", "LC_ALL", "LC_CTYPE", "LC_" };
	char *const none[] = { NULL };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_true(env_is_allowed(names[i], NULL, false));
		assert_true(env_is_allowed(names[i], none, false));
	}
	assert_false(env_is_allowed("LANGUAGE", NULL, false));
	assert_false(env_is_allowed("lang", NULL, false));
	assert_false(env_is_allowed("XLANG", NULL, false));
}

static void test_names(void **state)
{
	static const char *const bad[] = { "",	       "A,B",		"1FOO",	    "A=B",
					   "A B",      "A\n",		"A-B",	    "A.B",
					   "\xc3\x84", "BASH_FUNC_x%%", "LC_ALL=x", "LANG\t" };
	static const char *const good[] = { "FOO", "_", "_1", "a", "Foo_Bar9" };
	char *const patterns[] = { everything, NULL };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(env_is_allowed(bad[i], patterns, false));
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(env_is_allowed(good[i], patterns, false));
		assert_false(env_is_allowed(good[i], NULL, false));
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
		assert_int_equal(env_is_allowed(cases[i].name, patterns, false), cases[i].allowed);
		assert_int_equal(env_is_allowed(cases[i].name, second, false), cases[i].allowed);
	}
}

/* A program that is not the client's choice: what a rule names in full, nothing by wildcards. */
static void test_forced(void **state)
{
	static char editor[] = "EDITOR", preload[] = "LD_PRELOAD";
	char *const wild[] = { everything, one, bracket, NULL };
	char *const named[] = { everything, editor, preload, NULL };

	assert_false(env_is_allowed("FOO1", wild, true));
	assert_false(env_is_allowed("EDITOR", wild, true));
	assert_true(env_is_allowed("EDITOR", wild, false));
	assert_true(env_is_allowed("EDITOR", named, true));
	assert_false(env_is_allowed("PAGER", named, true));
	assert_false(env_is_allowed("LD_PRELOAD", named, true));
	assert_true(env_is_allowed("LANG", NULL, true));
	assert_true(env_is_allowed("LC_ALL", wild, true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),  cmocka_unit_test(test_always),
		cmocka_unit_test(test_names),  cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_forced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
