/* Checks: asked for, answered by whose device it is, remembered, forgotten. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "tests/unit/registry-fixture.h"

#define ALICE "alice@example.com"
#define BOB   "bob@example.com"

static const struct registry_actor alice = { .who = ALICE, .from = "192.0.2.9", .login = ALICE };
static const struct registry_actor bob = { .who = BOB, .from = "192.0.2.8", .login = BOB };
static const struct registry_actor web_host = { .who = "node:web", .from = "192.0.2.1" };

/* A source of alice's, and the last request. */
struct checks {
	struct fix *fix;
	char laptop[16], web[16];
	char id[32], login[32];
	unsigned n_asked;
};

static void on_asked(const struct registry_result *result, void *userdata)
{
	struct checks *c = userdata;

	fix_done(result, &c->fix->result);
	if (result->code == REGISTRY_WAITING) {
		assert_non_null(result->checkreq);
		snprintf(c->id, sizeof(c->id), "%s", result->checkreq->head.id);
		snprintf(c->login, sizeof(c->login), "%s", result->secret);
		assert_null(result->checkgrant);
	} else if (result->code == REGISTRY_OK) {
		assert_non_null(result->checkgrant);
		assert_null(result->checkreq);
	}
}

static void begin(struct checks *c, struct fix *fix)
{
	*c = (struct checks){ .fix = fix };
	snprintf(c->laptop, sizeof(c->laptop), "%s", fix_node(fix, 1));
	snprintf(c->web, sizeof(c->web), "%s", fix_node(fix, 2));
}

static enum registry_code ask_as(struct checks *c, const char *user, uint64_t period)
{
	const struct registry_check_request request = {
		.source = c->laptop,
		.target = c->web,
		.ssh_user = user,
		.period_usec = period,
	};

	c->fix->result = (struct fix_result){ 0 };
	c->id[0] = c->login[0] = '\0';
	registry_ask_check(c->fix->registry, &web_host, &request, on_asked, c);
	fix_run(c->fix);
	assert_int_equal(c->fix->result.n_answers, 1);
	return c->fix->result.code;
}

static enum registry_code ask(struct checks *c, uint64_t period)
{
	return ask_as(c, "root", period);
}

/* n_logins: that whoever answers was shown. */
static void answer_seen(struct checks *c, const struct registry_actor *actor, bool approve,
			uint64_t auth_time, size_t n_logins)
{
	const struct registry_check_answer answer = {
		.approve = approve,
		.method = "password+totp",
		.strength = AUTH_MAX_AGE,
		.auth_time = auth_time,
		.n_logins = n_logins,
	};

	c->fix->result = (struct fix_result){ 0 };
	registry_answer_check(c->fix->registry, actor, c->id, &answer, FIX_DONE(c->fix));
	fix_run(c->fix);
}

static void answer_as(struct checks *c, const struct registry_actor *actor, bool approve,
		      uint64_t auth_time)
{
	const struct checkreq_record *req = registry_checkreq(c->fix->registry, c->id);

	answer_seen(c, actor, approve, auth_time, req ? req->logins.n : 0);
}

static void approve(struct checks *c)
{
	answer_as(c, &alice, true, fix_time());
	fix_expect(c->fix, REGISTRY_OK, NULL);
}

static enum registry_code state_of(struct checks *c, const char *login_id, uint64_t period)
{
	const struct check_login *login;
	const struct checkreq_record *req =
		registry_check_login(c->fix->registry, login_id, &login);
	const struct checkgrant_record *grant = NULL;
	enum registry_code code;

	if (!req)
		return REGISTRY_NOT_FOUND;
	code = registry_check_state(c->fix->registry, req, login, period, &grant);
	assert_int_equal(grant != NULL, code == REGISTRY_OK);
	return code;
}

