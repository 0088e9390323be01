/* What operators may ask for, and what this host says of itself: the pure parts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/addresses.h"
#include "agent/link/facts.h"
#include "agent/link/wish.h"
#include "tests/unit/known-keys.h"

#define KEY	  "pgc:Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc" /* KNOWN_COORDINATOR */
#define OTHER_KEY "pgc:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
#define AUTH_KEY  "pgauth.id.secret." KEY

/* What is remembered before. */
enum before {
	NOTHING,
	KNOWN,	/* a coordinator with its key */
	MEMBER, /* of it, with tag:a */
};

static struct link_store store_of(enum before before)
{
	struct link_store store = { 0 };

	if (before == NOTHING)
		return store;
	store.url = strdup("https://coord.example");
	store.have_key = true;
	assert_int_equal(
		ed25519_public_parse(ED25519_COORDINATOR, KEY, strlen(KEY), &store.coordinator), 0);
	if (before == KNOWN)
		return store;
	store.node_id = strdup("n1");
	store.node_name = strdup("server");
	store.domain = strdup("mesh.example");
	store.tags = calloc(1, sizeof(char *));
	store.tags[0] = strdup("tag:a");
	store.n_tags = 1;
	return store;
}

static char *tag_a[] = { (char *)"tag:a" }, *tag_b[] = { (char *)"tag:b" },
	    *no_tag[] = { (char *)"prod" }, *empty_tag[] = { (char *)"tag:" };

static const struct {
	enum before before;
	struct link_wish wish;
	struct link_terms terms;
	int answer;
	const char *expected; /* the URL; or part of the error */
} cases[] = {
	{ NOTHING,
	  { .url = "https://a.example/" },
	  { 0 },
	  LINK_WISH_FOR_ROOT,
	  "https://a.example" },
	{ NOTHING, { 0 }, { 0 }, -EINVAL, "no coordinator is known" },
	/* The file's word is root's. */
	{ NOTHING, { 0 }, { .default_url = "https://a.example" }, 0, "https://a.example" },
	{ NOTHING,
	  { .url = "https://b.example" },
	  { .default_url = "https://a.example" },
	  LINK_WISH_FOR_ROOT,
	  "https://b.example" },
	{ NOTHING,
	  { .coordinator_key = KEY },
	  { .default_url = "https://a.example" },
	  LINK_WISH_FOR_ROOT,
	  "https://a.example" },
	{ NOTHING, { .url = "ftp://a" }, { 0 }, -EINVAL, "no URL" },
	{ NOTHING, { .url = "http://a.example" }, { 0 }, -EINVAL, "not encrypted" },
	{ NOTHING,
	  { .url = "http://127.0.0.1:8" },
	  { 0 },
	  LINK_WISH_FOR_ROOT,
	  "http://127.0.0.1:8" },
	/* In the clear its key is not learnt. */
	{ NOTHING,
	  { .url = "http://a.example" },
	  { .plain_http = true },
	  -EINVAL,
	  "cannot be learnt" },
	{ NOTHING,
	  { .url = "http://a.example", .coordinator_key = KEY },
	  { .plain_http = true },
	  LINK_WISH_FOR_ROOT,
	  "http://a.example" },
	{ NOTHING,
	  { .url = "http://a.example", .auth_key = AUTH_KEY },
	  { .plain_http = true },
	  LINK_WISH_FOR_ROOT,
	  "http://a.example" },
	{ NOTHING,
	  { .url = "https://a.example", .auth_key = "pgauth.id.secret" },
	  { 0 },
	  -EINVAL,
	  "cut off or mistyped" },
	{ NOTHING,
	  { .url = "https://a.example", .auth_key = "pgapi.id.secret." KEY },
	  { 0 },
	  -EINVAL,
	  "no auth key" },
	{ NOTHING,
	  { .url = "https://a.example", .auth_key = "pgauth.id.secret.x" },
	  { 0 },
	  -EINVAL,
	  "no coordinator's key" },
	{ NOTHING,
	  { .url = "https://a.example", .auth_key = "pgauth.id.se cret." KEY },
	  { 0 },
	  -EINVAL,
	  "cut off or mistyped" },
	{ NOTHING,
	  { .url = "https://a.example", .coordinator_key = "pgc:x" },
	  { 0 },
	  -EINVAL,
	  "--coordinator-key is no" },
	/* What is pinned stays. */
	{ KNOWN, { .coordinator_key = KEY }, { 0 }, 0, "https://coord.example" },
	{ KNOWN, { .coordinator_key = OTHER_KEY }, { 0 }, -EINVAL, "another coordinator" },
	{ KNOWN, { .auth_key = "pgauth.i.s." OTHER_KEY }, { 0 }, -EINVAL, "another coordinator" },
	{ KNOWN, { .auth_key = AUTH_KEY }, { 0 }, 0, "https://coord.example" },
	{ KNOWN, { .url = "https://b.example" }, { 0 }, LINK_WISH_FOR_ROOT, "https://b.example" },
	{ KNOWN,
	  { .set_ssh = true, .ssh = true },
	  { 0 },
	  LINK_WISH_FOR_ROOT,
	  "https://coord.example" },
	{ KNOWN, { .set_ssh = true, .ssh = false }, { 0 }, 0, "https://coord.example" },
	{ KNOWN, { .hostname = "web-1" }, { 0 }, 0, "https://coord.example" },
	{ KNOWN, { .hostname = "" }, { 0 }, 0, "https://coord.example" },
	{ KNOWN, { .hostname = "Web" }, { 0 }, -EINVAL, "no host name" },
	{ KNOWN, { .hostname = "a.b" }, { 0 }, -EINVAL, "no host name" },
	{ KNOWN,
	  { .set_tags = true, .tags = tag_b, .n_tags = 1 },
	  { 0 },
	  0,
	  "https://coord.example" },
	{ KNOWN, { .set_tags = true, .tags = no_tag, .n_tags = 1 }, { 0 }, -EINVAL, "no tag" },
	{ KNOWN, { .set_tags = true, .tags = empty_tag, .n_tags = 1 }, { 0 }, -EINVAL, "no tag" },
	{ MEMBER, { .url = "https://coord.example" }, { 0 }, 0, "https://coord.example" },
	{ MEMBER, { .url = "https://b.example" }, { 0 }, -EINVAL, "agentctl logout" },
	{ MEMBER,
	  { .set_tags = true, .tags = tag_a, .n_tags = 1 },
	  { 0 },
	  0,
	  "https://coord.example" },
	{ MEMBER,
	  { .set_tags = true, .tags = tag_b, .n_tags = 1 },
	  { 0 },
	  -EINVAL,
	  "coordctl nodes tag server" },
	{ MEMBER,
	  { .set_tags = true, .tags = tag_b, .n_tags = 1 },
	  { .key_expired = true },
	  0,
	  "https://coord.example" },
};

