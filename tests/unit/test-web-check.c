/* The page on which a person shows that they are there, for a login that waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/accounts/totp.h"
#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "tests/unit/web-fixture.h"

struct check_fix {
	struct coord_fix *coord;
	struct agent_fix source, target;
	struct browser *b, *bob;
	char path[64];
};

static const char *id_of(const struct check_fix *f, const struct agent_fix *agent)
{
	return registry_node_by_machine(f->coord->registry, ed25519_key_public(agent->key))
		->head.id;
}

static int setup(void **state)
{
	struct check_fix *f = calloc(1, sizeof(*f));
	const struct registry_user_patch nothing = { 0 };

	assert_non_null(f);
	assert_int_equal(coord_fix_setup((void **)&f->coord), 0);
	registry_add_user(f->coord->registry, &fix_root, BOB, &nothing, fix_done,
			  &f->coord->result);
	web_fix_password(f->coord, ALICE);
	web_fix_password(f->coord, BOB);
	agent_fix_init(f->coord, &f->source);
	agent_fix_enrol(f->coord, &f->source);
	agent_fix_init(f->coord, &f->target);
	agent_fix_enrol(f->coord, &f->target);
	f->b = browser_new(f->coord);
	f->bob = browser_new(f->coord);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct check_fix *f = *state;

	agent_fix_done(&f->source);
	agent_fix_done(&f->target);
	free(f->b);
	free(f->bob);
	coord_fix_teardown((void **)&f->coord);
	free(f);
	return 0;
}

/* A login from source to target as this user waits; the page's path is known then. */
static void ask(struct check_fix *f, const char *user)
{
	const struct registry_check_request request = {
		.source = id_of(f, &f->source),
		.target = id_of(f, &f->target),
		.ssh_user = user,
		.period_usec = FIX_HOUR,
	};

	registry_ask_check(f->coord->registry, &fix_root, &request, fix_done, &f->coord->result);
	assert_int_equal(f->coord->result.code, REGISTRY_WAITING);
	snprintf(f->path, sizeof(f->path), "/check/%.26s", f->coord->result.secret);
}

static const struct checkreq_record *request(const struct check_fix *f)
{
	return registry_checkreq(f->coord->registry, f->path + strlen("/check/"));
}

static const struct checkgrant_record *grant(const struct check_fix *f)
{
	return registry_checkgrant(f->coord->registry, id_of(f, &f->source));
}

static void test_approved_with_the_password(void **state)
{
	struct check_fix *f = *state;
	uint64_t before;

	browser_sign_in(f->b, ALICE);
	ask(f, "root");
	ask(f, "postgres");
	assert_int_equal(browser_get(f->b, f->path), 200);
	browser_sees(f->b, "<h1>Is this login yours?</h1>");
	browser_sees(f->b, request(f)->code);
	browser_sees(f->b, "<dd>alice@example.com</dd>");
	browser_sees(f->b, "<dd>server, 100.64.0.");
	browser_sees(f->b, "<strong>root</strong> on <strong>server-1</strong>");
	browser_sees(f->b, "<strong>postgres</strong> on <strong>server-1</strong>");
	assert_int_equal(request(f)->state, CHECK_WAITING);

	/* That they have signed in before is not enough, nor is a wrong password. */
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 403);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes&password=wrong"), 403);
	browser_sees(f->b, "role=\"alert\"");
	assert_int_equal(request(f)->state, CHECK_WAITING);
	assert_null(grant(f));

	before = registry_now(f->coord->registry);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes&password=" PASSWORD), 200);
	browser_sees(f->b, "It is let in");
	assert_int_equal(request(f)->state, CHECK_APPROVED);
	assert_string_equal(request(f)->by, ALICE);
	assert_string_equal(grant(f)->method, "password");
	assert_int_equal(grant(f)->strength, AUTH_MAX_AGE);
	assert_true(grant(f)->at >= before);
	/* Who comes back, or sends the form again, sees what became of it. */
	assert_int_equal(browser_get(f->b, f->path), 200);
	browser_sees(f->b, "It is let in");
	assert_int_equal(browser_post(f->b, f->path, "answer=no"), 200);
	browser_sees(f->b, "It is let in");
	browser_get(f->b, "/");
	browser_sees(f->b, "You last let in a login from it");
	browser_sees(f->b, "<strong>You let a login in</strong>");
	/* What others do is theirs. */
	browser_sign_in(f->bob, BOB);
	browser_misses(f->bob, "let a login in");
	browser_misses(f->bob, "alice");
}

