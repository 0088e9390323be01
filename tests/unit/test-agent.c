/* The agent: what is done, in which order, when a map comes or is refused. */
#include <errno.h>
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
#include "common/names.h"
#include "common/text.h"
#include "tests/unit/agent-fixture.h"

static void test_applies_the_map(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *path = text_printf("%s/ssh_known_hosts", f->dir), *text = NULL;
	size_t len;

	start_with(f, 5);
	assert_int_equal(the_kernel->n_applied, 1);
	assert_int_equal(agent_netmap(f->agent)->generation, 5);
	assert_null(agent_map_problem(f->agent));
	assert_null(agent_kernel_problem(f->agent));
	assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, &len), 0);
	assert_non_null(strstr(text, "\nlaptop,laptop.mesh.example,100.64.0.2 ssh-ed25519 AAAA"));
}

static int find_name(const struct fixture *f, const char *label)
{
	struct names_host host;
	struct names names;
	int r = names_open(f->dir, &names);

	if (r < 0)
		return r;
	r = names_find(&names, label, &host);
	names_close(&names);
	return r;
}

/* The map in force is there for everybody to read. */
static void check_map_written(const struct fixture *f, uint64_t generation)
{
	_cleanup_free_ char *path = text_printf("%s/netmap.json", f->dir);
	_cleanup_free_ char *text = NULL, *error = NULL;
	_cleanup_(netmap_freep) struct netmap *map = NULL;
	struct stat st;
	size_t len;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &text, &len), 0);
	assert_int_equal(netmap_parse(text, len, path, &error, &map), 0);
	assert_int_equal(map->generation, generation);
}

static void test_names_follow_the_map(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	assert_int_equal(find_name(f, "server"), 0);
	assert_int_equal(find_name(f, "laptop"), 0);
	put_map(f, &(struct map_options){ .generation = 6, .peer_name = "desk" });
	AWAIT(f, the_kernel->generation == 6);
	assert_int_equal(find_name(f, "laptop"), NAMES_NONE);
	assert_int_equal(find_name(f, "desk"), 0);
	check_map_written(f, 6);
	/* Refused maps change nothing, and the last one's names outlive the agent. */
	put_text(f, "{}");
	AWAIT(f, agent_map_problem(f->agent));
	f->agent = agent_free(f->agent);
	assert_int_equal(find_name(f, "desk"), 0);
}

/* One file that cannot be written keeps the other from nothing, and is written later. */
static void test_a_file_that_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *names = text_printf("%s/" NAMES_FILE, f->dir);
	_cleanup_free_ char *known = text_printf("%s/ssh_known_hosts", f->dir);

	assert_int_equal(mkdir(known, 0755), 0);
	start_with(f, 5);
	assert_int_equal(find_name(f, "laptop"), 0);
	assert_int_equal(unlink(names), 0);
	assert_int_equal(rmdir(known), 0);
	the_kernel->foreign(the_kernel->userdata, "Somebody did something");
	AWAIT(f, access(known, R_OK) == 0);
	/* (That one was written, and is not again.) */
	assert_int_equal(find_name(f, "laptop"), -ENOENT);
}

/* A full disk: the generation is noted with the next map at the latest. */
static void test_generation_that_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *noted = state_path(f, "map.state");

	assert_int_equal(mkdir(noted, 0755), 0);
	start_with(f, 5);
	run_for(f, 300000);
	assert_int_equal(noted_generation(f), 0);
	assert_int_equal(rmdir(noted), 0);
	/* Soon, though the next try is far away: what is due is written at the end. */
	f->agent = agent_free(f->agent);
	assert_int_equal(noted_generation(f), 5);
}

static void test_no_map_blocks(void **state)
{
	struct fixture *f = *state;

	start_agent(f, 0);
	assert_int_equal(the_kernel->n_applied, 1);
	assert_false(the_kernel->map_seen);
	assert_null(agent_netmap(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "cannot be opened"));
	put_map(f, &(struct map_options){ .generation = 1 });
	AWAIT(f, the_kernel->map_seen);
	assert_null(agent_map_problem(f->agent));
}

static void test_refused_map_changes_nothing(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	put_text(f, "{");
	AWAIT(f, agent_map_problem(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "map.json: line 1 column"));
	put_map(f, &(struct map_options){ .generation = 4 });
	AWAIT(f, strstr(agent_map_problem(f->agent), "generation: 4 is older than 5"));
	assert_int_equal(agent_netmap(f->agent)->generation, 5);
	assert_int_equal(the_kernel->n_applied, 1);
	put_map(f, &(struct map_options){ .generation = 6 });
	AWAIT(f, !agent_map_problem(f->agent));
	assert_int_equal(the_kernel->generation, 6);
}

static void test_older_map_after_restart(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *kept = state_path(f, "netmap.json");

	start_with(f, 5);
	f->agent = agent_free(f->agent);
	put_map(f, &(struct map_options){ .generation = 4 });
	assert_int_equal(unlink(kept), 0);
	start_agent(f, 0);
	assert_null(agent_netmap(f->agent));
	assert_false(the_kernel->map_seen);
	assert_non_null(strstr(agent_map_problem(f->agent), "generation: 4 is older than 5"));
}

