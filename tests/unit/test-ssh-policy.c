#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/ssh/policy.h"
#include "common/text.h"

/* 2026-11-25T00:00:00Z; a day later; a day earlier as text. */
#define NOW	  1795564800000000u
#define TOMORROW  (NOW + 86400000000u)
#define TOMORROW_ "\"2026-11-26T00:00:00Z\""
#define YESTERDAY "\"2026-11-24T00:00:00Z\""

/* alice's laptop .2 (and ::2), bob's desktop .3, a robot .4 with a tag; all addresses. */
static const char template[] =
	"{\"type\": \"full\", \"version\": 1, \"for\": \"n1\", \"generation\": 1,"
	" \"self\": {\"id\": \"n1\", \"name\": \"server\", \"addresses\": [\"100.64.0.1\"],"
	"            \"ssh\": %s, \"key_expiry\": %s},"
	" \"mesh\": {\"domain\": \"mesh.example\", \"prefixes\": [\"100.64.0.0/10\", "
	"\"fd00::/48\"]},"
	" \"peers\": ["
	"  {\"id\": \"n2\", \"name\": \"laptop\", \"addresses\": [\"100.64.0.2\", \"fd00::2\"],"
	"   \"node_key\": \"dHdvMnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"user\": \"alice@example.com\", \"key_expiry\": %s, \"routes\": [\"10.1.0.0/16\"]},"
	"  {\"id\": \"n3\", \"name\": \"desktop\", \"addresses\": [\"100.64.0.3\"],"
	"   \"node_key\": \"M3d3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"user\": \"bob@example.com\"},"
	"  {\"id\": \"n4\", \"name\": \"robot\", \"addresses\": [\"100.64.0.4\"],"
	"   \"node_key\": \"NHd3MnR3bzJ0d28ydHdvMnR3bzJ0d28ydHdvMnR3bzI=\","
	"   \"tags\": [\"tag:robot\"]}],"
	" \"packet_filter\": [], \"ssh_rules\": [%s]}";

struct setting {
	const char *ssh;	  /* NULL: "true" */
	const char *self_expiry;  /* NULL: "null" */
	const char *alice_expiry; /* NULL: "null" */
};

static struct netmap *make_map(const struct setting *s, const char *rules)
{
	_cleanup_free_ char *text = NULL, *error = NULL;
	struct netmap *map = NULL;

	text = text_printf(template, s->ssh ? s->ssh : "true",
			   s->self_expiry ? s->self_expiry : "null",
			   s->alice_expiry ? s->alice_expiry : "null", rules);
	if (netmap_parse(text, strlen(text), "m", &error, &map) < 0)
		fail_msg("%s: %s", rules, error);
	return map;
}

static void decide(const struct netmap *map, const char *from, const char *user,
		   struct ssh_decision *ret_decision)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(from, &addr), 0);
	ssh_policy_decide(map, &addr, user, NOW, ret_decision);
}

#define ALICE "\"principals\": [\"100.64.0.2\", \"fd00::2\"]"
#define BOB   "\"principals\": [\"100.64.0.3\"]"
#define RULE(principals, users, action) \
	"{" principals ", \"users\": {" users "}, \"action\": \"" action "\"}"
#define NONROOT "\"*\": \"=\", \"root\": \"\""