/* Signing in because of the link shows who they are; the click is still theirs to do. */
static void test_approved_after_signing_in(void **state)
{
	struct check_fix *f = *state;

	ask(f, "root");
	assert_int_equal(browser_get(f->b, f->path), 303);
	browser_get(f->b, browser_location(f->b));
	browser_sees(f->b, "A login by SSH waits for your consent.");
	browser_sign_in(f->b, ALICE);
	browser_sees(f->b, "Is this login yours?");
	browser_misses(f->b, "type=\"password\"");
	assert_int_equal(request(f)->state, CHECK_WAITING);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 200);
	assert_int_equal(request(f)->state, CHECK_APPROVED);
}

/* What was not shown is not let in: neither by a sign-in, nor with the password. */
static void test_login_that_came_later(void **state)
{
	struct check_fix *f = *state;

	ask(f, "postgres");
	browser_get(f->b, f->path);
	browser_get(f->b, browser_location(f->b));
	browser_sign_in(f->b, ALICE);
	browser_sees(f->b, "Is this login yours?");
	ask(f, "root");
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 409);
	browser_sees(f->b, "Another login has come since this page was loaded");
	browser_sees(f->b, "<strong>root</strong> on <strong>server-1</strong>");
	assert_int_equal(request(f)->state, CHECK_WAITING);
	ask(f, "backup");
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes&password=" PASSWORD), 409);
	assert_int_equal(request(f)->state, CHECK_WAITING);
	assert_null(grant(f));
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 200);
	browser_sees(f->b, "It is let in");
	assert_int_equal(request(f)->state, CHECK_APPROVED);
}

/* However many there are: what is approved was shown. */
static void test_all_are_shown(void **state)
{
	struct check_fix *f = *state;
	char user[16], line[64];

	browser_sign_in(f->b, ALICE);
	for (unsigned i = 0; i < REGISTRY_MAX_LOGINS_TO; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		ask(f, user);
	}
	browser_get(f->b, f->path);
	for (unsigned i = 0; i < REGISTRY_MAX_LOGINS_TO; i++) {
		snprintf(line, sizeof(line), "<strong>user%u</strong> on", i);
		browser_sees(f->b, line);
	}
}

static void test_denied(void **state)
{
	struct check_fix *f = *state;

	browser_sign_in(f->b, ALICE);
	ask(f, "root");
	browser_get(f->b, f->path);
	assert_int_equal(browser_submit(f->b, f->path, "answer=no"), 200);
	browser_sees(f->b, "It was turned away");
	browser_sees(f->b, "lock it out");
	assert_int_equal(request(f)->state, CHECK_DENIED);
	assert_null(grant(f));
	/* There is no way back. */
	assert_int_equal(browser_post(f->b, f->path, "answer=yes&password=" PASSWORD), 200);
	assert_int_equal(request(f)->state, CHECK_DENIED);
}

static void test_code_is_asked_for(void **state)
{
	struct check_fix *f = *state;
	char secret[TOTP_TEXT_SIZE], fields[128], code[7];

	browser_sign_in(f->b, ALICE);
	assert_int_equal(totp_secret_new(secret), 0);
	registry_set_totp(f->coord->registry, &fix_root, ALICE, secret, 1, fix_done,
			  &f->coord->result);
	ask(f, "root");
	browser_get(f->b, f->path);
	browser_sees(f->b, "name=\"code\"");
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes&password=" PASSWORD), 403);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes&code=000000&password=" PASSWORD),
			 403);
	assert_int_equal(request(f)->state, CHECK_WAITING);
	assert_int_equal(totp_code(secret, registry_now(f->coord->registry) / 30000000, code), 0);
	snprintf(fields, sizeof(fields), "answer=yes&code=%s&password=" PASSWORD, code);
	assert_int_equal(browser_submit(f->b, f->path, fields), 200);
	assert_string_equal(grant(f)->method, "password+totp");
}