/* Sources other than the file count for themselves. */
static void test_maps_are_offered(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	assert_int_equal(agent_offer_map(f->agent, map_of(3, "coord"), "coord"), 0);
	assert_int_equal(the_kernel->generation, 3);
	assert_string_equal(agent_map_source(f->agent), "coord");
	assert_int_equal(agent_offer_map(f->agent, map_of(2, "coord"), "coord"), -ESTALE);
	assert_non_null(
		strstr(agent_map_problem(f->agent), "coord: generation: 2 is older than 3"));
	assert_int_equal(the_kernel->generation, 3);
	assert_int_equal(agent_offer_map(f->agent, map_of(3, "coord"), "coord"), 0);
	assert_null(agent_map_problem(f->agent));
	agent_refuse_map(f->agent, strdup("coord: says nonsense"));
	assert_string_equal(agent_map_problem(f->agent), "coord: says nonsense");
	f->agent = agent_free(f->agent);

	/* An agent without a file, whose source is not there yet. */
	f->agent = new_agent(f);
	assert_int_equal(agent_use_kept_map(f->agent, "coord", "n7"), -ESTALE);
	assert_null(agent_netmap(f->agent));
	assert_int_equal(agent_use_kept_map(f->agent, "coord", "n1"), 0);
	assert_int_equal(the_kernel->generation, 3);
	assert_int_equal(agent_use_kept_map(f->agent, "other", NULL), -ESTALE);
	assert_int_equal(the_kernel->generation, 3);
	/* As another node it begins anew, with whatever generation. */
	agent_forget_map(f->agent);
	assert_int_equal(agent_offer_map(f->agent, map_of(2, "coord"), "coord"), 0);
}

static void test_same_generation_edited(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	put_map(f, &(struct map_options){ .generation = 5, .rules = "" });
	AWAIT(f, agent_netmap(f->agent)->n_ssh_rules == 0);
}

static void test_own_key_is_refused(void **state)
{
	struct fixture *f = *state;
	char key[WG_KEY_B64LEN];

	start_with(f, 5);
	wg_key_to_string(agent_public_key(f->agent), key);
	put_map(f, &(struct map_options){ .generation = 6, .key = key });
	AWAIT(f, agent_map_problem(f->agent));
	assert_non_null(strstr(agent_map_problem(f->agent), "peer laptop has this node's own key"));
	assert_int_equal(the_kernel->generation, 5);
}

static void test_leases_end_before_the_kernel_changes(void **state)
{
	struct fixture *f = *state;
	uint64_t begin;

	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_map(f, &(struct map_options){ .generation = 6, .rules = "" });
	begin = clock_now(CLOCK_MONOTONIC);
	AWAIT(f, !f->lease);
	assert_int_equal(f->applied_at_revocation, 1);
	assert_int_equal(the_kernel->n_applied, 2);
	assert_true(clock_now(CLOCK_MONOTONIC) - begin < 1000000);
}

static void test_refused_map_keeps_leases(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_text(f, "");
	AWAIT(f, agent_map_problem(f->agent));
	assert_non_null(f->lease);
}

/* The packet filter's half of the right is taken away. */
static void test_filter_ends_leases(void **state)
{
	struct fixture *f = *state;

	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_map(f, &(struct map_options){ .generation = 6 });
	AWAIT(f, the_kernel->n_applied == 2);
	assert_non_null(f->lease);
	put_map(f, &(struct map_options){ .generation = 7, .may_reach_ssh = "100.64.0.3" });
	AWAIT(f, the_kernel->n_applied == 3);
	assert_null(f->lease);
	assert_int_equal(f->applied_at_revocation, 2);
}

static int stay_busy(sd_event_source *source, void *userdata)
{
	return 0;
}

/*
 * Something that is more urgent than anything ordinary, and never done. Maps, expiries, foreign
 * changes and further attempts go before it.
 */
static void test_goes_before_other_work(void **state)
{
	_cleanup_(sd_event_source_disable_unrefp) sd_event_source *busy = NULL;
	struct map_options expiring = { .generation = 7 };
	struct fixture *f = *state;
	unsigned n;

	assert_int_equal(sd_event_add_defer(f->event, &busy, stay_busy, NULL), 0);
	assert_int_equal(sd_event_source_set_enabled(busy, SD_EVENT_ON), 0);
	assert_int_equal(sd_event_source_set_priority(busy, SD_EVENT_PRIORITY_NORMAL - 1), 0);
	start_with(f, 5);
	grant(f, UINT64_MAX);
	put_map(f, &(struct map_options){ .generation = 6, .rules = "" });
	AWAIT(f, the_kernel->generation == 6);
	assert_null(f->lease);
	the_kernel->foreign(the_kernel->userdata, "the nftables table");
	AWAIT(f, the_kernel->n_applied == 3);
	n = enforce_expiring(f, &expiring, &expiring.peer_expiry);
	AWAIT(f, the_kernel->n_applied == n + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		AGENT_TEST(test_applies_the_map),
		AGENT_TEST(test_names_follow_the_map),
		AGENT_TEST(test_a_file_that_cannot_be_written),
		AGENT_TEST(test_generation_that_cannot_be_written),
		AGENT_TEST(test_no_map_blocks),
		AGENT_TEST(test_refused_map_changes_nothing),
		AGENT_TEST(test_older_map_after_restart),
		AGENT_TEST(test_maps_are_offered),
		AGENT_TEST(test_same_generation_edited),
		AGENT_TEST(test_own_key_is_refused),
		AGENT_TEST(test_leases_end_before_the_kernel_changes),
		AGENT_TEST(test_refused_map_keeps_leases),
		AGENT_TEST(test_filter_ends_leases),
		AGENT_TEST(test_goes_before_other_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
