/* Restarts and restored backups: the same entries give the same state, bent ones are no danger. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "tests/unit/registry-fixture.h"

static void expect_written(const struct store_answer *answer, void *userdata)
{
	assert_int_equal(answer->status, 0);
}

/* ---- restart ---- */

static void assert_same(const struct fix *a, const struct fix *b)
{
	assert_int_equal(registry_revision(a->registry), registry_revision(b->registry));
	assert_int_equal(registry_n_nodes(a->registry), registry_n_nodes(b->registry));
	for (size_t i = 0; i < registry_n_nodes(a->registry); i++) {
		const struct node_record *x = registry_node_at(a->registry, i),
					 *y = registry_node_at(b->registry, i);
		size_t len;
		_cleanup_free_ char *first = node_record_write(x, &len),
				    *second = node_record_write(y, &len);

		assert_string_equal(x->head.id, y->head.id);
		assert_int_equal(x->head.revision, y->head.revision);
		assert_string_equal(first, second);
		assert_ptr_equal(registry_node_by_name(b->registry, x->name), y);
		assert_ptr_equal(registry_node_by_machine(b->registry, &x->machine), y);
		assert_ptr_equal(registry_node_by_key(b->registry, &x->key), y);
	}
	assert_int_equal(registry_n_users(a->registry), registry_n_users(b->registry));
	assert_int_equal(registry_n_authkeys(a->registry), registry_n_authkeys(b->registry));
	assert_int_equal(registry_n_apikeys(a->registry), registry_n_apikeys(b->registry));
	assert_int_equal(registry_n_pending(a->registry), registry_n_pending(b->registry));
	assert_int_equal(registry_n_policies(a->registry), registry_n_policies(b->registry));
	assert_string_equal(registry_policy_current(a->registry)->text,
			    registry_policy_current(b->registry)->text);
	assert_string_equal(registry_mesh(a->registry)->domain, registry_mesh(b->registry)->domain);
}

/* A life; and whoever begins now knows what those know who were there. */
static void test_fold(void **state)
{
	struct fix *fix = *state, *watcher = fix_new(fix->store), *after;
	const struct registry_apikey_request apikey = { .scopes = SCOPE_ALL };
	const char *first = fix_node(fix, 1), *second = fix_node(fix, 2), *third = fix_node(fix, 3);
	struct wg_key fresh = fix_node_key(9);

	FIX_OK(fix, registry_rotate_key(fix->registry, &fix_root, first, &fresh, FIX_DONE(fix)));
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, second, FIX_DONE(fix)));
	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, third,
					&(struct registry_node_patch){ .name = "host-2" },
					FIX_DONE(fix)));
	FIX_OK(fix, registry_create_apikey(fix->registry, &fix_root, &apikey, FIX_DONE(fix)));
	fix_set_policy(fix, "{\"acls\": []}");
	fix_set_policy(fix, "{\"acls\": [] }");
	FIX_REFUSED(fix, REGISTRY_WAITING, NULL,
		    fix_enrol(fix, &(struct fix_machine){ .number = 4 }));
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, third, FIX_DONE(fix)));
	after = fix_new(fix->store);
	assert_same(fix, watcher);
	assert_same(fix, after);
	assert_int_equal(fix->n_problems + watcher->n_problems + after->n_problems, 0);
	fix_free(after, false);
	fix_free(watcher, false);
}

/* Names change hands within one transaction of another one's: nobody is set aside. */
static void test_swap(void **state)
{
	struct fix *fix = *state;
	const struct node_record *first = registry_node(fix->registry, fix_node(fix, 1));
	const struct node_record *second = registry_node(fix->registry, fix_node(fix, 2));
	struct node_record a = *first, b = *second;
	char keys[2][32];
	struct store_op ops[2] = { { .key = keys[0] }, { .key = keys[1] } };

	first = registry_node(fix->registry, a.head.id);
	a = *first;
	a.name = second->name;
	b.name = first->name;
	ops[0].value = node_record_write(&a, &ops[0].len);
	ops[1].value = node_record_write(&b, &ops[1].len);
	snprintf(keys[0], sizeof(keys[0]), "nodes/%s", a.head.id);
	snprintf(keys[1], sizeof(keys[1]), "nodes/%s", b.head.id);
	assert_int_equal(store_txn(fix->store, NULL, 0, ops, 2, expect_written, NULL), 0);
	free((void *)ops[0].value);
	free((void *)ops[1].value);
	assert_int_equal(fix->n_problems, 0);
	assert_int_equal(registry_n_nodes(fix->registry), 2);
	assert_string_equal(registry_node_by_name(fix->registry, "host-2")->head.id,
			    registry_node(fix->registry, keys[0] + 6)->head.id);
}

