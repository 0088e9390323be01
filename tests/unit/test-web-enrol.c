/* The page behind the link that "agentctl up" shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"
#include "tests/unit/web-fixture.h"

struct enrol_fix {
	struct coord_fix *coord;
	struct agent_fix agent;
	struct browser *b; /* alice's; not signed in yet */
	struct http_reply reply;
	char path[64]; /* of the page */
};

static int setup(void **state)
{
	struct enrol_fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(coord_fix_setup((void **)&f->coord), 0);
	web_fix_password(f->coord, ALICE);
	agent_fix_init(f->coord, &f->agent);
	f->b = browser_new(f->coord);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct enrol_fix *f = *state;

	agent_fix_done(&f->agent);
	free(f->b);
	coord_fix_teardown((void **)&f->coord);
	free(f);
	return 0;
}

/* Ask with these members besides; the page's path is known then. */
static void ask(struct enrol_fix *f, const char *members)
{
	char key[WG_KEY_B64LEN], body[1024];
	const char *url;

	snprintf(body, sizeof(body), "{\"version\":1,\"node_key\":\"%s\",%s}",
		 wg_key_to_string(&f->agent.node_key, key), members);
	assert_int_equal(agent_fix_ask(f->coord, &f->agent, "/v1/enrol", body, &f->reply), 202);
	url = strstr(f->reply.text, "\"url\":\"" COORD_FIX_URL "/a/");
	assert_non_null(url);
	url += strlen("\"url\":\"" COORD_FIX_URL);
	snprintf(f->path, sizeof(f->path), "%.*s", (int)strcspn(url, "\""), url);
	assert_int_equal(strlen(f->path), 3 + 26);
}

#define LAPTOP "\"hostname\":\"laptop\",\"os\":\"Debian GNU/Linux 12\""

static void open_page(struct enrol_fix *f)
{
	browser_get(f->b, f->path);
	if (f->b->status == 303) {
		browser_get(f->b, browser_location(f->b));
		browser_sees(f->b, "A device asks to be let into the network.");
		browser_sign_in(f->b, ALICE);
	}
	assert_int_equal(f->b->status, 200);
}

static const struct node_record *node(const struct enrol_fix *f)
{
	return registry_node_by_machine(f->coord->registry, ed25519_key_public(f->agent.key));
}

static void test_confirmed(void **state)
{
	struct enrol_fix *f = *state;
	char machine[ED25519_TEXT_LEN], secret[64], body[128];
	_cleanup_free_ char *wait = NULL;
	const char *id;
	int fd;

	ask(f, LAPTOP);
	id = strstr(f->reply.text, "\"id\":\"");
	assert_non_null(id);
	snprintf(secret, sizeof(secret), "%.43s", id + 6);
	snprintf(body, sizeof(body), "{\"id\":\"%s\"}", secret);
	wait = agent_fix_request(&f->agent, "/v1/enrol/wait", body);
	fd = http_fixture_connect(&f->coord->http);
	http_fixture_send(fd, wait);

	open_page(f);
	browser_sees(f->b, "<h1>Add this device?</h1>");
	browser_sees(f->b, "<dd>laptop</dd>");
	browser_sees(f->b, "<dd>Debian GNU/Linux 12</dd>");
	browser_sees(f->b, "<dd>127.0.0.1</dd>");
	browser_sees(f->b, "<dd>alice@example.com</dd>");
	browser_sees(f->b, ed25519_public_to_string(ED25519_MACHINE,
						    ed25519_key_public(f->agent.key), machine));
	browser_sees(f->b, registry_pending_at(f->coord->registry, 0)->head.id);
	browser_misses(f->b, secret);
	/* Looking does nothing. */
	assert_null(node(f));

	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 200);
	browser_sees(f->b, "It is in");
	browser_sees(f->b, "<strong>laptop</strong>");
	assert_string_equal(node(f)->user, ALICE);
	/* The agent goes on at once. */
	memset(&f->reply, 0, sizeof(f->reply));
	http_fixture_receive(&f->coord->http, fd, "\"state\":\"enrolled\"", &f->reply);
	close(fd);
	/* And who comes back sees that. */
	assert_int_equal(browser_get(f->b, f->path), 200);
	browser_sees(f->b, "It is in");
}

static void test_turned_away(void **state)
{
	struct enrol_fix *f = *state;

	ask(f, LAPTOP);
	open_page(f);
	assert_int_equal(browser_submit(f->b, f->path, "answer=maybe"), 400);
	open_page(f);
	assert_int_equal(browser_submit(f->b, f->path, "answer=no"), 200);
	browser_sees(f->b, "It was turned away");
	assert_null(node(f));
	assert_int_equal(agent_fix_ask(f->coord, &f->agent, "/v1/enrol",
				       agent_fix_enrolment(&f->agent, NULL), &f->reply),
			 403);
	assert_non_null(strstr(f->reply.text, "\"code\":\"rejected\""));
}

