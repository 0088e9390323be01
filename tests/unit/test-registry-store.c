/*
 * The registry and its store: races between two that share one, restarts, what was changed behind
 * its back, a store that fails, forgets or answers late.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "tests/unit/registry-fixture.h"

#define ALICE "alice@example.com"

/* ---- what happens to transactions on their way ---- */

struct held {
	store_answer_fn fn;
	void *userdata;
};

static struct {
	void (*before)(void *userdata); /* once, before the next transaction */
	void *userdata;
	int status; /* of the next transaction, which does not happen */
	bool hold;  /* it happens, but its answer is held */
	struct held held;
} next;

int __real_store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
		     const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata);
int __wrap_store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
		     const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata);

static struct store_answer last_answer;

static void keep_answer(const struct store_answer *answer, void *userdata)
{
	last_answer = *answer;
	last_answer.conflict = NULL;
}

int __wrap_store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
		     const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata)
{
	if (next.before)
		take_ptr(next.before)(next.userdata);
	if (next.status) {
		const struct store_answer answer = {
			.status = next.status,
			.text = "the disk is full",
		};

		next.status = 0;
		fn(&answer, userdata);
		return 0;
	}
	if (!next.hold)
		return __real_store_txn(store, conds, n_conds, ops, n_ops, fn, userdata);
	next.hold = false;
	next.held = (struct held){ fn, userdata };
	return __real_store_txn(store, conds, n_conds, ops, n_ops, keep_answer, NULL);
}

static void release(void)
{
	assert_non_null(next.held.fn);
	take_ptr(next.held.fn)(&last_answer, next.held.userdata);
}

int __real_store_watch(struct store *store, const char *prefix, uint64_t from_revision,
		       store_watch_fn fn, store_lost_fn lost, void *userdata,
		       struct store_watch **ret_watch);
int __wrap_store_watch(struct store *store, const char *prefix, uint64_t from_revision,
		       store_watch_fn fn, store_lost_fn lost, void *userdata,
		       struct store_watch **ret_watch);

static struct {
	store_lost_fn lost;
	void *userdata;
} last_watch;

int __wrap_store_watch(struct store *store, const char *prefix, uint64_t from_revision,
		       store_watch_fn fn, store_lost_fn lost, void *userdata,
		       struct store_watch **ret_watch)
{
	last_watch.lost = lost;
	last_watch.userdata = userdata;
	return __real_store_watch(store, prefix, from_revision, fn, lost, userdata, ret_watch);
}

static int setup(void **state)
{
	memset(&next, 0, sizeof(next));
	return fix_setup(state);
}

/* ---- two at the same time ---- */

struct rival {
	struct fix *fix;
	struct fix_machine machine;
};

static void rival_enrols(void *userdata)
{
	const struct rival *rival = userdata;

	rival->fix->result = (struct fix_result){ 0 };
	fix_enrol(rival->fix, &rival->machine);
}

static void race(struct fix *fix, struct rival *rival)
{
	next.before = rival_enrols;
	next.userdata = rival;
	fix->result = (struct fix_result){ 0 };
}

/*
 * Nothing but the auth key stands between them: it is of nobody, and the address that the first one
 * would take is another, since an attempt before has failed.
 */
static void test_one_key_two_machines(void **state)
{
	struct fix *fix = *state, *other;
	struct rival rival = { .machine = { .number = 2 } };
	const char *key;

	fix_set_policy(fix, "{\"tagOwners\": {\"tag:a\": []}}");
	key = fix_authkey(fix, NULL, "tag:a", false, false);
	other = rival.fix = fix_new(fix->store);
	rival.machine.auth_key = key;
	next.status = -EIO;
	FIX_REFUSED(fix, REGISTRY_UNAVAILABLE, "could not do it",
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));

	race(fix, &rival);
	fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key });
	fix_expect(other, REGISTRY_OK, NULL);
	fix_expect(fix, REGISTRY_BAD_AUTH_KEY, "has been used");
	assert_int_equal(registry_n_nodes(fix->registry), 1);
	assert_int_equal(registry_n_nodes(other->registry), 1);
	fix_free(other, false);
}