/* ---- entries that somebody has bent ---- */

static const char *bad_start(struct fix *fix)
{
	static char text[512];
	struct fix *other = fix_new(fix->store);

	fix_run(other);
	assert_int_equal(other->ready_status, -EINVAL);
	strcpy(text, other->ready_text);
	/* Whoever asks is told to wait, not something wrong. */
	FIX_REFUSED(other, REGISTRY_UNAVAILABLE, "is starting",
		    registry_expire_node(other->registry, &fix_root, "x", FIX_DONE(other)));
	fix_free(other, false);
	return text;
}

static void test_policy_is_needed(void **state)
{
	struct fix *fix = *state;

	fix_set_policy(fix, "{\"acls\": []}");
	fix_put(fix->store, "policy/current", "{");
	assert_string_equal(registry_policy_current(fix->registry)->text, "{\"acls\": []}");
	assert_non_null(strstr(bad_start(fix), "policy/current: line 1"));
	/* The one that runs keeps what it has. */
	assert_non_null(strstr(fix->problem, "what was in force stays"));
	fix_put(fix->store, "policy/current",
		"{\"version\":1,\"text\":\"{}\",\"hash\":"
		"\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		"\"author\":\"x\",\"since\":1}");
	assert_string_equal(bad_start(fix), "policy/current: hash: is not that of the text");
	/* One that this version does not understand. */
	fix_put(fix->store, "policy/current",
		"{\"version\":1,\"text\":\"[]\",\"hash\":"
		"\"T1PNoYwrqgwDVLtfmj7L5e0Sq02OEbqHPC8RFhICuUU\","
		"\"author\":\"x\",\"since\":1}");
	assert_non_null(strstr(bad_start(fix), "policy/current: "));
	fix_put(fix->store, "policy/current", NULL);
	fix_put(fix->store, "meta/mesh", "{}");
	assert_string_equal(bad_start(fix), "meta/mesh: domain: is missing; it has to be there");
	assert_string_equal(registry_mesh(fix->registry)->domain, "mesh.example");
	fix_node(fix, 1);
	fix_put(fix->store, "meta/mesh", NULL);
	assert_string_equal(bad_start(fix), "there are nodes, but meta/mesh is missing");
}

static void test_bent_entries(void **state)
{
	struct fix *fix = *state, *after;
	const char *id = fix_node(fix, 1);
	const struct node_record *node = registry_node(fix->registry, id);
	struct node_record twin = *node;
	_cleanup_free_ char *value = NULL;
	size_t len;

	/* A node with another's everything but the id. */
	value = node_record_write(&twin, &len);
	fix_put(fix->store, "nodes/naaaaaaaaaaaa", value);
	assert_string_equal(fix->problem, "nodes/naaaaaaaaaaaa: has the name of another node; it "
					  "is set aside");
	assert_null(registry_node(fix->registry, "naaaaaaaaaaaa"));
	assert_ptr_equal(registry_node_by_name(fix->registry, "host-1"),
			 registry_node(fix->registry, id));

	fix_put(fix->store, "users/Root", "{\"created\":1}");
	assert_string_equal(fix->problem, "users/Root: is no login; the entry is set aside");
	fix_put(fix->store, "authkeys/kaaaaaaaaaaaa", "[]");
	fix_put(fix->store, "pending/x", "{}");
	fix_put(fix->store, "ip4/10.0.0.1", "{}");
	fix_put(fix->store, "unknown/thing", "{}");
	fix_put(fix->store, "events/x", "{}");
	after = fix_new(fix->store);
	assert_int_equal(after->ready_status, 0);
	assert_int_equal(registry_n_nodes(after->registry), 1);
	assert_int_equal(registry_n_users(after->registry), 2);
	assert_int_equal(registry_n_pending(after->registry), 0);
	assert_true(after->n_problems >= 5);
	fix_free(after, false);

	/* A node that becomes unreadable reaches nothing any more. */
	fix->seen[0] = '\0';
	value[0] = ' ';
	{
		char key[32];

		snprintf(key, sizeof(key), "nodes/%s", id);
		fix_put(fix->store, key, value);
	}
	assert_string_equal(fix->seen, "node- ");
	assert_null(registry_node_by_name(fix->registry, "host-1"));
}

