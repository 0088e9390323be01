/* Records: what is written can be read, and nothing else; names, codes and addresses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "coord/policy/policy.h"
#include "coord/registry/address.h"
#include "coord/registry/code.h"
#include "coord/registry/field.h"
#include "coord/registry/names.h"

#define MACHINE	 "pgm:QhcBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define NODE_KEY "dwEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define HASH	 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEYS	 "\"machine\":\"" MACHINE "\",\"node_key\":\"" NODE_KEY "\""
#define HOST_KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9"

#define NODE_START "{" KEYS ",\"name\":\"web\",\"ipv4\":\"100.64.0.1\","
#define NODE_END   "\"created\":1,\"key_created\":2,\"facts\":{}}"

#define TOTP "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
#define RENEWAL                                                                      \
	"\"user\":\"a@b\",\"provider\":\"corp\",\"issuer\":\"https://idp.example\"," \
	"\"subject\":\"1\","
#define SESSION "\"user\":\"a@b\",\"created\":1,\"auth_time\":2,\"expires\":3,"

#define CHECK_ID "abcdefghijklmnopqrstuvwx23"
#define CHECK                                                  \
	"\"code\":\"123-456\",\"user\":\"alice@example.com\"," \
	"\"node\":\"naaaaaaaaaaaa\","
#define CHECK_END "\"created\":1,\"expires\":2,\"state\":\"waiting\"}"

struct kind_case {
	const struct record_kind *kind;
	const char *key, *json;
};

/* Read, written again: the same text. */
static const struct kind_case round_trips[] = {
	{ &node_record_kind, "nodes/naaaaaaaaaaaa",
	  "{" KEYS ",\"name\":\"web\",\"ipv4\":\"100.64.0.1\",\"user\":\"alice@example.com\","
	  "\"created\":1,\"key_created\":2,\"key_expiry\":3,\"expired_by\":\"time\","
	  "\"ephemeral\":true,\"auth_key\":\"kaaaaaaaaaaaa\",\"facts\":{\"hostname\":\"Web\","
	  "\"os\":\"Debian\",\"agent\":\"0.1\",\"ssh\":true,\"ssh_host_keys\":[\"" HOST_KEY
	  "\"],\"endpoints\":[\"192.0.2.1:1\",\"[2001:db8::1]:2\"],"
	  "\"configured_endpoints\":[\"198.51.100.1:3\"],\"listen_port\":4,"
	  "\"seen\":\"203.0.113.1\"}}" },
	{ &node_record_kind, "nodes/n222222222222",
	  NODE_START "\"tags\":[\"tag:a\",\"tag:b\"]," NODE_END },
	{ &address_record_kind, "ip4/100.64.0.1", "{\"node\":\"naaaaaaaaaaaa\"}" },
	{ &address_record_kind, "ip4/100.127.255.254", "{\"released\":5}" },
	{ &address_record_kind, "ip4/100.127.255.253",
	  "{\"released\":5,\"name\":\"web\",\"user\":\"alice@example.com\"}" },
	{ &address_record_kind, "ip4/100.127.255.252",
	  "{\"released\":5,\"name\":\"web\",\"tags\":[\"tag:a\",\"tag:b\"]}" },
	{ &user_record_kind, "users/alice@example.com",
	  "{\"name\":\"Al\xc3\xads\",\"roles\":[\"owner\",\"auditor\"],\"created\":0}" },
	{ &user_record_kind, "users/alice@example.com", "{\"created\":253402300799000000}" },
	{ &user_record_kind, "users/alice@example.com",
	  "{\"created\":1,\"suspended\":2,\"identities\":[{\"issuer\":\"https://idp.example\","
	  "\"subject\":\"1\",\"groups\":[\"Admins "
	  "\xc3\xa9\",\"ops\"]},{\"issuer\":\"https://idp.example\",\"subject\":\"2\"}],"
	  "\"password\":\"$y$j9T$abc./$def\",\"password_set\":3,\"totp\":\"" TOTP
	  "\",\"totp_step\":4,\"last_sign_in\":5,\"signed_out\":6}" },
	{ &idp_record_kind, "idp/" HASH, "{\"user\":\"alice@example.com\"}" },
	{ &websession_record_kind, "websessions/" HASH,
	  "{\"user\":\"alice@example.com\",\"created\":1,\"auth_time\":2,\"expires\":3,"
	  "\"method\":\"oidc:corp\",\"strength\":\"prompt_only\",\"from\":\"2001:db8::1\","
	  "\"agent\":\"Firefox\"}" },
	{ &websession_record_kind, "websessions/" HASH,
	  "{" SESSION "\"method\":\"password\",\"strength\":\"none\"}" },
	{ &pwlink_record_kind, "pwlinks/" HASH,
	  "{\"user\":\"alice@example.com\",\"created_by\":\"root\",\"created\":1,"
	  "\"expires\":2}" },
	{ &user_record_kind, "users/alice@example.com",
	  "{\"created\":1,\"suspended\":2,\"gone_from\":\"https://idp.example\"}" },
	{ &renewal_record_kind, "renewals/" HASH,
	  "{" RENEWAL "\"sealed\":\"aB-_9\",\"created\":1,\"confirmed\":2,\"changes\":true,"
	  "\"asked\":true}" },
	{ &renewal_record_kind, "renewals/" HASH,
	  "{" RENEWAL "\"sealed\":\"a\",\"created\":1,\"confirmed\":0}" },
	{ &authkey_record_kind, "authkeys/kaaaaaaaaaaaa",
	  "{\"hash\":\"" HASH "\",\"user\":\"alice@example.com\",\"reusable\":true,"
	  "\"ephemeral\":true,\"created\":1,\"expires\":2,\"used\":3,\"last_used\":4,\"revoked\":5,"
	  "\"created_by\":\"root\",\"description\":\"x\"}" },
	{ &authkey_record_kind, "authkeys/kaaaaaaaaaaaa",
	  "{\"hash\":\"" HASH "\",\"tags\":[\"tag:a\"],\"created\":1,\"created_by\":\"root\"}" },
	{ &apikey_record_kind, "apikeys/aaaaaaaaaaaaa",
	  "{\"hash\":\"" HASH "\",\"scopes\":[\"users:read\",\"metrics:read\"],\"created\":1,"
	  "\"expires\":2,\"created_by\":\"root\"}" },
	{ &pending_record_kind, "pending/BCDF2345",
	  "{\"hash\":\"" HASH "\"," KEYS ",\"tags\":[\"tag:a\"],\"facts\":{},"
	  "\"from\":\"2001:db8::1\",\"state\":\"waiting\",\"created\":1,\"expires\":2}" },
	{ &pending_record_kind, "pending/BCDF2345",
	  "{\"hash\":\"" HASH "\"," KEYS ",\"facts\":{},\"state\":\"approved\","
	  "\"node\":\"naaaaaaaaaaaa\",\"created\":1,\"expires\":2}" },
	{ &checkgrant_record_kind, "checkgrants/naaaaaaaaaaaa",
	  "{\"user\":\"alice@example.com\",\"at\":5,\"order\":6,\"method\":\"oidc:corp\","
	  "\"strength\":\"max_age\",\"from\":\"192.0.2.1\",\"request\":\"" CHECK_ID
	  "\",\"asked\":4}" },
	{ &checkgrant_record_kind, "checkgrants/naaaaaaaaaaaa",
	  "{\"user\":\"alice@example.com\",\"strength\":\"none\"}" },
	{ &checkreq_record_kind, "checkreqs/" CHECK_ID,
	  "{" CHECK "\"logins\":[{\"target\":\"nbbbbbbbbbbbb\",\"ssh_user\":\"root\","
	  "\"asked\":1,\"order\":7},{\"target\":\"nbbbbbbbbbbbb\",\"asked\":2},{\"asked\":3}],"
	  "\"created\":1,\"expires\":2,\"state\":\"waiting\"}" },
	{ &checkreq_record_kind, "checkreqs/" CHECK_ID,
	  "{" CHECK "\"logins\":[{\"asked\":3}],\"created\":1,\"expires\":2,"
	  "\"state\":\"denied\",\"by\":\"alice@example.com\",\"at\":2}" },
	{ &policy_record_kind, "policy/0000000012",
	  "{\"version\":12,\"text\":\"{}\",\"hash\":\"RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_"
	  "4o\","
	  "\"author\":\"root\",\"created\":1,\"comment\":\"x\"}" },
	{ &policy_current_kind, "policy/current",
	  "{\"version\":12,\"text\":\"{}\",\"hash\":\"RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_"
	  "4o\","
	  "\"confirm_by\":7,\"previous\":11,\"author\":\"root\",\"since\":1}" },
	{ &mesh_record_kind, "meta/mesh",
	  "{\"domain\":\"mesh.example\",\"ula\":\"fd12:3456:789a::/48\",\"created\":1}" },
	{ &event_record_kind, "events/0000000000000001-abcdef",
	  "{\"time\":1,\"actor\":\"root\",\"from\":\"unix\",\"action\":\"x\",\"object\":\"y\","
	  "\"result\":\"ok\",\"details\":\"z\"}" },
};