static void test_approved(void **state)
{
	struct fix *fix = *state;
	const struct checkreq_record *req;
	const struct checkgrant_record *grant;
	struct checks c;

	begin(&c, fix);
	fix->seen[0] = '\0';
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	assert_string_equal(fix->seen, "check check event ");
	assert_non_null(strstr(fix_last_event(fix), "node:web check.ask "));
	assert_non_null(strstr(fix_last_event(fix), "alice@example.com: root on host-2"));
	req = registry_checkreq(fix->registry, c.id);
	assert_string_equal(req->user, ALICE);
	assert_string_equal(req->node, c.laptop);
	assert_string_equal(req->logins.items[0].target, c.web);
	assert_string_equal(req->logins.items[0].ssh_user, "root");
	assert_int_equal(req->expires, fix_time() + 600 * FIX_SEC);
	assert_int_equal(state_of(&c, c.login, FIX_HOUR), REGISTRY_WAITING);
	assert_null(registry_checkgrant(fix->registry, c.laptop));

	fix_pass(fix, FIX_SEC);
	fix->seen[0] = '\0';
	approve(&c);
	assert_string_equal(fix->seen, "check check event ");
	assert_non_null(strstr(fix_last_event(fix), "alice@example.com check.approve "));
	assert_non_null(strstr(fix_last_event(fix), "host-1, password+totp (max_age), logins: 1"));
	assert_int_equal(state_of(&c, c.login, FIX_HOUR), REGISTRY_OK);
	/* Once asked, a rule that always asks has had its answer, too. */
	assert_int_equal(state_of(&c, c.login, 0), REGISTRY_OK);
	grant = registry_checkgrant(fix->registry, c.laptop);
	assert_string_equal(grant->user, ALICE);
	assert_string_equal(grant->from, "192.0.2.9");
	assert_int_equal(grant->at, fix_time());

	/* Neither a page that was answered, nor one that never was. */
	answer_as(&c, &alice, false, 0);
	fix_expect(fix, REGISTRY_CONFLICT, "this check was approved already");
	snprintf(c.id, sizeof(c.id), "aaaaaaaaaaaaaaaaaaaaaaaaaa");
	answer_as(&c, &alice, true, fix_time());
	fix_expect(fix, REGISTRY_NOT_FOUND, "this check is over");
}

/* The reaper has nothing to do just after: by the clock of this test, that moment does not come. */
#define PERIOD (50 * 60 * FIX_SEC)

static void test_remembered(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	assert_int_equal(ask(&c, PERIOD), REGISTRY_WAITING);
	approve(&c);
	fix_pass(fix, PERIOD - 1);
	assert_int_equal(ask(&c, PERIOD), REGISTRY_OK);
	/* By the rule of each login, whatever it was given for. */
	assert_int_equal(ask(&c, PERIOD / 2), REGISTRY_WAITING);
	fix_pass(fix, 1);
	assert_int_equal(ask(&c, PERIOD), REGISTRY_WAITING);
	assert_int_equal(ask(&c, 2 * PERIOD), REGISTRY_OK);
	/* A clock that was set back gives nobody more time, nor an answer to what comes now. */
	fix_set_time(fix_time() - 3 * PERIOD);
	assert_int_equal(ask_as(&c, "other", 0), REGISTRY_WAITING);
	assert_int_equal(state_of(&c, c.login, 0), REGISTRY_WAITING);
	assert_int_equal(ask(&c, 2 * PERIOD), REGISTRY_WAITING);
	fix_set_time(fix_time() + 3 * PERIOD);
	/* No rule asks for what is older than a week. */
	fix_pass(fix, 168 * FIX_HOUR);
	assert_int_equal(registry_n_checkgrants(fix->registry), 0);
}

static void test_always(void **state)
{
	struct fix *fix = *state;
	char first[32];
	struct checks c;

	begin(&c, fix);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	approve(&c);
	fix_pass(fix, FIX_SEC);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	strcpy(first, c.login);
	assert_int_equal(state_of(&c, first, 0), REGISTRY_WAITING);
	assert_int_equal(ask_as(&c, "alice", 0), REGISTRY_WAITING);
	assert_string_not_equal(first, c.login);
	fix_pass(fix, FIX_SEC);
	/* Whoever is on the page by then is let in. */
	approve(&c);
	assert_int_equal(state_of(&c, first, 0), REGISTRY_OK);
	assert_int_equal(state_of(&c, c.login, 0), REGISTRY_OK);
	fix_pass(fix, FIX_SEC);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	assert_int_equal(state_of(&c, c.login, 0), REGISTRY_WAITING);
}