/* A backup that is restored brings revisions far above: the registry goes with them. */
static void test_revision_jump(void **state)
{
	struct fix *fix = *state, *after;
	uint64_t revision = registry_revision(fix->registry);

	for (unsigned i = 0; i < 100; i++)
		fix_put(fix->store, "unknown/thing", "{}");
	assert_int_equal(registry_revision(fix->registry), revision + 100);
	after = fix_new(fix->store);
	assert_int_equal(registry_revision(after->registry), revision + 100);
	fix_free(after, false);
}

/* More entries than one page of the store's list. */
static void test_many(void **state)
{
	struct fix *fix = *state, *after;
	char key[64];

	for (unsigned i = 0; i < 1100; i++) {
		snprintf(key, sizeof(key), "users/u%u@example.com", i);
		fix_put(fix->store, key, "{\"created\":1}");
	}
	after = fix_new(fix->store);
	assert_int_equal(registry_n_users(after->registry), 1102);
	for (size_t i = 1; i < 1102; i++)
		assert_true(strcmp(registry_user_at(after->registry, i - 1)->head.id,
				   registry_user_at(after->registry, i)->head.id) < 0);
	assert_non_null(registry_user(after->registry, "u777@example.com"));
	fix_free(after, false);
}

/* ---- limits ---- */

/* prefix: of the key, up to the last four characters of the id. */
static void fill(struct fix *fix, const char *prefix, const char *value, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char key[64], digits[5] = "";

		/* Ids have letters and these digits only. */
		for (unsigned k = 0, rest = i; k < 4; k++, rest /= 32)
			digits[k] = "abcdefghijklmnopqrstuvwxyz234567"[rest % 32];
		snprintf(key, sizeof(key), "%s%s", prefix, digits);
		fix_put(fix->store, key, value);
	}
}

#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void test_most_keys(void **state)
{
	struct fix *fix = *state;
	const struct registry_apikey_request apikey = { .scopes = SCOPE_ALL };
	const struct registry_authkey_request authkey = { .user = "bob@example.com" };

	fill(fix, "apikeys/aaaaaaaaa",
	     "{\"hash\":\"" HASH
	     "\",\"scopes\":[\"users:read\"],\"created\":1,\"created_by\":\"x\"}",
	     REGISTRY_MAX_APIKEYS);
	assert_int_equal(registry_n_apikeys(fix->registry), REGISTRY_MAX_APIKEYS);
	FIX_REFUSED(fix, REGISTRY_TOO_MANY, "there are 1000 API keys, which is the most",
		    registry_create_apikey(fix->registry, &fix_root, &apikey, FIX_DONE(fix)));
	fill(fix, "authkeys/kaaaaaaaa",
	     "{\"hash\":\"" HASH
	     "\",\"user\":\"bob@example.com\",\"created\":1,\"created_by\":\"x\"}",
	     REGISTRY_MAX_AUTHKEYS);
	FIX_REFUSED(fix, REGISTRY_TOO_MANY, "there are 10000 auth keys, which is the most",
		    registry_create_authkey(fix->registry, &fix_root, &authkey, FIX_DONE(fix)));
	FIX_REFUSED(
		fix, REGISTRY_CONFLICT, "bob@example.com has more than 50 auth keys",
		registry_delete_user(fix->registry, &fix_root, "bob@example.com", FIX_DONE(fix)));
}