static void test_one_name_two_machines(void **state)
{
	struct fix *fix = *state, *other = fix_new(fix->store);
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	struct rival rival = { other, { .number = 2, .hostname = "web", .auth_key = key } };
	const struct node_record *first, *second;

	race(fix, &rival);
	fix_enrol(fix, &(struct fix_machine){ .number = 1, .hostname = "web", .auth_key = key });
	fix_expect(other, REGISTRY_OK, NULL);
	fix_expect(fix, REGISTRY_OK, NULL);
	first = registry_node(fix->registry, other->result.node);
	second = registry_node(fix->registry, fix->result.node);
	assert_string_equal(first->name, "web");
	assert_string_equal(second->name, "web-1");
	assert_false(ip_addr_equal(&first->ipv4, &second->ipv4));
	assert_int_equal(registry_authkey_at(fix->registry, 0)->used, 2);
	fix_free(other, false);
}

static void test_one_address_two_machines(void **state)
{
	struct fix *fix = *state, *other = fix_new(fix->store);
	char first[256], second[256];
	struct rival rival = { other, { .number = 2, .auth_key = second } };

	/* Different keys, users and names: the address alone is the same. */
	strcpy(first, fix_authkey(fix, ALICE, NULL, true, false));
	strcpy(second, fix_authkey(fix, "bob@example.com", NULL, true, false));
	race(fix, &rival);
	fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = first });
	fix_expect(other, REGISTRY_OK, NULL);
	fix_expect(fix, REGISTRY_OK, NULL);
	assert_false(ip_addr_equal(&registry_node(fix->registry, other->result.node)->ipv4,
				   &registry_node(fix->registry, fix->result.node)->ipv4));
	fix_free(other, false);
}

static void rival_deletes_alice(void *userdata)
{
	struct fix *fix = userdata;

	fix->result = (struct fix_result){ 0 };
	registry_delete_user(fix->registry, &fix_root, ALICE, FIX_DONE(fix));
}

static void test_user_deleted_while_enrolling(void **state)
{
	struct fix *fix = *state, *other = fix_new(fix->store);
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);

	next.before = rival_deletes_alice;
	next.userdata = other;
	fix->result = (struct fix_result){ 0 };
	fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key });
	fix_expect(other, REGISTRY_OK, NULL);
	fix_expect(fix, REGISTRY_BAD_AUTH_KEY, "is not known here");
	assert_int_equal(registry_n_nodes(fix->registry), 0);
	fix_free(other, false);
}

static void test_enrolled_while_user_is_deleted(void **state)
{
	struct fix *fix = *state, *other = fix_new(fix->store);
	const char *key = fix_authkey(fix, ALICE, NULL, true, false);
	struct rival rival = { other, { .number = 1, .auth_key = key } };

	race(fix, &rival);
	registry_delete_user(fix->registry, &fix_root, ALICE, FIX_DONE(fix));
	fix_expect(other, REGISTRY_OK, NULL);
	fix_expect(fix, REGISTRY_CONFLICT, "has 1 node (host-1)");
	fix_free(other, false);
}

static void rival_sets_policy(void *userdata)
{
	fix_set_policy(userdata, "{\"acls\": []}");
}

static void test_two_policies(void **state)
{
	struct fix *fix = *state, *other = fix_new(fix->store);
	const char *text = "{\"grants\": []}";
	uint8_t hash[SHA256_LEN];
	struct registry_policy_request request = { .text = text, .len = strlen(text) };

	memcpy(hash, registry_policy_current(fix->registry)->hash, sizeof(hash));
	request.if_hash = hash;
	next.before = rival_sets_policy;
	next.userdata = other;
	fix->result = (struct fix_result){ 0 };
	registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix));
	fix_expect(fix, REGISTRY_PRECONDITION_FAILED, "version 1 is in force");
	assert_string_equal(registry_policy_current(fix->registry)->text, "{\"acls\": []}");
	fix_free(other, false);
}

/* A watch that was lost: everything is read again, and whoever listens is told so. */
static void test_lost(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);

	registry_set_online(fix->registry, id, true);
	fix->seen[0] = '\0';
	last_watch.lost(last_watch.userdata);
	assert_non_null(strstr(fix->problem, "loading anew"));
	/* What is written meanwhile is waited for. */
	fix->result = (struct fix_result){ 0 };
	registry_expire_node(fix->registry, &fix_root, id, FIX_DONE(fix));
	assert_int_equal(fix->result.n_answers, 0);
	assert_null(registry_node(fix->registry, id)->expired_by);
	fix_pass(fix, 2 * FIX_SEC);
	assert_string_equal(fix->seen, "reset ");
	fix_expect(fix, REGISTRY_OK, NULL);
	assert_string_equal(registry_node(fix->registry, id)->expired_by, "root");
	assert_true(registry_is_online(fix->registry, registry_node(fix->registry, id)));
	/* And it hears again of what happens. */
	fix_node(fix, 2);
	assert_int_equal(registry_n_nodes(fix->registry), 2);
}