static void test_denied(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	/* Nobody has to sign in to say no. */
	answer_as(&c, &alice, false, 0);
	fix_expect(fix, REGISTRY_OK, NULL);
	assert_non_null(strstr(fix_last_event(fix), "alice@example.com check.deny "));
	assert_int_equal(state_of(&c, c.login, FIX_HOUR), REGISTRY_DENIED);
	assert_null(registry_checkgrant(fix->registry, c.laptop));
	answer_as(&c, &alice, true, fix_time());
	fix_expect(fix, REGISTRY_CONFLICT, "this check was denied already");
	/* The next login asks anew. */
	fix_pass(fix, FIX_SEC);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	assert_int_equal(registry_n_checkreqs(fix->registry), 2);
}

static void test_runs_out(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	fix_set_time(fix_time() + 600 * FIX_SEC);
	/* Not by the reaper's leave. */
	assert_int_equal(state_of(&c, c.login, FIX_HOUR), REGISTRY_NOT_FOUND);
	answer_as(&c, &alice, true, fix_time());
	fix_expect(fix, REGISTRY_NOT_FOUND, "this check is over");
	fix_pass(fix, 0);
	assert_int_equal(registry_n_checkreqs(fix->registry), 0);
	assert_int_equal(registry_n_checkgrants(fix->registry), 0);
	assert_non_null(strstr(fix_last_event(fix), "coordinator check.expire "));
}

/* One page for all that is going on from one device. */
static void test_shared(void **state)
{
	struct fix *fix = *state;
	char id[32], login[32], user[16], web[16];
	struct checks c;

	begin(&c, fix);
	strcpy(web, c.web);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	strcpy(id, c.id);
	strcpy(login, c.login);
	for (unsigned i = 0; i < 100; i++) {
		fix->seen[0] = '\0';
		assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
		assert_string_equal(c.id, id);
		assert_string_equal(c.login, login);
		assert_string_equal(fix->seen, "");
	}
	for (unsigned i = 1; i < RECORD_MAX_LOGINS; i++) {
		/* To the same host there are no more; to others there are. */
		if (i % REGISTRY_MAX_LOGINS_TO == 0) {
			assert_int_equal(ask_as(&c, "one-more", FIX_HOUR), REGISTRY_TOO_MANY);
			fix_expect(fix, REGISTRY_TOO_MANY, "32 logins to this host");
			snprintf(c.web, sizeof(c.web), "%s", fix_node(fix, 100 + i));
		}
		snprintf(user, sizeof(user), "user%u", i);
		assert_int_equal(ask_as(&c, user, FIX_HOUR), REGISTRY_WAITING);
		assert_string_equal(c.id, id);
		assert_string_not_equal(c.login, login);
	}
	snprintf(c.web, sizeof(c.web), "%s", fix_node(fix, 99));
	assert_int_equal(ask_as(&c, "one-more", FIX_HOUR), REGISTRY_TOO_MANY);
	fix_expect(fix, REGISTRY_TOO_MANY, "256 logins from this host wait for the same check");
	assert_int_equal(registry_n_checkreqs(fix->registry), 1);

	snprintf(c.web, sizeof(c.web), "%s", web);
	/*
	 * Late in the life of a page there is another; either answers for all, but for those that
	 * are to be asked about each time: they are not on it.
	 */
	fix_pass(fix, 301 * FIX_SEC);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	assert_string_not_equal(c.id, id);
	fix_pass(fix, FIX_SEC);
	approve(&c);
	assert_int_equal(state_of(&c, login, 1), REGISTRY_OK);
	assert_int_equal(state_of(&c, login, 0), REGISTRY_WAITING);
	assert_int_equal(state_of(&c, c.login, 0), REGISTRY_OK);
	strcpy(c.id, id);
	approve(&c);
	assert_int_equal(state_of(&c, login, 0), REGISTRY_OK);
}