static void test_wishes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(link_store_done) struct link_store before = store_of(cases[i].before);
		_cleanup_(link_store_done) struct link_store after = { 0 };
		_cleanup_free_ char *error = NULL;
		int r = link_wish_apply(&cases[i].wish, &cases[i].terms, &before, &after, &error);

		if (r != cases[i].answer)
			fail_msg("case %zu: %d %s", i, r, error);
		if (r < 0 ? !strstr(error, cases[i].expected)
			  : strcmp(after.url, cases[i].expected) != 0)
			fail_msg("case %zu: %s", i, r < 0 ? error : after.url);
		assert_true(r < 0 || !error);
	}
}

static struct link_store apply(enum before before, struct link_wish wish, struct link_terms terms)
{
	_cleanup_(link_store_done) struct link_store from = store_of(before);
	_cleanup_free_ char *error = NULL;
	struct link_store store = { 0 };

	if (link_wish_apply(&wish, &terms, &from, &store, &error) < 0)
		fail_msg("%s", error);
	return store;
}

static void test_auth_key_is_kept_as_long_as_it_is_of_use(void **state)
{
	struct link_store store =
		apply(KNOWN, (struct link_wish){ .auth_key = AUTH_KEY }, (struct link_terms){ 0 });

	assert_string_equal(store.auth_key, AUTH_KEY);
	link_store_done(&store);
	store = apply(MEMBER, (struct link_wish){ .auth_key = AUTH_KEY }, (struct link_terms){ 0 });
	assert_null(store.auth_key);
	link_store_done(&store);
	store = apply(MEMBER, (struct link_wish){ .auth_key = AUTH_KEY },
		      (struct link_terms){ .key_expired = true });
	assert_string_equal(store.auth_key, AUTH_KEY);
	link_store_done(&store);
}