static const struct decision_case {
	const char *what;
	const char *rules;
	const char *from, *user;
	enum ssh_reject_reason reason; /* SSH_REJECT_NONE: accepted */
	const char *local;	       /* accepted: as whom */
	bool nonroot;
	int rule; /* index; -1: none decided */
	struct setting setting;
	enum ssh_verdict not_yet; /* SSH_VERDICT_CHECK */
} decision_cases[] = {
	{ "exact name", RULE(ALICE, "\"root\": \"root\"", "accept"), "100.64.0.2", "root",
	  SSH_REJECT_NONE, "root", false, 0 },
	{ "other address of the same peer", RULE(ALICE, "\"root\": \"root\"", "accept"), "fd00::2",
	  "root", SSH_REJECT_NONE, "root", false, 0 },
	{ "mapped name", RULE(ALICE, "\"alice\": \"ubuntu\"", "accept"), "100.64.0.2", "alice",
	  SSH_REJECT_NONE, "ubuntu", false, 0 },
	{ "wildcard", RULE(ALICE, "\"*\": \"guest\"", "accept"), "100.64.0.2", "x", SSH_REJECT_NONE,
	  "guest", false, 0 },
	{ "wildcard same name", RULE(ALICE, "\"*\": \"=\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_NONE, "x", true, 0 },
	{ "exact same name", RULE(ALICE, "\"x\": \"=\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_NONE, "x", true, 0 },
	{ "exact before wildcard, listed after it",
	  RULE(ALICE, "\"*\": \"guest\", \"x\": \"special\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_NONE, "special", false, 0 },
	{ "exact before wildcard, listed first",
	  RULE(ALICE, "\"x\": \"special\", \"*\": \"guest\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_NONE, "special", false, 0 },
	{ "wildcard to root is what it says", RULE(ALICE, "\"*\": \"root\"", "accept"),
	  "100.64.0.2", "x", SSH_REJECT_NONE, "root", false, 0 },
	{ "a star asked for is no wildcard", RULE(ALICE, "\"x\": \"x\"", "accept"), "100.64.0.2",
	  "*", SSH_REJECT_USER, NULL, false, -1 },
	{ "empty means no", RULE(ALICE, "\"*\": \"x\", \"root\": \"\"", "accept"), "100.64.0.2",
	  "root", SSH_REJECT_USER, NULL, false, -1 },
	{ "user names are compared exactly", RULE(ALICE, "\"root\": \"root\"", "accept"),
	  "100.64.0.2", "Root", SSH_REJECT_USER, NULL, false, -1 },
	{ "nobody in users", RULE(ALICE, "", "accept"), "100.64.0.2", "x", SSH_REJECT_USER, NULL,
	  false, -1 },

	{ "no rules", "", "100.64.0.2", "root", SSH_REJECT_NO_RULE, NULL, false, -1 },
	{ "a rule for somebody else", RULE(BOB, "\"root\": \"root\"", "accept"), "100.64.0.2",
	  "root", SSH_REJECT_NO_RULE, NULL, false, -1 },
	{ "a rule for nobody", RULE("\"principals\": []", "\"root\": \"root\"", "accept"),
	  "100.64.0.2", "root", SSH_REJECT_NO_RULE, NULL, false, -1 },
	{ "everybody", RULE("\"principals\": [\"*\"]", "\"x\": \"x\"", "accept"), "100.64.0.4", "x",
	  SSH_REJECT_NONE, "x", false, 0 },

	{ "first match wins",
	  RULE(ALICE, "\"x\": \"one\"", "accept") "," RULE(ALICE, "\"x\": \"two\"", "accept"),
	  "100.64.0.2", "x", SSH_REJECT_NONE, "one", false, 0 },
	{ "a rule without the user is passed over",
	  RULE(ALICE, "\"y\": \"one\"", "accept") "," RULE(ALICE, "\"x\": \"two\"", "accept"),
	  "100.64.0.2", "x", SSH_REJECT_NONE, "two", false, 1 },
	{ "empty passes on to the next rule",
	  RULE(ALICE, NONROOT, "accept") "," RULE(ALICE, "\"root\": \"root\"", "accept"),
	  "100.64.0.2", "root", SSH_REJECT_NONE, "root", false, 1 },
	{ "reject before accept",
	  RULE(ALICE, "\"x\": \"x\"", "reject") "," RULE(ALICE, "\"x\": \"x\"", "accept"),
	  "100.64.0.2", "x", SSH_REJECT_BY_RULE, NULL, false, 0 },
	{ "reject after accept",
	  RULE(ALICE, "\"x\": \"x\"", "accept") "," RULE(ALICE, "\"x\": \"x\"", "reject"),
	  "100.64.0.2", "x", SSH_REJECT_NONE, "x", false, 0 },
	{ "reject is for every user",
	  RULE(ALICE, "", "reject") "," RULE(ALICE, "\"x\": \"x\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_BY_RULE, NULL, false, 0 },
	{ "reject is for its principals only",
	  RULE(BOB, "", "reject") "," RULE(ALICE, "\"x\": \"x\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_NONE, "x", false, 1 },
	{ "an action of the future denies",
	  RULE(ALICE, "\"y\": \"y\"", "teleport") "," RULE(ALICE, "\"x\": \"x\"", "accept"),
	  "100.64.0.2", "x", SSH_REJECT_BY_RULE, NULL, false, 0 },
	{ "actions are compared exactly", RULE(ALICE, "\"x\": \"x\"", "Accept"), "100.64.0.2", "x",
	  SSH_REJECT_BY_RULE, NULL, false, 0 },
	{ "check",
	  RULE(ALICE, "\"x\": \"=\"", "check"),
	  "100.64.0.2",
	  "x",
	  SSH_REJECT_NONE,
	  "x",
	  true,
	  0,
	  { 0 },
	  SSH_VERDICT_CHECK },
	{ "check does not fall through to accept",
	  RULE(ALICE, "\"x\": \"y\"", "check") "," RULE(ALICE, "\"x\": \"x\"", "accept"),
	  "100.64.0.2",
	  "x",
	  SSH_REJECT_NONE,
	  "y",
	  false,
	  0,
	  { 0 },
	  SSH_VERDICT_CHECK },
	{ "recorder is refused, whatever a check would say",
	  "{" ALICE ", \"users\": {\"x\": \"x\"}, \"action\": \"check\", \"recorders\": [\"r\"]}",
	  "100.64.0.2", "x", SSH_REJECT_RECORDER, NULL, false, 0 },
	{ "recorder is refused",
	  "{" ALICE ", \"users\": {\"x\": \"x\"}, \"action\": \"accept\", \"recorders\": [\"r\"]}",
	  "100.64.0.2", "x", SSH_REJECT_RECORDER, NULL, false, 0 },

	{ "expired rule is skipped",
	  "{" ALICE ", \"users\": {\"x\": \"one\"}, \"action\": \"accept\","
	  " \"rule_expires\": " YESTERDAY "}," RULE(ALICE, "\"x\": \"two\"", "accept"),
	  "100.64.0.2", "x", SSH_REJECT_NONE, "two", false, 1 },
	{ "expired reject is skipped",
	  "{" ALICE ", \"users\": {}, \"action\": \"reject\", \"rule_expires\": " YESTERDAY "}",
	  "100.64.0.2", "x", SSH_REJECT_NO_RULE, NULL, false, -1 },
	{ "a rule ends at its time, not after it",
	  "{" ALICE ", \"users\": {\"x\": \"x\"}, \"action\": \"accept\","
	  " \"rule_expires\": \"2026-11-25T00:00:00Z\"}",
	  "100.64.0.2", "x", SSH_REJECT_NO_RULE, NULL, false, -1 },
	{ "a rule runs to its end",
	  "{" ALICE ", \"users\": {\"x\": \"x\"}, \"action\": \"accept\","
	  " \"rule_expires\": \"2026-11-25T00:00:00.000001Z\"}",
	  "100.64.0.2", "x", SSH_REJECT_NONE, "x", false, 0 },

	{ "unknown address", RULE("\"principals\": [\"*\"]", "\"x\": \"x\"", "accept"),
	  "100.64.0.99", "x", SSH_REJECT_NOT_A_PEER, NULL, false, -1 },
	{ "an address behind a route has no identity",
	  RULE("\"principals\": [\"*\", \"10.1.0.7\"]", "\"x\": \"x\"", "accept"), "10.1.0.7", "x",
	  SSH_REJECT_NOT_A_PEER, NULL, false, -1 },
	{ "this host is no peer of itself",
	  RULE("\"principals\": [\"*\", \"100.64.0.1\"]", "\"x\": \"x\"", "accept"), "100.64.0.1",
	  "x", SSH_REJECT_NOT_A_PEER, NULL, false, -1 },
	{ "expired key",
	  RULE(ALICE, "\"x\": \"x\"", "accept"),
	  "100.64.0.2",
	  "x",
	  SSH_REJECT_KEY_EXPIRED,
	  NULL,
	  false,
	  -1,
	  { .alice_expiry = YESTERDAY } },
	{ "key that expires later",
	  RULE(ALICE, "\"x\": \"x\"", "accept"),
	  "100.64.0.2",
	  "x",
	  SSH_REJECT_NONE,
	  "x",
	  false,
	  0,
	  { .alice_expiry = TOMORROW_ } },
	{ "expired key of the host",
	  RULE(ALICE, "\"x\": \"x\"", "accept"),
	  "100.64.0.2",
	  "x",
	  SSH_REJECT_HOST_EXPIRED,
	  NULL,
	  false,
	  -1,
	  { .self_expiry = YESTERDAY } },
	{ "SSH off",
	  RULE(ALICE, "\"x\": \"x\"", "accept"),
	  "100.64.0.2",
	  "x",
	  SSH_REJECT_SSH_OFF,
	  NULL,
	  false,
	  -1,
	  { .ssh = "false" } },

	/* Names that mean root, or might, under "not root". */
	{ "root", RULE(ALICE, "\"*\": \"=\"", "accept"), "100.64.0.2", "root", SSH_REJECT_USER,
	  NULL, false, 0 },
	{ "0", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", "0", SSH_REJECT_USER, NULL, false, 0 },
	{ "00", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", "00", SSH_REJECT_USER, NULL, false,
	  0 },
	{ "+0", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", "+0", SSH_REJECT_BAD_USER, NULL,
	  false, -1 },
	{ "-0", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", "-0", SSH_REJECT_BAD_USER, NULL,
	  false, -1 },
	{ " 0", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", " 0", SSH_REJECT_BAD_USER, NULL,
	  false, -1 },
	{ "0x0 is a name", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", "0x0", SSH_REJECT_NONE,
	  "0x0", true, 0 },
	{ "321 is a name", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", "321", SSH_REJECT_NONE,
	  "321", true, 0 },
	{ "toor is for the monitor", RULE(ALICE, NONROOT, "accept"), "100.64.0.2", "toor",
	  SSH_REJECT_NONE, "toor", true, 0 },
	{ "literal 0 is what the policy says", RULE(ALICE, "\"0\": \"0\"", "accept"), "100.64.0.2",
	  "0", SSH_REJECT_NONE, "0", false, 0 },

	/* A rule cannot make a bad account name good. */
	{ "bad account", RULE(ALICE, "\"x\": \"-x\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_BAD_USER, NULL, false, 0 },
	{ "account with a slash", RULE(ALICE, "\"x\": \"a/b\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_BAD_USER, NULL, false, 0 },
	{ "group: as a name", RULE(ALICE, "\"*\": \"group:foo\"", "accept"), "100.64.0.2", "x",
	  SSH_REJECT_BAD_USER, NULL, false, 0 },
	{ "bad account under check", RULE(ALICE, "\"x\": \"-x\"", "check"), "100.64.0.2", "x",
	  SSH_REJECT_BAD_USER, NULL, false, 0 },
};

static void check_decision(const struct decision_case *c, const struct ssh_decision *d,
			   const struct netmap *map)
{
	const struct ssh_rule *rule = c->rule < 0 ? NULL : &map->ssh_rules[c->rule];

	if (d->reason != c->reason)
		fail_msg("%s: reason %s, expected %s", c->what,
			 ssh_reject_reason_to_string(d->reason),
			 ssh_reject_reason_to_string(c->reason));
	if (d->verdict != (c->reason != SSH_REJECT_NONE ? SSH_VERDICT_REJECT
			   : c->not_yet			? c->not_yet
							: SSH_VERDICT_ACCEPT))
		fail_msg("%s: verdict %d", c->what, d->verdict);
	if (strcmp(d->local_user, c->local ? c->local : "") != 0 || d->nonroot != c->nonroot)
		fail_msg("%s: local user \"%s\", nonroot %d", c->what, d->local_user, d->nonroot);
	if (d->rule != rule || (rule && d->rule_index != (size_t)c->rule))
		fail_msg("%s: wrong rule", c->what);
	if (!d->peer != (c->reason == SSH_REJECT_NOT_A_PEER))
		fail_msg("%s: wrong peer", c->what);
}

static void test_decisions(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(decision_cases); i++) {
		const struct decision_case *c = &decision_cases[i];
		_cleanup_(netmap_freep) struct netmap *map = make_map(&c->setting, c->rules);
		struct ssh_decision d;

		decide(map, c->from, c->user, &d);
		check_decision(c, &d, map);
	}
}

/* n times the letter a. */
#define A8   "aaaaaaaa"
#define A64  A8 A8 A8 A8 A8 A8 A8 A8
#define A256 A64 A64 A64 A64

static const struct {
	const char *name;
	bool valid;
} names[] = {
	{ "root", true },
	{ "a", true },
	{ "first.last", true },
	{ "user_1-x", true },
	{ "J\xc3\xb6rg", true },
	{ "dom\\user", true },
	{ "user@realm", true },
	{ "machine$", true },
	{ A256, true },
	{ "two words", true },
	{ "", false },
	{ A256 "a", false },
	{ A256 A64, false },
	{ "-x", false },
	{ "--", false },
	{ "+x", false },
	{ "+", false },
	{ " x", false },
	{ "x ", false },
	{ "\tx", false },
	{ "x\t", false },
	{ " ", false },
	{ "a/b", false },
	{ "../x", false },
	{ "a:b", false },
	{ "a\nb", false },
	{ "a\x1b[2J", false },
	{ "a\x7f", false },
	{ "a\xc2\x80", false },
	{ "a\xe2\x80\xae"
	  "b",
	  false },
	{ "a\xff", false },
	{ "a\xc0\xaf", false },
};

static void test_names(void **state)
{
	struct setting setting = { 0 };
	_cleanup_(netmap_freep) struct netmap *map =
		make_map(&setting, RULE(ALICE, "\"*\": \"=\", \"root\": \"root\"", "accept"));

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct ssh_decision d;

		if (ssh_user_is_valid(names[i].name) != names[i].valid)
			fail_msg("\"%s\" is judged wrongly", names[i].name);
		decide(map, "100.64.0.2", names[i].name, &d);
		assert_int_equal(d.reason, names[i].valid ? SSH_REJECT_NONE : SSH_REJECT_BAD_USER);
		if (names[i].valid)
			assert_string_equal(d.local_user, names[i].name);
	}
}

static void test_valid_until_is_the_earliest(void **state)
{
	static const struct {
		struct setting setting;
		const char *rule_expires;
		uint64_t expected;
	} cases[] = {
		{ { 0 }, "null", UINT64_MAX },
		{ { .alice_expiry = TOMORROW_ }, "null", TOMORROW },
		{ { .self_expiry = TOMORROW_ }, "null", TOMORROW },
		{ { 0 }, TOMORROW_, TOMORROW },
		{ { .alice_expiry = "\"2026-11-25T00:00:01Z\"" }, TOMORROW_, NOW + 1000000 },
		{ { .alice_expiry = TOMORROW_ }, "\"2026-11-25T00:00:02Z\"", NOW + 2000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *rule =
			text_printf("{%s, \"users\": {\"x\": \"x\"}, \"action\": \"accept\", "
				    "\"rule_expires\": %s}",
				    ALICE, cases[i].rule_expires);
		_cleanup_(netmap_freep) struct netmap *map = make_map(&cases[i].setting, rule);
		struct ssh_decision d;

		decide(map, "100.64.0.2", "x", &d);
		assert_int_equal(d.verdict, SSH_VERDICT_ACCEPT);
		assert_true(d.valid_until == cases[i].expected);
	}
}

static const struct {
	const char *rules;
	const char *from, *user;
	struct setting setting;
	const char *text;
} explanations[] = {
	{ RULE(ALICE, "\"x\": \"y\"", "accept"),
	  "100.64.0.2",
	  "x",
	  { 0 },
	  "alice@example.com (laptop) may log in to server as user \"y\"" },
	{ "",
	  "100.64.0.99",
	  "x",
	  { 0 },
	  "server does not know your address; connect from a device of the mesh, by its own mesh "
	  "address" },
	{ "",
	  "100.64.0.2",
	  "x",
	  { .alice_expiry = YESTERDAY },
	  "the key of your device laptop has expired; log the device in to the mesh again" },
	{ "",
	  "100.64.0.2",
	  "x",
	  { .self_expiry = YESTERDAY },
	  "the key of server itself has expired; ask who runs this host to log it in to the mesh "
	  "again" },
	{ "",
	  "100.64.0.2",
	  "x",
	  { .ssh = "false" },
	  "SSH through the mesh is switched off for server; ask who runs this host to switch it "
	  "on" },
	{ "",
	  "100.64.0.4",
	  "x",
	  { 0 },
	  "no SSH rule lets tag:robot (robot) log in to server; ask who runs the policy for one" },
	{ RULE(ALICE, "\"y\": \"y\"", "accept"),
	  "100.64.0.2",
	  "x",
	  { 0 },
	  "the SSH rules do not let alice@example.com (laptop) log in to server as user \"x\"; try "
	  "another user, or ask who runs the policy" },
	{ RULE(ALICE, "", "tele\\u0007port"),
	  "100.64.0.2",
	  "x",
	  { 0 },
	  "an SSH rule with the action \"tele?port\" refuses alice@example.com (laptop) on server; "
	  "ask who runs the policy" },
	{ RULE(ALICE, "\"x\": \"x\"", "check"),
	  "100.64.0.2",
	  "x",
	  { 0 },
	  "alice@example.com (laptop) may log in to server as user \"x\" after a check" },
	{ "{" ALICE ", \"users\": {\"x\": \"x\"}, \"action\": \"accept\", \"recorders\": [\"r\"]}",
	  "100.64.0.2",
	  "x",
	  { 0 },
	  "logging in to server as user \"x\" has to be recorded, which server cannot do; ask who "
	  "runs the policy" },
	{ "",
	  "100.64.0.2",
	  "\x1b]0;x\n",
	  { 0 },
	  "\"?]0;x?\" is no user name that server accepts; try the name of an account there" },
	{ "",
	  "100.64.0.2",
	  "-" A256,
	  { 0 },
	  "\"-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is no user name "
	  "that server accepts; try the name of an account there" },
};

static void test_explanations(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(explanations); i++) {
		_cleanup_(netmap_freep) struct netmap *map =
			make_map(&explanations[i].setting, explanations[i].rules);
		_cleanup_free_ char *text = NULL;
		struct ssh_decision d;

		decide(map, explanations[i].from, explanations[i].user, &d);
		text = ssh_decision_explain(map, &d, explanations[i].user);
		assert_string_equal(text, explanations[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_valid_until_is_the_earliest),
		cmocka_unit_test(test_explanations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
