#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/state.h"
#include "common/file.h"
#include "common/text.h"

static int make_dir(void **state)
{
	char *dir = strdup("/tmp/test-state-XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	_cleanup_free_ char *dir = *state;
	_cleanup_free_ char *command = text_printf("rm -rf %s", dir);

	return system(command);
}

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), mode), 0);
}

static char *get(const char *dir, const char *name)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
	char *text = NULL;
	size_t len;

	assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, &len), 0);
	return text;
}

static struct state *open_ok(const char *dir)
{
	struct state *s = NULL;
	char *error = NULL;

	if (state_open(dir, &error, &s) < 0)
		fail_msg("%s", error);
	return s;
}

static void test_key_is_made_once(void **state)
{
	const char *dir = *state;
	_cleanup_(state_freep) struct state *first = open_ok(dir), *second = open_ok(dir);
	_cleanup_free_ char *path = text_printf("%s/node.key", dir), *text = NULL;
	struct wg_key public;
	struct stat st;

	assert_false(wg_key_is_zero(state_private_key(first)));
	assert_true(wg_key_equal(state_private_key(first), state_private_key(second)));
	assert_int_equal(wg_key_public(state_private_key(first), &public), 0);
	assert_true(wg_key_equal(&public, state_public_key(second)));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	text = get(dir, "node.key");
	assert_int_equal(strlen(text), 45);
	assert_int_equal(text[44], '\n');
}

/* At any time one of the two is the key, also for an agent that starts then. */
static void test_next_key(void **state)
{
	const char *dir = *state;
	_cleanup_(state_freep) struct state *first = open_ok(dir), *second = NULL, *third = NULL;
	struct wg_key before = *state_public_key(first), next;

	assert_null(state_next_public_key(first));
	assert_int_equal(state_use_next_key(first), -ENOENT);
	assert_int_equal(state_make_next_key(first), 0);
	next = *state_next_public_key(first);
	assert_false(wg_key_equal(&before, &next));
	assert_int_equal(state_make_next_key(first), 0);
	assert_true(wg_key_equal(&next, state_next_public_key(first)));
	second = open_ok(dir);
	assert_true(wg_key_equal(&before, state_public_key(second)));
	assert_true(wg_key_equal(&next, state_next_public_key(second)));
	assert_int_equal(state_use_next_key(second), 0);
	assert_true(wg_key_equal(&next, state_public_key(second)));
	assert_null(state_next_public_key(second));
	third = open_ok(dir);
	assert_true(wg_key_equal(&next, state_public_key(third)));
	assert_null(state_next_public_key(third));
}

static void test_renewed_key(void **state)
{
	const char *dir = *state;
	_cleanup_(state_freep) struct state *first = open_ok(dir), *second = NULL;
	struct wg_key before = *state_public_key(first), next;

	assert_int_equal(state_make_next_key(first), 0);
	next = *state_next_public_key(first);
	assert_int_equal(state_renew_key(first), 0);
	/* Neither is known to anybody any more. */
	assert_false(wg_key_equal(&before, state_public_key(first)));
	assert_false(wg_key_equal(&next, state_public_key(first)));
	second = open_ok(dir);
	assert_true(wg_key_equal(state_public_key(first), state_public_key(second)));
	assert_null(state_next_public_key(second));
}

static void refuse_key(const char *dir, const char *text, mode_t mode, const char *expected)
{
	_cleanup_free_ char *error = NULL, *after = NULL;
	struct state *s = NULL;

	put(dir, "node.key", text, mode);
	assert_true(state_open(dir, &error, &s) < 0);
	assert_null(s);
	assert_non_null(strstr(error, "/node.key: "));
	assert_non_null(strstr(error, expected));
	after = get(dir, "node.key");
	assert_string_equal(after, text);
}

static void test_bad_keys_are_kept_and_refused(void **state)
{
	refuse_key(*state, "", 0600, "is no private key");
	refuse_key(*state, "garbage\n", 0600, "is no private key");
	refuse_key(*state, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0600, "is no private");
	refuse_key(*state, "bmluZW5pbmVuaW5lbmluZW5pbmVuaW5lbmluZW5pbmU=\n", 0640,
		   "others may read or write the node's key (mode 0640)");
	refuse_key(*state, "bmluZW5pbmVuaW5lbmluZW5pbmVuaW5lbmluZW5pbmU=\n\n", 0600, "is no priv");
}