static void test_other_people(void **state)
{
	struct check_fix *f = *state;
	char body[256];

	browser_sign_in(f->bob, BOB);
	ask(f, "root");
	assert_int_equal(browser_get(f->bob, f->path), 403);
	browser_sees(f->bob, "This is not for you");
	browser_misses(f->bob, "alice");
	browser_misses(f->bob, request(f)->code);
	browser_get(f->bob, "/");
	snprintf(body, sizeof(body), "answer=yes&password=" PASSWORD "&csrf=%s",
		 browser_token(f->bob, "/logout"));
	assert_int_equal(browser_post(f->bob, f->path, body), 403);
	assert_int_equal(browser_post(f->bob, f->path, "answer=no"), 403);
	assert_int_equal(request(f)->state, CHECK_WAITING);
}

static void test_forged(void **state)
{
	struct check_fix *f = *state;
	char body[256];

	browser_sign_in(f->b, ALICE);
	ask(f, "root");
	browser_get(f->b, "/");
	snprintf(body, sizeof(body), "answer=yes&password=" PASSWORD "&csrf=%s",
		 browser_token(f->b, "/logout"));
	assert_int_equal(browser_post(f->b, f->path, body), 400);
	assert_int_equal(browser_post(f->b, f->path, "answer=yes&password=" PASSWORD), 400);
	assert_int_equal(browser_post(f->b, f->path, "answer=no"), 400);
	f->b->headers = "Origin: https://evil.example\r\n";
	browser_get(f->b, f->path);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes&password=" PASSWORD), 400);
	assert_int_equal(request(f)->state, CHECK_WAITING);
	/* Nobody is signed in. */
	f->b->headers = NULL;
	free(f->bob);
	f->bob = browser_new(f->coord);
	assert_int_equal(browser_post(f->bob, f->path, "answer=no"), 403);
}

static void test_ran_out(void **state)
{
	struct check_fix *f = *state;

	browser_sign_in(f->b, ALICE);
	ask(f, "root");
	f->path[12] = f->path[12] == 'a' ? 'b' : 'a';
	assert_int_equal(browser_get(f->b, f->path), 404);
	browser_sees(f->b, "Nothing waits here any more");
	assert_int_equal(browser_post(f->b, f->path, "answer=yes"), 404);
}

#define NOBODY "<strong>No login waits at the moment.</strong>"
#define POLICY                                                                     \
	"{\"ssh\":[{\"action\":\"check\",\"src\":[\"autogroup:member\"],\"dst\":[" \
	"\"autogroup:self\"],\"users\":[\"root\"]}]}"

/* The page says whether the terminal is still there. */
static void test_login_that_was_given_up(void **state)
{
	struct check_fix *f = *state;
	const struct registry_policy_request policy = { .text = POLICY, .len = strlen(POLICY) };
	_cleanup_free_ char *body = NULL, *wait = NULL;
	const char *id = f->path + strlen("/check/");
	int fd;

	registry_set_policy(f->coord->registry, &fix_root, &policy, fix_done, &f->coord->result);
	assert_int_equal(f->coord->result.code, REGISTRY_OK);
	browser_sign_in(f->b, ALICE);
	ask(f, "root");
	body = text_printf("{\"id\":\"%s\"}", f->coord->result.secret);
	browser_get(f->b, f->path);
	browser_sees(f->b, NOBODY);

	wait = agent_fix_request(&f->target, "/v1/check/wait", body);
	fd = http_fixture_connect(&f->coord->http);
	http_fixture_send(fd, wait);
	http_fixture_wait(&f->coord->http, api_check_is_waited_for(f->coord->api, id));
	browser_get(f->b, f->path);
	browser_misses(f->b, NOBODY);
	close(fd);
	http_fixture_wait(&f->coord->http, !api_check_is_waited_for(f->coord->api, id));
	browser_get(f->b, f->path);
	browser_sees(f->b, NOBODY);
}

static void test_markup_is_text(void **state)
{
	struct check_fix *f = *state;

	browser_sign_in(f->b, ALICE);
	ask(f, "<script>a</script>");
	browser_get(f->b, f->path);
	browser_sees(f->b, "<strong>&lt;script&gt;a&lt;/script&gt;</strong>");
	browser_misses(f->b, "<script");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_approved_with_the_password),
		TEST(test_approved_after_signing_in),
		TEST(test_login_that_came_later),
		TEST(test_all_are_shown),
		TEST(test_denied),
		TEST(test_code_is_asked_for),
		TEST(test_other_people),
		TEST(test_forged),
		TEST(test_ran_out),
		TEST(test_login_that_was_given_up),
		TEST(test_markup_is_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