static void test_round_trips(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(round_trips); i++) {
		const struct kind_case *c = &round_trips[i];
		_cleanup_free_ char *error = NULL, *again = NULL, *copied = NULL;
		_cleanup_free_ struct record_head *record = calloc(1, c->kind->size);
		_cleanup_free_ struct record_head *copy = calloc(1, c->kind->size);
		size_t len;

		if (record_read(c->kind, c->key, c->json, strlen(c->json), &error, record) < 0)
			fail_msg("%s", error);
		assert_string_equal(record->id, c->key + strlen(c->kind->prefix));
		again = record_write(c->kind, record, &len);
		assert_string_equal(again, c->json);
		assert_int_equal(len, strlen(c->json));
		record->revision = 7;
		assert_int_equal(record_copy(c->kind, record, copy), 0);
		assert_int_equal(copy->revision, 7);
		copied = record_write(c->kind, copy, &len);
		assert_string_equal(copied, c->json);
		c->kind->done(record);
		c->kind->done(copy);
		c->kind->done(copy); /* and once more */
	}
}

static const struct {
	struct kind_case at;
	const char *text;
} refused[] = {
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", "[]" },
	  ": expected an object, not an array" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", "{" }, ": line 1 column 1: " },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", "{\"a\":1,\"a\":1}" }, "duplicate" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", "{}" },
	  "nodes/naaaaaaaaaaaa: machine: is missing; it has to be there" },
	{ { &node_record_kind, "nodes/x", NODE_START "\"user\":\"a@b\"," NODE_END },
	  "nodes/x: is no id of a node" },
	{ { &node_record_kind, "users/naaaaaaaaaaaa", NODE_START "\"user\":\"a@b\"," NODE_END },
	  "is no id of a node" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", NODE_START NODE_END },
	  "has neither a user nor tags" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"user\":\"a@b\",\"tags\":[\"tag:a\"]," NODE_END },
	  "has a user and tags" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", NODE_START "\"user\":\"A@b\"," NODE_END },
	  "user: \"A@b\" is no login; expected one in lower case such as alice@example.com" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", NODE_START "\"tags\":[\"a\"]," NODE_END },
	  "tags[0]: \"a\" is no tag; expected \"tag:\", a letter" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"tags\":[\"tag:b\",\"tag:a\"]," NODE_END },
	  "tags: is not sorted" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"tags\":[\"tag:a\",\"tag:a\"]," NODE_END },
	  "tags: is not sorted" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    "{\"machine\":\"pgc:QhcBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}" },
	  "machine: is no machine's key" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    "{\"machine\":\"pgm:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}" },
	  "machine: is no machine's key" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa", "{" KEYS ",\"name\":\"localhost\"}" },
	  "other than \"localhost\"" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    "{" KEYS ",\"name\":\"w\",\"ipv4\":\"10.0.0.1\",\"user\":\"a@b\"," NODE_END },
	  "ipv4: is no address for a node of the mesh" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    "{" KEYS ",\"name\":\"w\",\"ipv4\":\"fd00::1\",\"user\":\"a@b\"," NODE_END },
	  "ipv4: is no address for a node of the mesh" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    "{" KEYS ",\"name\":\"w\",\"ipv4\":\"100.100.100.100\",\"user\":\"a@b\"," NODE_END },
	  "ipv4: is no address for a node of the mesh" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"user\":\"a@b\",\"created\":253402300799000001,\"key_created\":2,"
		       "\"facts\":{}}" },
	  "created: is no time" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"user\":\"a@b\",\"created\":-1,\"key_created\":2,\"facts\":{}}" },
	  "created: -1 is negative" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START
	    "\"user\":\"a@b\",\"created\":1,\"key_created\":2,\"facts\":{\"os\":\"\"}}" },
	  "facts.os: \"\" is empty" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"user\":\"a@b\",\"created\":1,\"key_created\":2,"
		       "\"facts\":{\"ssh_host_keys\":[\"ssh-dss AAAA\"]}}" },
	  "facts.ssh_host_keys[0]: the host key's type is not one of" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"user\":\"a@b\",\"created\":1,\"key_created\":2,"
		       "\"facts\":{\"endpoints\":[\"192.0.2.1\"]}}" },
	  "facts.endpoints[0]: \"192.0.2.1\" is no endpoint" },
	{ { &node_record_kind, "nodes/naaaaaaaaaaaa",
	    NODE_START "\"user\":\"a@b\",\"created\":1,\"key_created\":2,"
		       "\"facts\":{\"listen_port\":65536}}" },
	  "facts.listen_port: 65536 is too large" },
	{ { &address_record_kind, "ip4/100.64.0.0", "{}" }, "is no address for a node" },
	{ { &address_record_kind, "ip4/100.64.0.1/32", "{}" }, "is no address for a node" },
	{ { &user_record_kind, "users/x", "{\"created\":1}" }, "users/x: is no login" },
	{ { &user_record_kind, "users/a@b", "{\"roles\":[\"root\"],\"created\":1}" },
	  "roles[0]: \"root\" is not a role" },
	{ { &user_record_kind, "users/a@b", "{\"created\":1,\"identities\":[{\"issuer\":\"x\"}]}" },
	  "identities[0].subject: is missing" },
	{ { &user_record_kind, "users/a@b",
	    "{\"created\":1,\"identities\":[{\"issuer\":\"x\",\"subject\":\"\"}]}" },
	  "identities[0].subject: \"\" is empty" },
	{ { &user_record_kind, "users/a@b",
	    "{\"created\":1,\"identities\":[{\"issuer\":\"x\",\"subject\":\"1\"},{\"issuer\":\"x\","
	    "\"subject\":\"1\"}]}" },
	  "identities: has the same identity twice" },
	{ { &user_record_kind, "users/a@b", "{\"created\":1,\"password\":\"$y$a:b\"}" },
	  "users/a@b: password: is no hash of a password, as crypt(5) has it" },
	{ { &user_record_kind, "users/a@b", "{\"created\":1,\"password\":\"x\"}" },
	  "password: is no hash of a password" },
	{ { &user_record_kind, "users/a@b", "{\"created\":1,\"password\":\"$y$a b\"}" },
	  "password: is no hash of a password" },
	{ { &user_record_kind, "users/a@b", "{\"created\":1,\"totp\":\"" TOTP "A\"}" },
	  "totp: is no secret for codes" },
	{ { &user_record_kind, "users/a@b",
	    "{\"created\":1,\"totp\":\"gezdgnbvgy3tqojqgezdgnbvgy3tqojq\"}" },
	  "totp: is no secret for codes" },
	{ { &user_record_kind, "users/a@b", "{\"created\":1,\"provider_groups\":[\"b\",\"a\"]}" },
	  "provider_groups: is not sorted; expected each group once" },
	{ { &user_record_kind, "users/a@b",
	    "{\"created\":1,\"identities\":[{\"issuer\":\"x\",\"subject\":\"1\",\"groups\":"
	    "[\"b\",\"a\"]}]}" },
	  "identities[0].groups: is not sorted; expected each group once" },
	{ { &user_record_kind, "users/a@b", "{\"created\":1,\"gone_from\":\"https://a\"}" },
	  "gone_from: is for who is suspended" },
	{ { &renewal_record_kind, "renewals/x",
	    "{" RENEWAL "\"sealed\":\"a\",\"created\":1,\"confirmed\":2}" },
	  "renewals/x: is no hash of an identity" },
	{ { &renewal_record_kind, "renewals/" HASH,
	    "{" RENEWAL "\"sealed\":\"a.b\",\"created\":1,\"confirmed\":2}" },
	  "sealed: expected base64url of a sealed token" },
	{ { &renewal_record_kind, "renewals/" HASH, "{" RENEWAL "\"created\":1,\"confirmed\":2}" },
	  "sealed: is missing" },
	{ { &idp_record_kind, "idp/x", "{\"user\":\"a@b\"}" }, "idp/x: is no hash of an identity" },
	{ { &idp_record_kind, "idp/" HASH, "{\"user\":\"A\"}" }, "user: \"A\" is no login" },
	{ { &websession_record_kind, "websessions/x",
	    "{" SESSION "\"method\":\"password\",\"strength\":\"none\"}" },
	  "websessions/x: is no hash of a session's secret" },
	{ { &websession_record_kind, "websessions/" HASH,
	    "{" SESSION "\"method\":\"password\",\"strength\":\"good\"}" },
	  "strength: expected \"max_age\", \"prompt_only\" or \"none\"" },
	{ { &websession_record_kind, "websessions/" HASH, "{" SESSION "\"strength\":\"none\"}" },
	  "method: is missing" },
	{ { &pwlink_record_kind, "pwlinks/" HASH "A",
	    "{\"user\":\"a@b\",\"created_by\":\"root\",\"created\":1,\"expires\":2}" },
	  "is no hash of a link's secret" },
	{ { &pwlink_record_kind, "pwlinks/" HASH,
	    "{\"user\":\"a@b\",\"created_by\":\"root\",\"created\":1}" },
	  "expires: is missing" },
	{ { &user_record_kind, "users/a@b", "{\"roles\":[1],\"created\":1}" },
	  "roles[0]: expected a role, not a whole number" },
	{ { &user_record_kind, "users/a@b", "{\"name\":\"\\u202e\",\"created\":1}" },
	  "name: \"?\" holds a control character" },
	{ { &authkey_record_kind, "authkeys/naaaaaaaaaaaa",
	    "{\"hash\":\"" HASH "\",\"user\":\"a@b\",\"created\":1,\"created_by\":\"x\"}" },
	  "is no id of an auth key" },
	{ { &authkey_record_kind, "authkeys/kaaaaaaaaaaaa",
	    "{\"hash\":\"" HASH "\",\"created\":1,\"created_by\":\"x\"}" },
	  "has neither a user nor tags" },
	{ { &authkey_record_kind, "authkeys/kaaaaaaaaaaaa", "{\"hash\":\"AAAA\"}" },
	  "hash: is no SHA-256" },
	{ { &apikey_record_kind, "apikeys/aaaaaaaaaaaaa",
	    "{\"hash\":\"" HASH "\",\"scopes\":[\"all\"]}" },
	  "scopes[0]: \"all\" is not a scope" },
	{ { &pending_record_kind, "pending/AAAAAAAA",
	    "{\"hash\":\"" HASH "\"," KEYS ",\"facts\":{},\"state\":\"waiting\",\"created\":1,"
	    "\"expires\":2}" },
	  "is no code of an enrolment" },
	{ { &pending_record_kind, "pending/BCDF2345",
	    "{\"hash\":\"" HASH "\"," KEYS ",\"facts\":{},\"state\":\"approved\",\"created\":1,"
	    "\"expires\":2}" },
	  "node: belongs to an approved enrolment, and only there" },
	{ { &pending_record_kind, "pending/BCDF2345",
	    "{\"hash\":\"" HASH "\"," KEYS ",\"facts\":{},\"state\":1}" },
	  "state: expected \"waiting\"" },
	{ { &checkgrant_record_kind, "checkgrants/kaaaaaaaaaaaa", "{\"user\":\"a@b\"}" },
	  "is no id of a node" },
	{ { &checkgrant_record_kind, "checkgrants/naaaaaaaaaaaa", "{\"user\":\"a@b\",\"at\":1}" },
	  "method: belongs to an approval, and only there" },
	{ { &checkgrant_record_kind, "checkgrants/naaaaaaaaaaaa",
	    "{\"user\":\"a@b\",\"request\":\"x\"}" },
	  "request: is no id of a check" },
	{ { &checkreq_record_kind, "checkreqs/" CHECK_ID "a",
	    "{" CHECK "\"logins\":[{\"asked\":3}]," CHECK_END },
	  "is no id of a check" },
	{ { &checkreq_record_kind, "checkreqs/" CHECK_ID,
	    "{\"code\":\"123456\",\"user\":\"a@b\",\"node\":\"naaaaaaaaaaaa\","
	    "\"logins\":[{\"asked\":3}]," CHECK_END },
	  "code: expected \"123-456\"" },
	{ { &checkreq_record_kind, "checkreqs/" CHECK_ID, "{" CHECK "\"logins\":[]," CHECK_END },
	  "logins: expected one or more" },
	{ { &checkreq_record_kind, "checkreqs/" CHECK_ID,
	    "{" CHECK "\"logins\":[{\"asked\":3,\"ssh_user\":\"root\"}]," CHECK_END },
	  "logins[0]: is a login to nowhere" },
	{ { &checkreq_record_kind, "checkreqs/" CHECK_ID,
	    "{" CHECK "\"logins\":[{\"asked\":3,\"target\":\"web\"}]," CHECK_END },
	  "logins[0]: target: is no id of a node" },
	{ { &checkreq_record_kind, "checkreqs/" CHECK_ID,
	    "{" CHECK "\"logins\":[{\"asked\":3}],\"by\":\"a@b\",\"at\":2," CHECK_END },
	  "by, at: belong to a check that was answered" },
	{ { &checkreq_record_kind, "checkreqs/" CHECK_ID,
	    "{" CHECK "\"logins\":[{\"asked\":3}],\"created\":1,\"expires\":2,"
	    "\"state\":\"maybe\"}" },
	  "state: expected \"waiting\", \"approved\" or \"denied\"" },
	{ { &policy_record_kind, "policy/0000000013",
	    "{\"version\":12,\"text\":\"{}\",\"hash\":\"" HASH
	    "\",\"author\":\"r\",\"created\":1}" },
	  "version: is not that of the entry" },
	{ { &policy_record_kind, "policy/0000000012",
	    "{\"version\":12,\"text\":\"{}\",\"hash\":\"" HASH
	    "\",\"author\":\"r\",\"created\":1}" },
	  "hash: is not that of the text" },
	{ { &mesh_record_kind, "meta/mesh",
	    "{\"domain\":\"mesh.example\",\"ula\":\"fe80::/48\",\"created\":1}" },
	  "ula: is no prefix of a mesh; expected a /48 within fd00::/8" },
	{ { &mesh_record_kind, "meta/mesh",
	    "{\"domain\":\"mesh.example\",\"ula\":\"fd00::/64\",\"created\":1}" },
	  "ula: is no prefix of a mesh" },
	{ { &mesh_record_kind, "meta/mesh", "{\"domain\":\"com\"}" },
	  "domain: \"com\" is no domain for a mesh" },
	{ { &event_record_kind, "events/0000000000000002-abcdef",
	    "{\"time\":1,\"actor\":\"root\",\"action\":\"x\",\"result\":\"ok\"}" },
	  "time: is not that of the entry" },
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const struct kind_case *c = &refused[i].at;
		_cleanup_free_ struct record_head *record = calloc(1, c->kind->size);
		_cleanup_free_ char *error = NULL;
		int r = record_read(c->kind, c->key, c->json, strlen(c->json), &error, record);

		if (r != -EINVAL || !strstr(error, refused[i].text))
			fail_msg("%s %s: %d %s, not %s", c->key, c->json, r, error,
				 refused[i].text);
		assert_null(record->id);
	}
}