/* The oldest versions go, but for those that somebody may go back to by himself. */
static void test_most_policies(void **state)
{
	struct fix *fix = *state;
	char text[64];

	for (unsigned i = 1; i <= REGISTRY_MAX_POLICIES; i++) {
		snprintf(text, sizeof(text), "{} // %u", i);
		fix_set_policy(fix, text);
	}
	assert_int_equal(registry_n_policies(fix->registry), REGISTRY_MAX_POLICIES);
	FIX_OK(fix, registry_rollback_policy(fix->registry, &fix_root, 1, FIX_DONE(fix)));
	fix_set_policy(fix, "{} // one more");
	assert_int_equal(registry_n_policies(fix->registry), REGISTRY_MAX_POLICIES);
	assert_int_equal(registry_policy_at(fix->registry, 0)->version, 1);
	assert_int_equal(registry_policy_at(fix->registry, 1)->version, 3);
	assert_int_equal(registry_policy_current(fix->registry)->version,
			 REGISTRY_MAX_POLICIES + 1);
}

static void count_events(const struct registry_result *result, void *userdata)
{
	assert_int_equal(result->code, REGISTRY_OK);
	*(size_t *)userdata = result->n_events;
}

static void test_most_events(void **state)
{
	struct fix *fix = *state, *after;
	const struct registry_event event = { .action = "x", .object = "y", .result = "ok" };
	size_t n = 0;

	for (unsigned i = 0; i < 200; i++) {
		fix_set_time(FIX_START + i);
		FIX_OK(fix, registry_add_event(fix->registry, &fix_root, &event, FIX_DONE(fix)));
	}
	fix_max_events = 120;
	after = fix_new(fix->store);
	fix_max_events = 0;
	fix_pass(after, 0);
	registry_events(after->registry, NULL, 1000, count_events, &n);
	assert_int_equal(n, 120);
	fix_free(after, false);
}

static void count_by_actor(const struct registry_result *result, void *userdata)
{
	size_t *n = userdata;

	assert_int_equal(result->code, REGISTRY_OK);
	for (size_t i = 0; i < result->n_events; i++)
		n[strcmp(result->events[i].actor, "root") != 0]++;
}

static void add_events(struct fix *fix, const char *who, unsigned n, uint64_t *time)
{
	const struct registry_event event = { .action = "x", .object = "y", .result = "ok" };
	const struct registry_actor actor = { .who = who, .from = "192.0.2.1" };

	for (unsigned i = 0; i < n; i++) {
		fix_set_time(++*time);
		FIX_OK(fix, registry_add_event(fix->registry, &actor, &event, FIX_DONE(fix)));
	}
}

/* However many machines make, what people did stays; and the other way round. */
static void test_events_by_kind(void **state)
{
	static const struct {
		unsigned people, machines; /* there are */
		unsigned people_kept, machines_kept;
	} cases[] = {
		{ 60, 200, 60, 60 },
		{ 40, 200, 40, 80 },
		{ 90, 200, 60, 60 },
		{ 200, 20, 100, 20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fix *fix, *after;
		size_t n[2] = { 0 };
		uint64_t time = FIX_START;

		assert_int_equal(fix_setup((void **)&fix), 0);
		fix_set_time(time);
		registry_events(fix->registry, NULL, 1000, count_by_actor, n);
		add_events(fix, "root", cases[i].people - (unsigned)n[0], &time);
		add_events(fix, i % 2 ? "node:n1" : "machine:pgm:A", cases[i].machines, &time);
		fix_max_events = 120;
		after = fix_new(fix->store);
		fix_max_events = 0;
		fix_pass(after, 0);
		n[0] = n[1] = 0;
		registry_events(after->registry, NULL, 1000, count_by_actor, n);
		print_message("%zu of people, %zu of machines\n", n[0], n[1]);
		assert_int_equal(n[0], cases[i].people_kept);
		assert_int_equal(n[1], cases[i].machines_kept);
		fix_free(after, false);
		assert_int_equal(fix_teardown((void **)&fix), 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_fold),
		TEST(test_swap),
		TEST(test_policy_is_needed),
		TEST(test_bent_entries),
		TEST(test_revision_jump),
		TEST(test_many),
		TEST(test_most_keys),
		TEST(test_most_policies),
		TEST(test_most_events),
		cmocka_unit_test(test_events_by_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