/* A login that joins while the page is open is not approved with it. */
static void test_seen(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	assert_int_equal(ask_as(&c, "alice", 0), REGISTRY_WAITING);
	answer_seen(&c, &alice, true, fix_time(), 1);
	fix_expect(fix, REGISTRY_CONFLICT, "another login has come since the page was loaded");
	assert_int_equal(state_of(&c, c.login, 0), REGISTRY_WAITING);
	assert_null(registry_checkgrant(fix->registry, c.laptop));
	answer_seen(&c, &alice, true, fix_time(), 2);
	fix_expect(fix, REGISTRY_OK, NULL);
	assert_int_equal(state_of(&c, c.login, 0), REGISTRY_OK);
	/* No takes no look. */
	fix_pass(fix, FIX_SEC);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	answer_seen(&c, &alice, false, 0, 0);
	fix_expect(fix, REGISTRY_OK, NULL);
}

/* All of them before the state shows the first. */
static void count_asked(const struct registry_result *result, void *userdata)
{
	struct checks *c = userdata;

	assert_int_equal(result->code, REGISTRY_WAITING);
	assert_non_null(result->checkreq);
	if (c->id[0])
		assert_string_equal(c->id, result->checkreq->head.id);
	snprintf(c->id, sizeof(c->id), "%s", result->checkreq->head.id);
	c->fix->result.n_answers++;
}

static void ask_many(uint64_t revision, const struct registry_change *changes, size_t n,
		     void *userdata)
{
	struct checks *c = userdata;
	const struct registry_check_request request = {
		.source = c->laptop,
		.target = c->web,
		.ssh_user = "root",
		.period_usec = FIX_HOUR,
	};

	if (c->n_asked > 0)
		return;
	for (; c->n_asked < 100; c->n_asked++)
		registry_ask_check(c->fix->registry, &web_host, &request, count_asked, c);
}

static void test_at_the_same_time(void **state)
{
	struct fix *fix = *state;
	_cleanup_(registry_subscription_freep) struct registry_subscription *sub = NULL;
	const struct registry_event event = { .action = "x", .result = "ok" };
	struct checks c;

	begin(&c, fix);
	fix->result = (struct fix_result){ 0 };
	assert_int_equal(registry_subscribe(fix->registry, ask_many, &c, &sub), 0);
	/* Among watchers, transactions happen at once and are told afterwards. */
	registry_add_event(fix->registry, &fix_root, &event, fix_done, &(struct fix_result){ 0 });
	fix_run(fix);
	sub = registry_subscription_free(sub);
	assert_int_equal(fix->result.n_answers, 100);
	assert_int_equal(registry_n_checkreqs(fix->registry), 1);
	assert_int_equal(registry_checkreq_at(fix->registry, 0)->logins.n, 1);
}

static void test_who_may_answer(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	fix_pass(fix, FIX_SEC);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	answer_as(&c, &bob, true, fix_time());
	fix_expect(fix, REGISTRY_NOT_ALLOWED, "this check is not for you");
	assert_non_null(strstr(fix_last_event(fix), "bob@example.com check.approve "));
	assert_non_null(strstr(fix_last_event(fix), "not-allowed"));
	answer_as(&c, &bob, false, fix_time());
	fix_expect(fix, REGISTRY_NOT_ALLOWED, "this check is not for you");
	answer_as(&c, &fix_root, true, fix_time());
	fix_expect(fix, REGISTRY_NOT_ALLOWED, "this check is not for you");
	/* Signed in before: that they are there now is not known. */
	answer_as(&c, &alice, true, fix_time() - 1);
	fix_expect(fix, REGISTRY_NOT_ALLOWED, "the sign-in is older than the check");
	answer_as(&c, &alice, true, fix_time() + FIX_HOUR);
	fix_expect(fix, REGISTRY_NOT_ALLOWED, "is a clock wrong?");
	assert_int_equal(state_of(&c, c.login, FIX_HOUR), REGISTRY_WAITING);
	approve(&c);
}