static void test_another_url_forgets_the_key(void **state)
{
	struct link_store store = apply(KNOWN, (struct link_wish){ .url = "https://b.example" },
					(struct link_terms){ 0 });

	assert_false(store.have_key);
	link_store_done(&store);
}

/* ---- facts ---- */

static void test_labels(void **state)
{
	static const char *const names[][2] = {
		{ "server", "server" },
		{ "Web_1.example.com", "web-1" },
		{ "-a-", "a" },
		{ "", "host" },
		{ "...", "host" },
		{ "localhost", "host" },
		{ "localhost.localdomain", "host" },
		{ "caf\xc3\xa9", "caf" },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789",
		  "012345678901234567890123456789012345678901234567890123456789012" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *label = link_label_of(names[i][0]);

		assert_string_equal(label, names[i][1]);
	}
}

static void test_os(void **state)
{
	static const char *const texts[][2] = {
		{ "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		  "Debian GNU/Linux 12 (bookworm)" },
		{ "ID=x\nPRETTY_NAME='Some OS'", "Some OS" },
		{ "PRETTY_NAME=Plain\nID=x\n", "Plain" },
		{ "PRETTY_NAME=\"a \\\"b\\\" \\$c\"\n", "a \"b\" $c" },
		{ "PRETTY_NAME=\"x\x1b[2J\"\n", "x?[2J" },
		{ "PRETTY_NAME=\"\"\n", "Linux" },
		{ "XPRETTY_NAME=\"x\"\n", "Linux" },
		{ "PRETTY_NAME=\"", "\"" },
		{ "", "Linux" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_free_ char *os = link_os_of(texts[i][0]);

		assert_string_equal(os, texts[i][1]);
	}
}

static struct link_address address(const char *ifname, const char *addr, bool up, bool passing)
{
	struct link_address a = { .up = up, .passing = passing };

	strcpy(a.ifname, ifname);
	assert_int_equal(ip_addr_parse(addr, &a.addr), 0);
	return a;
}

static void test_addresses(void **state)
{
	const struct link_address addresses[] = {
		address("eth0", "192.168.1.2", true, false),
		address("eth0", "fe80::1", true, false),
		address("eth0", "2001:db8::2", true, false),
		address("eth0", "2001:db8::3", true, true),
		address("eth1", "198.51.100.7", true, false),
		address("eth2", "198.51.100.9", false, false),
		address("mesh0", "100.64.0.1", true, false),
		address("mesh1", "100.64.0.9", true, false),
		address("docker0", "172.17.0.1", true, false),
		address("br-0123456789ab", "172.18.0.1", true, false),
		address("br0", "10.1.0.1", true, false),
		address("eth3", "192.168.1.2", true, false),
	};
	static const char *const expected[] = { "198.51.100.7:7", "[2001:db8::2]:7", "10.1.0.1:7",
						"100.64.0.9:7", "192.168.1.2:7" };
	struct ip_endpoint endpoints[8];
	size_t n =
		link_addresses_choose(addresses, ARRAY_SIZE(addresses), "mesh0", 7, endpoints, 8);
	char text[IP_ENDPOINT_STRLEN];

	assert_int_equal(n, ARRAY_SIZE(expected));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(ip_endpoint_to_string(&endpoints[i], text), expected[i]);
	/* The best ones are told. */
	assert_int_equal(
		link_addresses_choose(addresses, ARRAY_SIZE(addresses), "mesh0", 7, endpoints, 1),
		1);
	assert_string_equal(ip_endpoint_to_string(&endpoints[0], text), expected[0]);
}

/* This machine has a loopback, whatever else. */
static void test_kernel_tells(void **state)
{
	struct link_address *addresses = NULL;
	bool loopback = false;
	size_t n = 0;

	assert_int_equal(link_addresses_read(&addresses, &n), 0);
	for (size_t i = 0; i < n; i++)
		loopback |= strcmp(addresses[i].ifname, "lo") == 0 && !addresses[i].up;
	assert_true(loopback);
	free(addresses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_auth_key_is_kept_as_long_as_it_is_of_use),
		cmocka_unit_test(test_another_url_forgets_the_key),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_os),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_kernel_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
