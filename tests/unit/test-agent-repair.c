/* The agent when others change what is its, or the kernel does not take it; what it tells. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/stats.h"
#include "common/log.h"
#include "common/text.h"
#include "tests/unit/agent-fixture.h"

static void test_foreign_change_is_undone(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	run_for(f, 150000);
	the_kernel->foreign(the_kernel->userdata, "the nftables table");
	/* Nothing is open until the apply comes. */
	assert_int_equal(the_kernel->n_shut, 1);
	assert_int_equal(the_kernel->n_applied, 1);
	the_kernel->foreign(the_kernel->userdata, "the nftables table");
	AWAIT(f, the_kernel->n_applied == 2);
	/* At once: a pause would have begun with that. */
	assert_int_equal(the_kernel->n_held, 0);
}

/* Whoever fights with us gets an answer ten times a second, no more; fewer where the machine is
 * busy. */
static void test_foreign_changes_are_paced(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = clock_now(CLOCK_MONOTONIC);

	start_with(f, 5);
	while (the_kernel->n_applied < 6 && clock_now(CLOCK_MONOTONIC) < begin + WAIT_USEC) {
		the_kernel->foreign(the_kernel->userdata, "the nftables table");
		assert_true(sd_event_run(f->event, 1000) >= 0);
	}
	assert_int_equal(the_kernel->n_applied, 6);
	assert_true(clock_now(CLOCK_MONOTONIC) - begin > 350000);
	/* Each pause began with a look whether the link may stay up. */
	assert_true(the_kernel->n_held >= 3);
}

/* Nobody can write a file over a directory. */
static char *block_known_hosts(const struct fixture *f)
{
	char *path = text_printf("%s/ssh_known_hosts", f->dir);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	return path;
}

/* Files that cannot be written wait for a better time, the table does not. */
static void test_foreign_change_while_files_fail(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = NULL;

	start_with(f, 5);
	path = block_known_hosts(f);
	for (int i = 0; i < 8; i++) {
		unsigned n = the_kernel->n_applied;

		the_kernel->foreign(the_kernel->userdata, "the nftables table");
		assert_int_equal(agent_offer_map(f->agent, map_of(6 + i, f->map_path), f->map_path),
				 0);
		the_kernel->foreign(the_kernel->userdata, "the nftables table");
		AWAIT(f, the_kernel->n_applied == n + 2);
	}
}

/* The kernel has what it wants: only the files are tried again. */
static void test_files_are_retried(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = NULL;
	struct stat st;

	start_with(f, 5);
	path = block_known_hosts(f);
	assert_int_equal(agent_offer_map(f->agent, map_of(6, f->map_path), f->map_path), 0);
	assert_int_equal(rmdir(path), 0);
	AWAIT(f, stat(path, &st) == 0);
	assert_int_equal(the_kernel->n_applied, 2);
}

/* While an apply keeps failing, the attempts get rare: news that may change that go before. */
static void test_foreign_change_between_attempts(void **state)
{
	struct fixture *f = *state;
	uint64_t begin;

	put_map(f, &(struct map_options){ .generation = 5 });
	f->agent = new_agent(f);
	the_kernel->fail = -EEXIST;
	the_kernel->n_fail = 3;
	assert_int_equal(agent_start(f->agent), -EIO);
	AWAIT(f, the_kernel->n_applied == 3); /* the next one would be in a second */
	run_for(f, 150000);
	begin = clock_now(CLOCK_MONOTONIC);
	the_kernel->foreign(the_kernel->userdata, "link mesh0 was deleted");
	AWAIT(f, !agent_kernel_problem(f->agent));
	assert_true(clock_now(CLOCK_MONOTONIC) - begin < 500000);
}

static void collect_line(void *userdata, int level, const char *text)
{
	char *lines = userdata;

	if (level <= LOG_WARNING)
		snprintf(lines + strlen(lines), 1000 - strlen(lines), "%s\n", text);
}

static void collect_notice(void *userdata, int level, const char *text)
{
	char *lines = userdata;

	if (level <= LOG_NOTICE)
		snprintf(lines + strlen(lines), 1000 - strlen(lines), "%s\n", text);
}

/* The same mistake once more is no news; it is again after a map that was good. */
static void test_refusals_are_told_once(void **state)
{
	struct fixture *f = *state;
	char lines[1000] = "";
	unsigned n = 0;

	start_with(f, 5);
	log_set_sink(collect_notice, lines);
	for (int i = 0; i < 2; i++) {
		put_text(f, "");
		AWAIT(f, agent_stats(f->agent)->maps_refused == n + 1);
		put_text(f, "");
		AWAIT(f, agent_stats(f->agent)->maps_refused == n + 2);
		n += 2;
		put_map(f, &(struct map_options){ .generation = 6 + i });
		AWAIT(f, the_kernel->generation == (uint64_t)(6 + i));
	}
	log_set_sink(discard_log, NULL);
	for (char *at = lines; (at = strstr(at, "Map refused")); at++)
		n -= 2;
	assert_int_equal(n, 0);
	assert_non_null(strstr(
		lines, "Map generation 7 in force: 1 peer, 1 filter rule, 1 SSH rule, SSH on"));
}

/* Told when something was wrong, with all that led to it; not when it was an echo. */
static void test_repair_is_told(void **state)
{
	struct fixture *f = *state;
	char lines[1000] = "";

	start_with(f, 5);
	run_for(f, 150000);
	log_set_sink(collect_line, lines);
	the_kernel->foreign(the_kernel->userdata, "an echo");
	AWAIT(f, the_kernel->n_applied == 2);
	assert_string_equal(lines, "");
	the_kernel->repairs.links_created = 1;
	the_kernel->foreign(the_kernel->userdata, "link mesh0 was deleted by ip (pid 7)");
	the_kernel->foreign(the_kernel->userdata, "link mesh0 was deleted by ip (pid 7)");
	the_kernel->foreign(the_kernel->userdata, "table inet peergate was changed by x\n (pid 8)");
	AWAIT(f, the_kernel->n_applied == 3);
	log_set_sink(NULL, NULL);
	assert_string_equal(lines, "Put right what others changed: link mesh0 was deleted by ip "
				   "(pid 7); table inet peergate was changed by x? (pid 8)\n");
}

static void test_kernel_failure_is_retried(void **state)
{
	struct fixture *f = *state;

	put_map(f, &(struct map_options){ .generation = 5 });
	f->agent = new_agent(f);
	the_kernel->fail = -EBUSY;
	the_kernel->n_fail = 2;
	assert_int_equal(agent_start(f->agent), -EIO);
	assert_string_equal(agent_kernel_problem(f->agent), "the kernel is on strike");
	assert_int_equal(agent_netmap(f->agent)->generation, 5);
	AWAIT(f, !agent_kernel_problem(f->agent));
	assert_int_equal(the_kernel->n_applied, 3);
	assert_int_equal(the_kernel->generation, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AGENT_TEST(test_refusals_are_told_once),
		AGENT_TEST(test_foreign_change_is_undone),
		AGENT_TEST(test_foreign_changes_are_paced),
		AGENT_TEST(test_foreign_change_while_files_fail),
		AGENT_TEST(test_files_are_retried),
		AGENT_TEST(test_foreign_change_between_attempts),
		AGENT_TEST(test_repair_is_told),
		AGENT_TEST(test_kernel_failure_is_retried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