/* ---- a store in trouble ---- */

static void test_store_fails(void **state)
{
	static const struct {
		int status;
		const char *text;
	} cases[] = {
		{ -EIO, "could not do it; its log says more" },
		{ -ENOSPC, "could not do it; its log says more" },
		{ -ENOMEM, "out of memory" },
		{ -ETIMEDOUT, "did not answer in time" },
	};
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, false, false);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		next.status = cases[i].status;
		FIX_REFUSED(fix, REGISTRY_UNAVAILABLE, cases[i].text,
			    fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
	}
	assert_string_equal(fix->problem, "node.enrol: the disk is full");
	assert_int_equal(registry_n_nodes(fix->registry), 0);
	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
}

/* Somebody holds what the transaction needs to be free, and is never seen. */
static void test_gives_up(void **state)
{
	struct fix *fix = *state;
	const char *key = fix_authkey(fix, ALICE, NULL, false, false);

	fix_put(fix->store, "machine/QhcBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x");
	FIX_REFUSED(fix, REGISTRY_UNAVAILABLE, "too much is changing at the same time",
		    fix_enrol(fix, &(struct fix_machine){ .number = 1, .auth_key = key }));
	assert_non_null(strstr(fix->problem, "gave up after 64 attempts, the last at machine/"));
}

/* The reaper does not spin when the store fails. */
static void test_reaper_waits(void **state)
{
	struct fix *fix = *state;
	const char *id = fix_node(fix, 1);

	fix_set_time(FIX_START + 180 * FIX_DAY);
	next.status = -EIO;
	fix_pass(fix, 0);
	assert_null(registry_node(fix->registry, id)->expired_by);
	assert_non_null(strstr(fix->problem, "What is due could not be done"));
	assert_int_equal(fix->n_problems, 2);
	fix_pass(fix, 30 * FIX_SEC);
	assert_string_equal(registry_node(fix->registry, id)->expired_by, "time");
}

/* The registry ends while the store still owes an answer. */
static void test_free_while_waiting(void **state)
{
	struct fix *fix = *state, *other = fix_new(fix->store);
	struct fix_result result = { 0 };
	static const struct registry_user_patch nothing;

	next.hold = true;
	registry_add_user(other->registry, &fix_root, "carol@example.com", &nothing, fix_done,
			  &result);
	assert_int_equal(result.n_answers, 0);
	fix_free(other, false);
	assert_int_equal(result.n_answers, 1);
	assert_int_equal(result.code, REGISTRY_UNAVAILABLE);
	assert_string_equal(result.text, "the coordinator is stopping; try again in a moment");
	release();
	assert_int_equal(result.n_answers, 1);
	assert_non_null(registry_user(fix->registry, "carol@example.com"));
}

/* Subscribers may act, and go. */
struct reactor {
	struct fix *fix;
	struct registry_subscription *subscription;
	struct fix_result result;
};

static void react(uint64_t revision, const struct registry_change *changes, size_t n,
		  void *userdata)
{
	struct reactor *reactor = userdata;

	for (size_t i = 0; i < n; i++) {
		if (changes[i].kind != REGISTRY_NODE)
			continue;
		reactor->subscription = registry_subscription_free(reactor->subscription);
		registry_expire_node(reactor->fix->registry, &fix_root, changes[i].id, fix_done,
				     &reactor->result);
		return;
	}
}

static void test_subscriber_acts(void **state)
{
	struct fix *fix = *state;
	struct reactor reactor = { .fix = fix };
	const char *id;

	assert_int_equal(registry_subscribe(fix->registry, react, &reactor, &reactor.subscription),
			 0);
	id = fix_node(fix, 1);
	fix_run(fix);
	assert_int_equal(reactor.result.n_answers, 1);
	assert_int_equal(reactor.result.code, REGISTRY_OK);
	assert_string_equal(registry_node(fix->registry, id)->expired_by, "root");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_key_two_machines),
		TEST(test_one_name_two_machines),
		TEST(test_one_address_two_machines),
		TEST(test_user_deleted_while_enrolling),
		TEST(test_enrolled_while_user_is_deleted),
		TEST(test_two_policies),
		TEST(test_lost),
		TEST(test_store_fails),
		TEST(test_gives_up),
		TEST(test_reaper_waits),
		TEST(test_free_while_waiting),
		TEST(test_subscriber_acts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
