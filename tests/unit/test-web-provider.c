/* Trips to a provider and back, with one of words only: what a browser may bring back, and when. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/accounts.h"
#include "coord/registry/checks.h"
#include "coord/registry/renewal.h"
#include "tests/unit/web-fixture.h"

/* ---- the provider ---- */

struct web_flow_state {
	char state[48];
};

static struct {
	unsigned n_flows, n_finished; /* flows that are there */
	bool reauth;		      /* of the last trip */
	bool is_down;
	const char *name; /* of the one that it went to */
	char state[48];
	struct web_identity identity; /* of the next answer */
	char long_url[1400];
} provider;

static void begin(void *userdata, const struct web_begin *request, web_begin_fn done,
		  void *done_userdata)
{
	struct web_begun begun = { 0 };

	if (provider.is_down) {
		done(-ETIMEDOUT, "The provider does not answer.", NULL, done_userdata);
		return;
	}
	begun.flow = calloc(1, sizeof(*begun.flow));
	assert_non_null(begun.flow);
	snprintf(begun.flow->state, sizeof(begun.flow->state), "state-%u", ++provider.n_finished);
	begun.state = begun.flow->state;
	provider.n_flows++;
	provider.reauth = request->reauth;
	provider.name = userdata;
	snprintf(provider.state, sizeof(provider.state), "%s", begun.state);
	/* As long as they come. */
	snprintf(provider.long_url, sizeof(provider.long_url), "https://idp.example/%01200d", 1);
	begun.url = provider.long_url;
	done(0, NULL, &begun, done_userdata);
}

static void flow_free(struct web_flow_state *flow)
{
	provider.n_flows--;
	free(flow);
}

static void finish(void *userdata, struct web_flow_state *flow, const struct web_return *back,
		   web_finish_fn done, void *done_userdata)
{
	bool good = back->code && strcmp(back->code, "good") == 0;

	flow_free(flow);
	done(good ? 0 : -EKEYREJECTED, good ? NULL : "The provider said no.",
	     good ? &provider.identity : NULL, done_userdata);
}

static const struct web_provider providers[] = {
	{ "corp", "Corp & Co", true, (char *)"corp", begin, finish, flow_free },
	{ "other", "Other", false, (char *)"other", begin, finish, flow_free },
};

static int setup(void **state)
{
	memset(&provider, 0, sizeof(provider));
	provider.identity = (struct web_identity){ .issuer = "https://idp.example",
						   .subject = "1",
						   .email = ALICE,
						   .strength = AUTH_MAX_AGE };
	coord_fix_providers = providers;
	coord_fix_n_providers = ARRAY_SIZE(providers);
	return coord_fix_setup(state);
}

static int teardown(void **state)
{
	coord_fix_providers = NULL;
	coord_fix_n_providers = 0;
	coord_fix_teardown(state);
	/* Nothing is left of trips that nobody came back from. */
	assert_int_equal(provider.n_flows, 0);
	return 0;
}

/* ---- tests ---- */

/* Back with the state of the last trip, to the path of its provider. */
static unsigned come_back(struct browser *b, const char *code)
{
	_cleanup_free_ char *url = web_callback_url(COORD_FIX_URL, provider.name);
	_cleanup_free_ char *all = text_printf("%s?code=%s&state=%s", url + strlen(COORD_FIX_URL),
					       code, provider.state);

	return browser_get(b, all);
}

static void set_out(struct browser *b, const char *path)
{
	assert_int_equal(browser_get(b, path), 303);
	assert_non_null(strstr(b->reply.text, "\r\nLocation: https://idp.example/"));
}

static void test_there_and_back(void **state)
{
	struct browser *b = browser_new(*state);
	_cleanup_free_ char *url = NULL;

	browser_get(b, "/login?next=/code");
	browser_sees(b, "href=\"/login/corp?next=/code\">Continue with Corp &amp; Co</a>");
	browser_sees(b, "href=\"/login/other?next=/code\">Continue with Other</a>");
	set_out(b, "/login/corp?next=/code");
	assert_false(provider.reauth);
	url = web_callback_url(COORD_FIX_URL, provider.name);
	assert_string_equal(url, COORD_FIX_URL "/oidc/callback/corp");
	assert_int_equal(come_back(b, "good"), 303);
	assert_string_equal(browser_location(b), "/code");
	browser_get(b, "/");
	browser_sees(b, "<span>alice@example.com</span>");
	browser_sees(b, "oidc:corp");
	/* Codes are the provider's business. */
	assert_int_equal(browser_get(b, "/code"), 404);
	free(b);
}