static void test_needs_a_form_of_ours(void **state)
{
	struct enrol_fix *f = *state;

	ask(f, LAPTOP);
	assert_int_equal(browser_post(f->b, f->path, "answer=yes"), 403);
	open_page(f);
	assert_int_equal(browser_post(f->b, f->path, "answer=yes"), 400);
	f->b->headers = "Origin: https://evil.example\r\n";
	open_page(f);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 400);
	assert_null(node(f));
}

/* What was said yes to is what was shown. */
static void test_machine_changes_its_mind(void **state)
{
	struct enrol_fix *f = *state;
	char path[64];

	ask(f, LAPTOP);
	memcpy(path, f->path, sizeof(path));
	open_page(f);
	ask(f, "\"hostname\":\"laptop\",\"os\":\"Debian GNU/Linux 13\"");
	assert_string_equal(f->path, path);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 400);
	browser_sees(f->b, "This page is out of date");
	assert_null(node(f));
	open_page(f);
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 200);
	assert_non_null(node(f));
}

/* Whatever a machine calls itself, it is text. */
static void test_markup_is_text(void **state)
{
	struct enrol_fix *f = *state;

	ask(f, "\"hostname\":\"<script>a</script>\",\"os\":\"\\\"><img src=x onerror='a'>\"");
	open_page(f);
	browser_sees(f->b, "<dd>&lt;script&gt;a&lt;/script&gt;</dd>");
	browser_sees(f->b, "<dd>&quot;&gt;&lt;img src=x onerror=&#39;a&#39;&gt;</dd>");
	browser_misses(f->b, "<script");
	browser_misses(f->b, "<img");
	browser_submit(f->b, f->path, "answer=yes");
	browser_get(f->b, "/");
	browser_sees(f->b, "&lt;img src=x");
	browser_misses(f->b, "<img");
}

static void test_another_persons_device(void **state)
{
	struct enrol_fix *f = *state;
	const struct registry_user_patch nothing = { 0 };

	registry_add_user(f->coord->registry, &fix_root, BOB, &nothing, fix_done,
			  &f->coord->result);
	ask(f, LAPTOP);
	registry_approve(f->coord->registry, &fix_root,
			 registry_pending_at(f->coord->registry, 0)->head.id, BOB, NULL, fix_done,
			 &f->coord->result);
	registry_expire_node(f->coord->registry, &fix_root, "laptop", fix_done, &f->coord->result);
	assert_int_equal(f->coord->result.code, REGISTRY_OK);
	ask(f, LAPTOP);
	browser_sign_in(f->b, ALICE);
	assert_int_equal(browser_get(f->b, f->path), 403);
	browser_sees(f->b, "somebody else&#39;s");
	browser_misses(f->b, "bob");
	assert_string_equal(node(f)->user, BOB);
}

static void test_renewed(void **state)
{
	struct enrol_fix *f = *state;
	char id[16];

	ask(f, LAPTOP);
	open_page(f);
	browser_submit(f->b, f->path, "answer=yes");
	snprintf(id, sizeof(id), "%s", node(f)->head.id);
	registry_expire_node(f->coord->registry, &fix_root, id, fix_done, &f->coord->result);
	ask(f, LAPTOP);
	open_page(f);
	browser_sees(f->b, "<h1>Let this device in again?</h1>");
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 200);
	assert_string_equal(node(f)->head.id, id);
	assert_false(node_is_expired(node(f), registry_now(f->coord->registry)));
}

static void test_tags_are_for_their_owners(void **state)
{
	struct enrol_fix *f = *state;

	ask(f, LAPTOP ",\"tags\":[\"tag:prod\"]");
	open_page(f);
	browser_sees(f->b, "<dd>tag:prod</dd>");
	browser_sees(f->b, "nobody: it acts under its tags");
	assert_int_equal(browser_submit(f->b, f->path, "answer=yes"), 403);
	browser_sees(f->b, "tag:prod");
	assert_null(node(f));
}

static void test_no_such_link(void **state)
{
	struct enrol_fix *f = *state;

	ask(f, LAPTOP);
	browser_sign_in(f->b, ALICE);
	f->path[10] = f->path[10] == 'a' ? 'b' : 'a';
	assert_int_equal(browser_get(f->b, f->path), 404);
	browser_sees(f->b, "This link is of no use");
	assert_int_equal(browser_post(f->b, f->path, "answer=yes"), 404);
	/* The code is for operators. */
	snprintf(f->path, sizeof(f->path), "/a/%s",
		 registry_pending_at(f->coord->registry, 0)->head.id);
	assert_int_equal(browser_get(f->b, f->path), 404);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_confirmed),
		TEST(test_turned_away),
		TEST(test_needs_a_form_of_ours),
		TEST(test_machine_changes_its_mind),
		TEST(test_markup_is_text),
		TEST(test_another_persons_device),
		TEST(test_renewed),
		TEST(test_tags_are_for_their_owners),
		TEST(test_no_such_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