/* The clocks of providers are not ours, and have seconds only. */
static void test_clock_of_provider(void **state)
{
	struct fix *fix = *state;
	struct registry_check_answer answer = {
		.approve = true,
		.method = "oidc:corp",
		.strength = AUTH_PROMPT_ONLY,
		.n_logins = 1,
	};
	struct checks c;

	begin(&c, fix);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	answer.auth_time = fix_time() - 61 * FIX_SEC;
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is older than the check",
		    registry_answer_check(fix->registry, &alice, c.id, &answer, FIX_DONE(fix)));
	answer.auth_time = fix_time() - 60 * FIX_SEC;
	FIX_OK(fix, registry_answer_check(fix->registry, &alice, c.id, &answer, FIX_DONE(fix)));
	assert_int_equal(registry_checkgrant(fix->registry, c.laptop)->strength, AUTH_PROMPT_ONLY);
	answer.method = NULL;
	FIX_REFUSED(fix, REGISTRY_BAD_REQUEST, "method: is missing",
		    registry_answer_check(fix->registry, &alice, c.id, &answer, FIX_DONE(fix)));
}

static void remember(struct checks *c)
{
	assert_int_equal(ask(c, FIX_HOUR), REGISTRY_WAITING);
	fix_pass(c->fix, 1);
	approve(c);
	fix_pass(c->fix, 1);
	assert_int_equal(ask(c, FIX_HOUR), REGISTRY_OK);
	assert_non_null(registry_checkgrant(c->fix->registry, c->laptop));
}

static void assert_forgotten(struct checks *c)
{
	assert_null(registry_checkgrant(c->fix->registry, c->laptop));
	/* Also from the store: what comes back later does not find it. */
	for (size_t i = 0; i < registry_n_checkgrants(c->fix->registry); i++)
		assert_int_equal(registry_checkgrant_at(c->fix->registry, i)->at, 0);
}

static void test_forgotten(void **state)
{
	struct fix *fix = *state;
	struct text_list tags = { .items = (char *[]){ (char *)"tag:web" }, .n = 1 };
	const struct registry_node_patch to_bob = { .user = BOB };
	const struct registry_node_patch to_alice = { .user = ALICE };
	const struct registry_node_patch to_tag = { .tags = &tags };
	const struct registry_node_patch name = { .name = "desk" };
	const char *key;
	char login[32];
	struct checks c;

	begin(&c, fix);
	fix_set_policy(fix, "{\"tagOwners\": {\"tag:web\": [\"autogroup:owner\"]}}");
	remember(&c);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	strcpy(login, c.login);
	approve(&c);
	assert_int_equal(state_of(&c, login, 0), REGISTRY_OK);
	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, c.laptop, &name, FIX_DONE(fix)));
	assert_non_null(registry_checkgrant(fix->registry, c.laptop));

	/* What was approved a moment ago is over with it, though nobody has fetched it yet. */
	FIX_OK(fix, registry_forget_checks(fix->registry, &fix_root, "desk", FIX_DONE(fix)));
	assert_non_null(strstr(fix_last_event(fix), "root check.forget "));
	assert_forgotten(&c);
	assert_int_equal(state_of(&c, login, FIX_HOUR), REGISTRY_NOT_FOUND);

	remember(&c);
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, c.laptop, &to_bob, FIX_DONE(fix)));
	assert_forgotten(&c);
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, c.laptop, &to_alice, FIX_DONE(fix)));
	assert_forgotten(&c);
	remember(&c);
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, c.laptop, &to_tag, FIX_DONE(fix)));
	assert_forgotten(&c);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_NOT_ALLOWED);
	fix_expect(fix, REGISTRY_NOT_ALLOWED, "desk belongs to nobody");
	FIX_OK(fix,
	       registry_patch_node(fix->registry, &fix_root, c.laptop, &to_alice, FIX_DONE(fix)));

	remember(&c);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	FIX_OK(fix, registry_expire_node(fix->registry, &fix_root, c.laptop, FIX_DONE(fix)));
	assert_forgotten(&c);
	assert_null(registry_checkreq(fix->registry, c.id));
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_KEY_EXPIRED);
	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_OK(fix,
	       fix_enrol(fix, &(struct fix_machine){ .number = 1, .key = 11, .auth_key = key }));
	assert_forgotten(&c);

	remember(&c);
	FIX_OK(fix, registry_delete_node(fix->registry, &fix_root, c.laptop, FIX_DONE(fix)));
	assert_int_equal(registry_n_checkgrants(fix->registry), 0);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_NOT_FOUND);
}