/* Lists have ends. */
static void test_list_limits(void **state)
{
	static const struct {
		const char *member, *item;
		unsigned max;
	} lists[] = {
		{ "ssh_host_keys", HOST_KEY, RECORD_MAX_HOST_KEYS },
		{ "endpoints", "192.0.2.1:1", RECORD_MAX_ENDPOINTS },
		{ "configured_endpoints", "192.0.2.1:1", RECORD_MAX_ENDPOINTS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (unsigned excess = 0; excess < 2; excess++) {
			_cleanup_free_ char *error = NULL;
			struct node_record node = { 0 };
			static char json[16384];
			char *p = json;
			int r;

			p += sprintf(p,
				     "%s\"user\":\"a@b\",\"created\":1,\"key_created\":1,"
				     "\"facts\":{\"%s\":[",
				     NODE_START, lists[i].member);
			for (unsigned k = 0; k < lists[i].max + excess; k++)
				p += sprintf(p, "%s\"%s\"", k ? "," : "", lists[i].item);
			p += sprintf(p, "]}}");
			r = node_record_read("nodes/naaaaaaaaaaaa", json, (size_t)(p - json),
					     &error, &node);
			assert_int_equal(r, excess ? -EINVAL : 0);
			node_record_done(&node);
		}
	}
}

static void test_text_lists(void **state)
{
	char text[2][32];
	char *tags[RECORD_MAX_TAGS] = { text[0], text[1] };
	struct text_list list = { .items = tags, .n = 2 }, copy = { 0 };

	strcpy(text[0], "tag:b");
	strcpy(text[1], "tag:a");
	assert_int_equal(text_list_copy(&list, &copy), 0);
	assert_true(text_list_equal(&list, &copy));
	text_list_sort(&copy);
	assert_false(text_list_equal(&list, &copy));
	assert_string_equal(copy.items[0], "tag:a");
	assert_true(text_list_has(&copy, "tag:b"));
	assert_false(text_list_has(&copy, "tag:c"));
	text_list_done(&copy);
}

static void test_expiry(void **state)
{
	struct node_record node = { .key_expiry = 10 };

	assert_false(node_is_expired(&node, 9));
	assert_true(node_is_expired(&node, 10));
	node.key_expiry = RECORD_NEVER;
	assert_false(node_is_expired(&node, RECORD_LAST_TIME));
	node.expired_by = (char *)"root";
	assert_true(node_is_expired(&node, 0));
	assert_int_equal(time_after(1, 2), 3);
	assert_int_equal(time_after(1, RECORD_NEVER), RECORD_NEVER);
	assert_int_equal(time_after(RECORD_LAST_TIME, 1), RECORD_NEVER);
}

/* ---- names ---- */

static void test_names(void **state)
{
	static char long_login[RECORD_MAX_LOGIN + 2], long_tag[RECORD_MAX_TAG + 2];

	assert_null(login_problem("a@b"));
	assert_null(login_problem("a.b_c+d-e@example.co.uk"));
	assert_non_null(login_problem("a@b."));
	assert_null(tag_problem("tag:a"));
	assert_null(tag_problem("tag:Prod-2"));
	assert_non_null(tag_problem("tag:"));
	assert_non_null(tag_problem("tag:2"));
	assert_non_null(tag_problem("tag:a_b"));
	assert_non_null(tag_problem("tag:\xc3\xa4"));
	assert_non_null(tag_problem("prod"));
	assert_null(domain_problem("a.b"));
	assert_non_null(domain_problem("a"));
	assert_non_null(domain_problem("A.b"));
	assert_null(label_problem("a-1"));
	assert_non_null(label_problem("a."));
	assert_true(label_is_reserved("wpad"));
	assert_false(label_is_reserved("wpad-1"));
	assert_non_null(text_problem("", 5));
	assert_null(text_problem("abcde", 5));
	assert_non_null(text_problem("abcdef", 5));
	assert_non_null(text_problem("a\xff", 5));

	memset(long_login, 'a', sizeof(long_login) - 1);
	memcpy(long_login + sizeof(long_login) - 3, "@b", 2);
	assert_non_null(login_problem(long_login));
	assert_null(login_problem(long_login + 1));
	memset(long_tag, 'a', sizeof(long_tag) - 1);
	memcpy(long_tag, "tag:", 4);
	assert_non_null(tag_problem(long_tag));
	long_tag[RECORD_MAX_TAG] = '\0';
	assert_null(tag_problem(long_tag));
}

static void test_labels(void **state)
{
	char label[LABEL_SIZE];
	static const char *const hostnames[] = {
		"",
		"-",
		".",
		"a",
		"A.b",
		"ab--cd",
		"x\xf0\x9f\x98\x80",
		"LocalHost",
		"-9-",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa---------------b",
	};

	for (size_t i = 0; i < ARRAY_SIZE(hostnames); i++)
		for (unsigned suffix = 0; suffix < 10000; suffix += 1 + suffix * 3)
			assert_null(
				label_problem(label_from_hostname(hostnames[i], suffix, label)));
	assert_string_equal(label_from_hostname("ab--cd", 0, label), "ab-cd");
	assert_string_equal(label_from_hostname("web", 9999, label), "web-9999");
}

/* ---- codes and keys ---- */

static void test_codes(void **state)
{
	char code[CODE_LEN + 1], normal[CODE_LEN + 1], id[ID_SIZE], other[ID_SIZE];

	assert_int_equal(code_new(code), 0);
	assert_true(code_is_valid(code));
	assert_true(code_normalize("bcdf-2345", normal));
	assert_string_equal(normal, "BCDF2345");
	assert_true(code_normalize(" B C D F 2 3 4 5 ", normal));
	assert_false(code_normalize("BCDF234", normal));
	assert_false(code_normalize("BCDF23456", normal));
	assert_false(code_normalize("BCDF234A", normal));
	assert_int_equal(id_new('n', id), 0);
	assert_true(record_is_id(id, 'n'));
	assert_false(record_is_id(id, 'k'));
	assert_int_equal(id_new('n', other), 0);
	assert_string_not_equal(id, other);
}

static void test_check_codes(void **state)
{
	char id[CHECK_ID_SIZE], again[CHECK_ID_SIZE], code[CHECK_CODE_SIZE],
		login[CHECK_LOGIN_SIZE];
	size_t number;

	assert_int_equal(check_id_new(id), 0);
	assert_int_equal(check_id_new(again), 0);
	assert_true(check_id_is_valid(id));
	assert_string_not_equal(id, again);
	assert_false(check_id_is_valid("abcdefghijklmnopqrstuvwx01"));
	assert_int_equal(check_code_new(code), 0);
	assert_true(check_code_is_valid(code));
	assert_false(check_code_is_valid("1234567"));
	assert_false(check_code_is_valid("123-45"));
	assert_false(check_code_is_valid("12-3456"));
	for (size_t i = 0; i < RECORD_MAX_LOGINS; i++) {
		check_login_id(id, i, login);
		number = SIZE_MAX;
		assert_true(check_login_id_parse(login, again, &number));
		assert_string_equal(again, id);
		assert_int_equal(number, i);
	}
	assert_false(check_login_id_parse(id, again, &number));
	assert_false(check_login_id_parse("abcdefghijklmnopqrstuvwx23a-", again, &number));
	assert_false(check_login_id_parse("", again, &number));
}

static void test_key_text(void **state)
{
	char secret[SECRET_SIZE], text[256];
	uint8_t hash[SHA256_LEN];
	struct key_text key;

	assert_int_equal(secret_new(secret, hash), 0);
	sprintf(text, "pgauth.kaaaaaaaaaaaa.%s.pgc:x.y", secret);
	assert_int_equal(key_text_parse("pgauth", 'k', text, &key), 0);
	assert_string_equal(key.id, "kaaaaaaaaaaaa");
	assert_true(secret_hash_equal(key.hash, hash));
	assert_string_equal(key.rest, "pgc:x.y");
	assert_int_equal(key_text_parse("pgapi", 'k', text, &key), -EINVAL);
	assert_int_equal(key_text_parse("pgauth", 'a', text, &key), -EINVAL);
	sprintf(text, "pgauth.kaaaaaaaaaaaa.%s", secret);
	assert_int_equal(key_text_parse("pgauth", 'k', text, &key), 0);
	assert_null(key.rest);
	for (size_t len = strlen(text); len-- > 0;) {
		text[len] = '\0';
		assert_int_equal(key_text_parse("pgauth", 'k', text, &key), -EINVAL);
	}
}

/* ---- addresses ---- */

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		bool given;
	} cases[] = {
		{ "100.64.0.0", false },     { "100.64.0.1", true },
		{ "100.127.255.254", true }, { "100.127.255.255", false },
		{ "100.100.100.99", true },  { "100.100.100.100", false },
		{ "100.100.100.101", true }, { "100.115.91.255", true },
		{ "100.115.92.0", false },   { "100.115.93.255", false },
		{ "100.115.94.0", true },    { "10.0.0.1", false },
		{ "100.63.255.255", false }, { "100.128.0.1", false },
		{ "fd00::1", false },
	};
	struct ip_prefix ula;
	struct ip_addr v4, v6, back;
	char text[IP_ADDR_STRLEN];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(ip_addr_parse(cases[i].text, &v4), 0);
		assert_int_equal(address_may_be_given(&v4), cases[i].given);
	}
	assert_int_equal(address_next(0), ADDRESS_FIRST);
	assert_int_equal(address_next(UINT32_MAX), ADDRESS_FIRST);
	assert_int_equal(address_next(ADDRESS_LAST), ADDRESS_FIRST);
	assert_int_equal(address_next(ADDRESS_FIRST), ADDRESS_FIRST + 1);
	assert_int_equal(ip_prefix_parse("fd12:3456:789a::/48", &ula), 0);
	assert_int_equal(ip_addr_parse("100.64.0.1", &v4), 0);
	v6 = address_ipv6(&ula, &v4);
	assert_string_equal(ip_addr_to_string(&v6, text), "fd12:3456:789a::6440:1");
	assert_true(address_ipv4_of(&ula, &v6, &back));
	assert_true(ip_addr_equal(&back, &v4));
	assert_false(address_ipv4_of(&ula, &v4, &back));
	v6.bytes[8] = 1;
	assert_false(address_ipv4_of(&ula, &v6, &back));
}

static void test_words(void **state)
{
	unsigned bits = 0, all = 0;

	assert_int_equal(scope_parse("all", &bits), 0);
	assert_int_equal(bits, SCOPE_ALL);
	assert_int_equal(scope_parse("everything", &bits), -EINVAL);
	for (unsigned i = 0; scope_name(i, &bits); i++) {
		unsigned again = 0;

		all |= bits;
		assert_int_equal(scope_parse(scope_name(i, &bits), &again), 0);
		assert_int_equal(again, bits);
	}
	assert_int_equal(all, SCOPE_ALL);
	assert_int_equal(role_parse("owner", &bits), 0);
	assert_int_equal(bits, POLICY_ROLE_OWNER);
	assert_string_equal(role_name(5, &bits), "auditor");
	assert_null(role_name(6, &bits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_list_limits), cmocka_unit_test(test_text_lists),
		cmocka_unit_test(test_expiry),	    cmocka_unit_test(test_names),
		cmocka_unit_test(test_labels),	    cmocka_unit_test(test_codes),
		cmocka_unit_test(test_check_codes), cmocka_unit_test(test_key_text),
		cmocka_unit_test(test_addresses),   cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