static void test_key_is_no_link(void **state)
{
	_cleanup_free_ char *path = text_printf("%s/node.key", (char *)*state), *error = NULL;
	struct state *s = NULL;

	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_true(state_open(*state, &error, &s) < 0);
	assert_non_null(strstr(error, "cannot be opened"));
}

static void test_missing_directory(void **state)
{
	_cleanup_free_ char *error = NULL;
	struct state *s = NULL;

	assert_int_equal(state_open("/nonexistent/dir", &error, &s), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent/dir: cannot be opened"));
}

static void check(const struct state *s, const char *source, uint64_t generation, int expected)
{
	_cleanup_free_ char *error = NULL;

	assert_int_equal(state_check_generation(s, source, generation, &error), expected);
	assert_true(!error == (expected == 0));
}

/* Noted, and written as it is by agent/netmap/cache.c. */
static void note(struct state *s, const char *dir, const char *source, uint64_t generation)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(state_note_map(s, source, "n1", generation), 0);
	text = state_map_text(s);
	assert_non_null(text);
	put(dir, "map.state", text, 0600);
}

static void test_generation_never_goes_back(void **state)
{
	_cleanup_(state_freep) struct state *s = open_ok(*state), *again = NULL;
	_cleanup_free_ char *error = NULL;

	assert_int_equal(state_load_map(s, &error), 0);
	assert_null(state_map_text(s));
	check(s, "/a", 0, 0);
	note(s, *state, "/a", 10);
	check(s, "/a", 9, -ESTALE);
	check(s, "/a", 10, 0);
	check(s, "/a", 11, 0);
	check(s, "/b", 1, 0);

	again = open_ok(*state);
	check(again, "/a", 9, 0);
	assert_int_equal(state_load_map(again, &error), 0);
	check(again, "/a", 9, -ESTALE);
	check(again, "/a", 10, 0);
	note(again, *state, "/b", 3);
	check(again, "/b", 2, -ESTALE);
	assert_int_equal(state_check_generation(again, "/b", 2, &error), -ESTALE);
	assert_non_null(strstr(error, "/b: generation: 2 is older than 3"));
	assert_non_null(strstr(error, "/map.state"));
}

static void check_kept(const struct state *s, const char *source, const char *node,
		       uint64_t generation, const char *expected)
{
	_cleanup_free_ char *error = NULL;
	int r = state_check_kept(s, "/kept", source, node, generation, &error);

	assert_int_equal(r, expected ? -ESTALE : 0);
	assert_true(!error == !expected);
	if (expected && !strstr(error, expected))
		fail_msg("%s", error);
}

/* A map that was kept is used only if it is the one that was in force. */
static void test_kept_map(void **state)
{
	_cleanup_(state_freep) struct state *s = open_ok(*state);
	_cleanup_free_ char *error = NULL;

	check_kept(s, "/a", "n1", 10, "/kept: the last map in force was not from /a");
	note(s, *state, "/a", 10);
	assert_int_equal(state_load_map(s, &error), 0);
	check_kept(s, "/a", "n1", 10, NULL);
	check_kept(s, "/a", "n1", 11, NULL);
	check_kept(s, "/a", "n1", 9, "/kept: generation: 9 is older than 10");
	check_kept(s, "/a", "n2", 10, "/kept: for: the last map in force was not for node");
	check_kept(s, "/b", "n1", 10, "/kept: the last map in force was not from /b");
	/* As an older version wrote it. */
	put(*state, "map.state", "Source=/a\nGeneration=10\n", 0600);
	assert_int_equal(state_load_map(s, &error), 0);
	check(s, "/a", 9, -ESTALE);
	check_kept(s, "/a", "n1", 10, "/kept: for: ");
}

static void test_damaged_generation(void **state)
{
	static const char *const damaged[] = {
		"Generation=x\nSource=/a\n",
		"Source=/a\nGeneration=99\nMore=1\n",
		"\1\2\3",
	};

	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		_cleanup_(state_freep) struct state *s = open_ok(*state);
		_cleanup_free_ char *error = NULL;

		put(*state, "map.state", damaged[i], 0600);
		assert_true(state_load_map(s, &error) < 0);
		assert_non_null(strstr(error, "map.state:"));
		check(s, "/a", 1, 0);
		note(s, *state, "/a", 2);
		check(s, "/a", 1, -ESTALE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_key_is_made_once, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_bad_keys_are_kept_and_refused, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_key_is_no_link, make_dir, remove_dir),
		cmocka_unit_test(test_missing_directory),
		cmocka_unit_test_setup_teardown(test_next_key, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_renewed_key, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_generation_never_goes_back, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_kept_map, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_damaged_generation, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