/* A key that is renewed is a login of its own: what was shown before does not outlive it. */
static void test_renewed_key(void **state)
{
	struct fix *fix = *state;
	struct checks c;
	const char *key;

	begin(&c, fix);
	remember(&c);
	key = fix_authkey(fix, ALICE, NULL, false, false);
	FIX_OK(fix,
	       fix_enrol(fix, &(struct fix_machine){ .number = 1, .key = 11, .auth_key = key }));
	assert_string_equal(fix->result.node, c.laptop);
	assert_forgotten(&c);
}

static void test_key_runs_out(void **state)
{
	struct fix *fix = *state;
	uint64_t soon = fix_time() + FIX_HOUR / 2;
	const struct registry_node_patch patch = { .key_expiry = &soon };
	struct checks c;

	begin(&c, fix);
	FIX_OK(fix, registry_patch_node(fix->registry, &fix_root, c.laptop, &patch, FIX_DONE(fix)));
	remember(&c);
	fix_set_time(soon);
	assert_null(registry_checkgrant(fix->registry, c.laptop));
	fix_pass(fix, 0);
	assert_int_equal(registry_n_checkgrants(fix->registry), 0);
}

/* Who ends whatever they are signed in to means this, too. */
static void test_signed_out(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	remember(&c);
	fix_pass(fix, 1);
	FIX_OK(fix, registry_close_sessions(fix->registry, &alice, ALICE, FIX_DONE(fix)));
	assert_null(registry_checkgrant(fix->registry, c.laptop));
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	fix_pass(fix, 1);
	approve(&c);
	assert_int_equal(state_of(&c, c.login, FIX_HOUR), REGISTRY_OK);
}

static void test_suspended(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	remember(&c);
	assert_int_equal(ask(&c, 0), REGISTRY_WAITING);
	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	assert_forgotten(&c);
	assert_null(registry_checkreq(fix->registry, c.id));
	answer_as(&c, &alice, true, fix_time());
	assert_int_not_equal(fix->result.code, REGISTRY_OK);
	assert_int_not_equal(ask(&c, FIX_HOUR), REGISTRY_OK);
}

static void test_forget_person(void **state)
{
	struct fix *fix = *state;
	char names[60][16];
	struct checks c;

	begin(&c, fix);
	/* More than one transaction's worth. */
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(names[i], sizeof(names[i]), "%s", fix_node(fix, 10 + i));
		memcpy(c.laptop, names[i], sizeof(c.laptop));
		remember(&c);
	}
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "alice@example.com is somebody else",
		    registry_forget_checks(fix->registry, &bob, ALICE, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_ALLOWED, "is not yours",
		    registry_forget_checks(fix->registry, &bob, c.laptop, FIX_DONE(fix)));
	FIX_REFUSED(fix, REGISTRY_NOT_FOUND, "no such node and no such user",
		    registry_forget_checks(fix->registry, &fix_root, "nobody", FIX_DONE(fix)));
	FIX_OK(fix, registry_forget_checks(fix->registry, &bob, BOB, FIX_DONE(fix)));
	assert_non_null(registry_checkgrant(fix->registry, c.laptop));
	FIX_OK(fix, registry_forget_checks(fix->registry, &alice, ALICE, FIX_DONE(fix)));
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		assert_null(registry_checkgrant(fix->registry, names[i]));
	FIX_OK(fix, registry_forget_checks(fix->registry, &alice, ALICE, FIX_DONE(fix)));
}