/* Whose it is, is known after the sign-in; without one, it is kept for nobody. */
static void test_token_is_kept(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	const struct renewal_record *renewal;

	set_out(b, "/login/corp");
	assert_int_equal(come_back(b, "good"), 303);
	assert_int_equal(registry_n_renewals(coord->registry), 0);
	browser_get(b, "/");
	browser_sees(b, "only when the keys of your devices expire");
	provider.identity.sealed = "sealed";
	set_out(b, "/login/corp");
	assert_int_equal(come_back(b, "good"), 303);
	renewal = registry_renewal_of(coord->registry, "https://idp.example", "1");
	assert_non_null(renewal);
	assert_string_equal(renewal->user, ALICE);
	assert_string_equal(renewal->provider, "corp");
	assert_string_equal(renewal->sealed, "sealed");
	provider.identity.subject = "2";
	provider.identity.email = "new@example.com";
	set_out(b, "/login/other");
	assert_int_equal(come_back(b, "good"), 403);
	assert_int_equal(registry_n_renewals(coord->registry), 1);
	free(b);
}

static void test_not_twice(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);

	set_out(b, "/login/corp");
	assert_int_equal(come_back(b, "bad"), 403);
	browser_sees(b, "The provider said no.");
	assert_int_equal(come_back(b, "good"), 400);
	browser_sees(b, "it was used already");
	set_out(b, "/login/corp");
	assert_int_equal(come_back(b, "good"), 303);
	assert_int_equal(come_back(b, "good"), 400);
	assert_int_equal(registry_n_websessions(coord->registry), 1);
	free(b);
}

/* Whoever gets somebody to open a link that ends their own trip would have them signed in as them.
 */
static void test_another_browsers_trip(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord), *victim = browser_new(coord);

	browser_get(victim, "/login");
	set_out(b, "/login/corp");
	assert_int_equal(come_back(victim, "good"), 400);
	assert_int_equal(registry_n_websessions(coord->registry), 0);
	/* Nor does that end it for who set out. */
	assert_int_equal(come_back(b, "good"), 303);
	free(victim);
	free(b);
}

/* Who went to one provider, and comes back from another, brings that one's code to the first. */
static void test_another_provider(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	char path[128];

	set_out(b, "/login/other");
	snprintf(path, sizeof(path), "/oidc/callback/corp?code=good&state=%s", provider.state);
	assert_int_equal(browser_get(b, path), 400);
	assert_int_equal(registry_n_websessions(coord->registry), 0);
	snprintf(path, sizeof(path), "/oidc/callback?code=good&state=%s", provider.state);
	assert_int_equal(browser_get(b, path), 404);
	free(b);
}

static void test_made_up(void **state)
{
	static const char *const paths[] = {
		"/oidc/callback/corp",
		"/oidc/callback/corp?code=good",
		"/oidc/callback/corp?code=good&state=",
		"/oidc/callback/corp?code=good&state=state-2",
		"/oidc/callback/corp?error=access_denied&state=nonsense",
	};
	struct browser *b = browser_new(*state);

	set_out(b, "/login/corp");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(browser_get(b, paths[i]), 400);
	assert_int_equal(browser_get(b, "/login/nobody"), 404);
	free(b);
}

static void test_provider_down(void **state)
{
	struct browser *b = browser_new(*state);

	provider.is_down = true;
	assert_int_equal(browser_get(b, "/login/corp"), 503);
	browser_sees(b, "The provider does not answer.");
	free(b);
}

static void test_unknown_people(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);

	provider.identity.subject = "2";
	provider.identity.email = "new@example.com";
	set_out(b, "/login/other");
	assert_int_equal(come_back(b, "good"), 403);
	assert_null(registry_user(coord->registry, "new@example.com"));
	set_out(b, "/login/corp");
	assert_int_equal(come_back(b, "good"), 303);
	assert_non_null(registry_user(coord->registry, "new@example.com"));
	free(b);
}

/* The table has an end: the oldest trips are given up. */
static void test_many_trips(void **state)
{
	struct browser *b = browser_new(*state);
	unsigned n = 0;

	while (browser_get(b, "/login/corp") == 303)
		assert_true(++n < 200);
	assert_int_equal(b->status, 429);
	assert_true(n >= 20);
	assert_true(provider.n_flows <= 1024);
	free(b);
}

