/* The agent and the last map, kept on disk. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/text.h"
#include "tests/unit/agent-fixture.h"

static void start_again(struct fixture *f)
{
	f->agent = agent_free(f->agent);
	start_agent(f, 0);
}

static void break_map(struct fixture *f)
{
	put_text(f, "{");
}

static void remove_map(struct fixture *f)
{
	assert_int_equal(unlink(f->map_path), 0);
}

static void put_older_map(struct fixture *f)
{
	put_map(f, &(struct map_options){ .generation = 4 });
}

/* Whatever is wrong with the file, the last good map stays in force over a restart. */
static void test_last_map_after_restart(void **state)
{
	static const struct {
		void (*spoil)(struct fixture *f);
		const char *problem;
	} cases[] = {
		{ break_map, "map.json: line 1" },
		{ remove_map, "cannot be opened" },
		{ put_older_map, "generation: 4 is older than 6" },
	};
	struct fixture *f = *state;

	start_with(f, 5);
	put_map(f, &(struct map_options){ .generation = 6 });
	AWAIT(f, agent_netmap(f->agent)->generation == 6);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cases[i].spoil(f);
		start_again(f);
		assert_int_equal(the_kernel->n_applied, 1);
		assert_int_equal(the_kernel->generation, 6);
		assert_string_equal(agent_map_source(f->agent), f->map_path);
		assert_non_null(strstr(agent_map_problem(f->agent), cases[i].problem));
	}
	/* Its file mended, all is as ever. */
	put_map(f, &(struct map_options){ .generation = 7 });
	AWAIT(f, the_kernel->generation == 7);
	assert_null(agent_map_problem(f->agent));
}

/* Keys end by the clock, not by whether the map can be read. */
static void test_last_map_expires(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *expiry = soon(1500000);

	put_map(f, &(struct map_options){ .generation = 1, .self_expiry = expiry });
	start_agent(f, 0);
	break_map(f);
	start_again(f);
	assert_non_null(agent_netmap(f->agent));
	AWAIT(f, !the_kernel->map_seen);
}

static void replace_kept(struct fixture *f, const char *text, mode_t mode)
{
	_cleanup_free_ char *kept = state_path(f, "netmap.json");

	assert_int_equal(file_write_atomic(AT_FDCWD, kept, text, strlen(text), mode), 0);
}

static char *kept_text(struct fixture *f)
{
	_cleanup_free_ char *kept = state_path(f, "netmap.json");
	struct stat st;
	size_t len;
	char *text;

	assert_int_equal(stat(kept, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_read(AT_FDCWD, kept, 1 << 20, &text, &len), 0);
	return text;
}

static void edit(char *text, const char *from, const char *to)
{
	char *at = strstr(text, from);

	assert_non_null(at);
	assert_int_equal(strlen(from), strlen(to));
	memcpy(at, to, strlen(to));
}

/* What is on disk has to be the map that was in force, and ours. */
static void test_last_map_that_is_none(void **state)
{
	static const struct {
		const char *from, *to;
		mode_t mode;
	} cases[] = {
		{ "\"generation\":5", "\"generation\":4", 0600 },
		{ "\"for\":\"n1\"", "\"for\":\"n9\"", 0600 },
		{ "{\"type\"", "[\"type\"", 0600 },
		{ "{", "{", 0620 },
	};
	struct fixture *f = *state;
	_cleanup_free_ char *good = NULL;

	start_with(f, 5);
	f->agent = agent_free(f->agent);
	good = kept_text(f);
	break_map(f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *text = strdup(good);

		edit(text, cases[i].from, cases[i].to);
		if (strstr(cases[i].to, "n9"))
			edit(text, "\"id\":\"n1\"", "\"id\":\"n9\"");
		replace_kept(f, text, cases[i].mode);
		start_agent(f, 0);
		assert_null(agent_netmap(f->agent));
		assert_false(the_kernel->map_seen);
		f->agent = agent_free(f->agent);
	}
	replace_kept(f, good, 0600);
	start_agent(f, 0);
	assert_int_equal(the_kernel->generation, 5);
}

/* Nobody asked for the map of another source, or after "forget what was". */
static void test_last_map_of_another_source(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *noted = state_path(f, "map.state");

	start_with(f, 5);
	f->agent = agent_free(f->agent);
	free(f->map_path);
	f->map_path = text_printf("%s/other.json", f->dir);
	start_agent(f, 0);
	assert_null(agent_netmap(f->agent));
	f->agent = agent_free(f->agent);
	free(f->map_path);
	f->map_path = text_printf("%s/map.json", f->dir);
	break_map(f);
	assert_int_equal(unlink(noted), 0);
	start_agent(f, 0);
	assert_null(agent_netmap(f->agent));
}

/* The host's own key in the kept map: its state directory was copied together with a new key. */
static void test_last_map_with_own_key(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	char key[WG_KEY_B64LEN];

	start_with(f, 5);
	wg_key_to_string(agent_public_key(f->agent), key);
	f->agent = agent_free(f->agent);
	text = kept_text(f);
	edit(text, KEY_2, key);
	replace_kept(f, text, 0600);
	break_map(f);
	start_agent(f, 0);
	assert_null(agent_netmap(f->agent));
}

/* Written while the agent runs, but not once for each of many maps. */
static void test_map_is_kept_soon_and_not_too_often(void **state)
{
	struct fixture *f = *state;
	unsigned noted = 5, n_noted = 0;
	uint64_t begin;

	start_with(f, 5);
	AWAIT(f, noted_generation(f) == 5);
	begin = clock_now(CLOCK_MONOTONIC);
	for (int generation = 6; generation < 16; generation++) {
		put_map(f, &(struct map_options){ .generation = generation });
		AWAIT(f, agent_netmap(f->agent)->generation == (uint64_t)generation);
		run_for(f, 10000);
		n_noted += noted_generation(f) != noted;
		noted = noted_generation(f);
	}
	assert_true(n_noted <= 1 + (clock_now(CLOCK_MONOTONIC) - begin) / 1000000);
	AWAIT(f, noted_generation(f) == 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AGENT_TEST(test_last_map_after_restart),
		AGENT_TEST(test_last_map_expires),
		AGENT_TEST(test_last_map_that_is_none),
		AGENT_TEST(test_last_map_of_another_source),
		AGENT_TEST(test_last_map_with_own_key),
		AGENT_TEST(test_map_is_kept_soon_and_not_too_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