static void test_limits(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	for (unsigned i = 0; i < REGISTRY_MAX_CHECKS_FROM; i++) {
		assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
		answer_as(&c, &alice, false, 0);
		fix_pass(fix, FIX_SEC);
	}
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_TOO_MANY);
	fix_expect(fix, REGISTRY_TOO_MANY, "20 checks were asked for by this host");
	assert_non_null(strstr(fix_last_event(fix), "node:web check.ask n"));
	assert_non_null(strstr(fix_last_event(fix), " too-many"));
	/* Others are not kept from it. */
	snprintf(c.laptop, sizeof(c.laptop), "%s", fix_node(fix, 3));
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	fix_pass(fix, 600 * FIX_SEC);
	snprintf(c.laptop, sizeof(c.laptop), "%s",
		 registry_node_by_name(fix->registry, "host-1")->head.id);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
}

/* One host does not use up what there is for all. */
static void test_limit_of_target(void **state)
{
	struct fix *fix = *state;
	struct checks c;

	begin(&c, fix);
	for (unsigned i = 0; i < REGISTRY_MAX_CHECKS_FOR; i++) {
		snprintf(c.laptop, sizeof(c.laptop), "%s", fix_node(fix, 10 + i));
		assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	}
	/* Who waits there already may go on. */
	assert_int_equal(ask_as(&c, "alice", FIX_HOUR), REGISTRY_WAITING);
	snprintf(c.laptop, sizeof(c.laptop), "%s", fix_node(fix, 5));
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_TOO_MANY);
	fix_expect(fix, REGISTRY_TOO_MANY, "256 checks for logins to this host");
	snprintf(c.web, sizeof(c.web), "%s", fix_node(fix, 3));
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	answer_as(&c, &alice, false, 0);
	fix_pass(fix, FIX_SEC);
	snprintf(c.web, sizeof(c.web), "%s",
		 registry_node_by_name(fix->registry, "host-2")->head.id);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_TOO_MANY);
	fix_pass(fix, 600 * FIX_SEC);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
}

static void test_bad_requests(void **state)
{
	struct fix *fix = *state;
	char long_name[300];
	struct checks c;

	begin(&c, fix);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(ask_as(&c, "", FIX_HOUR), REGISTRY_BAD_REQUEST);
	assert_int_equal(ask_as(&c, "a\nb", FIX_HOUR), REGISTRY_BAD_REQUEST);
	assert_int_equal(ask_as(&c, "\xff", FIX_HOUR), REGISTRY_BAD_REQUEST);
	assert_int_equal(ask_as(&c, long_name, FIX_HOUR), REGISTRY_BAD_REQUEST);
	assert_int_equal(registry_n_checkreqs(fix->registry), 0);
}

/* Nothing of it is in this process alone. */
static void test_restart(void **state)
{
	struct fix *fix = *state, *again;
	struct checks c;
	const char *login;

	begin(&c, fix);
	assert_int_equal(ask(&c, FIX_HOUR), REGISTRY_WAITING);
	again = fix_new(fix->store);
	fix_run(again);
	c.fix = again;
	login = c.login;
	assert_int_equal(state_of(&c, login, FIX_HOUR), REGISTRY_WAITING);
	approve(&c);
	assert_int_equal(state_of(&c, login, FIX_HOUR), REGISTRY_OK);
	c.fix = fix;
	fix_run(fix);
	assert_int_equal(state_of(&c, login, FIX_HOUR), REGISTRY_OK);
	fix_free(again, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fix_setup, fix_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_approved),	   TEST(test_remembered),
		TEST(test_always),	   TEST(test_denied),
		TEST(test_runs_out),	   TEST(test_shared),
		TEST(test_seen),	   TEST(test_at_the_same_time),
		TEST(test_who_may_answer), TEST(test_clock_of_provider),
		TEST(test_forgotten),	   TEST(test_renewed_key),
		TEST(test_key_runs_out),   TEST(test_signed_out),
		TEST(test_suspended),	   TEST(test_forget_person),
		TEST(test_limits),	   TEST(test_limit_of_target),
		TEST(test_bad_requests),   TEST(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