/* ---- checks ---- */

struct device {
	struct agent_fix agent;
	char path[64]; /* of the page */
};

static void ask_check(struct coord_fix *coord, struct device *device)
{
	struct registry_check_request request = { .ssh_user = "root", .period_usec = FIX_HOUR };

	agent_fix_init(coord, &device->agent);
	agent_fix_enrol(coord, &device->agent);
	request.source = registry_node_at(coord->registry, 0)->head.id;
	request.target = request.source;
	registry_ask_check(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_WAITING);
	snprintf(device->path, sizeof(device->path), "/check/%.26s", coord->result.secret);
}

static void test_check(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	struct device device = { 0 };
	char link[128];

	set_out(b, "/login/corp");
	come_back(b, "good");
	ask_check(coord, &device);
	assert_int_equal(browser_get(b, device.path), 200);
	snprintf(link, sizeof(link), "href=\"/login/corp?next=%s\"", device.path);
	browser_sees(b, link);
	browser_misses(b, "value=\"yes\"");
	browser_misses(b, "type=\"password\"");
	/* A form of another page's making. */
	assert_int_equal(browser_submit(b, device.path, "answer=yes"), 403);
	browser_sees(b, "Please show first that it is you.");
	/* To the provider, which is to ask anew; its clock is behind. */
	snprintf(link, sizeof(link), "/login/corp?next=%s", device.path);
	set_out(b, link);
	assert_true(provider.reauth);
	provider.identity.auth_time = registry_now(coord->registry) - 30 * FIX_SEC;
	assert_int_equal(come_back(b, "good"), 303);
	assert_string_equal(browser_location(b), device.path);
	assert_int_equal(registry_n_websessions(coord->registry), 1);
	browser_get(b, device.path);
	browser_sees(b, "value=\"yes\"");
	browser_misses(b, "/login/corp");
	assert_int_equal(browser_submit(b, device.path, "answer=yes"), 200);
	browser_sees(b, "It is let in");
	agent_fix_done(&device.agent);
	free(b);
}

/* A sign-in of before, which the provider was not asked to do anew, is none for a check. */
static void test_old_sign_in_is_not_enough(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	struct device device = { 0 };

	ask_check(coord, &device);
	provider.identity.auth_time = registry_now(coord->registry) - FIX_HOUR;
	set_out(b, "/login/corp");
	assert_int_equal(come_back(b, "good"), 303);
	browser_get(b, device.path);
	browser_misses(b, "value=\"yes\"");
	assert_int_equal(browser_submit(b, device.path, "answer=yes"), 403);
	/* Saying no takes nothing. */
	browser_get(b, device.path);
	assert_int_equal(browser_submit(b, device.path, "answer=no"), 200);
	browser_sees(b, "It was turned away");
	agent_fix_done(&device.agent);
	free(b);
}

/* The provider's clock is ahead: nobody has signed in tomorrow. */
static void test_time_to_come(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	struct device device = { 0 };

	provider.identity.auth_time = registry_now(coord->registry) + FIX_DAY;
	set_out(b, "/login/corp");
	assert_int_equal(come_back(b, "good"), 303);
	ask_check(coord, &device);
	browser_get(b, device.path);
	browser_misses(b, "value=\"yes\"");
	agent_fix_done(&device.agent);
	free(b);
}

static void test_somebody_else_comes_back(void **state)
{
	struct coord_fix *coord = *state;
	struct browser *b = browser_new(coord);
	struct device device = { 0 };
	char link[128];

	set_out(b, "/login/corp");
	come_back(b, "good");
	ask_check(coord, &device);
	provider.identity.subject = "2";
	provider.identity.email = BOB;
	snprintf(link, sizeof(link), "/login/corp?next=%s", device.path);
	set_out(b, link);
	come_back(b, "good");
	assert_int_equal(browser_get(b, device.path), 403);
	browser_sees(b, "This is not for you");
	agent_fix_done(&device.agent);
	free(b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_token_is_kept),
		TEST(test_not_twice),
		TEST(test_another_browsers_trip),
		TEST(test_another_provider),
		TEST(test_made_up),
		TEST(test_provider_down),
		TEST(test_unknown_people),
		TEST(test_many_trips),
		TEST(test_check),
		TEST(test_old_sign_in_is_not_enough),
		TEST(test_time_to_come),
		TEST(test_somebody_else_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
