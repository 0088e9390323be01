/* What is asked of the coordinator about the policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coord/api/admin_policy.h"
#include "tests/unit/admin-fixture.h"

#define POLICY "// ours\n{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"dst\":[\"*:22\"]}]}"

static void etag_of(char buf[POLICY_ETAG_SIZE])
{
	const char *start = strstr(admin_reply.text, "\r\nETag: ");

	assert_non_null(start);
	snprintf(buf, POLICY_ETAG_SIZE, "%.*s", (int)strcspn(start + 8, "\r"), start + 8);
}

static unsigned set_if(struct coord_fix *coord, const char *etag, const char *text)
{
	char headers[640];

	snprintf(headers, sizeof(headers), "%sIf-Match: %s\r\n", admin_authorization, etag);
	return admin_ask_with(coord, headers, "PUT", "policy", text);
}

static void test_etags(void **state)
{
	uint8_t hash[SHA256_LEN] = { 0x01, 0xfe }, parsed[SHA256_LEN];
	char text[POLICY_ETAG_SIZE];
	static const char *const bad[] = {
		"",
		"\"",
		"\"\"",
		"*",
		"W/\"1-00\"",
		"\"1-00\"",
		"\"1\"",
		"1-00",
		"\"x-01fe000000000000000000000000000000000000000000000000000000000000\"",
		"\"1-01FE000000000000000000000000000000000000000000000000000000000000\"",
		"\"1-01fe000000000000000000000000000000000000000000000000000000000000",
		"\"1-01fe00000000000000000000000000000000000000000000000000000000000000\"",
	};
	uint64_t version;

	policy_etag(18446744073709551615ull, hash, text);
	assert_int_equal(strlen(text), POLICY_ETAG_SIZE - 1);
	assert_int_equal(policy_etag_parse(text, &version, parsed), 0);
	assert_true(version == 18446744073709551615ull);
	assert_memory_equal(parsed, hash, sizeof(hash));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (policy_etag_parse(bad[i], &version, parsed) == 0)
			fail_msg("%s was taken for a tag", bad[i]);
}

static void test_policy_if_match(void **state)
{
	struct coord_fix *coord = *state;
	char first[POLICY_ETAG_SIZE], second[POLICY_ETAG_SIZE], again[POLICY_ETAG_SIZE];

	assert_int_equal(admin_ask(coord, "GET", "policy", ""), 200);
	assert_non_null(strstr(admin_reply.text, "\r\nContent-Type: application/hujson\r\n"));
	etag_of(first);
	assert_memory_equal(first, "\"0-", 3);
	assert_ok(set_if(coord, first, POLICY));
	etag_of(second);
	assert_memory_equal(second, "\"1-", 3);
	/* Somebody else was faster: which version it is, is said. */
	assert_refused(set_if(coord, first, "{}"), 412, "precondition-failed", "version 1");
	etag_of(again);
	assert_string_equal(again, second);
	assert_int_equal(admin_ask(coord, "GET", "policy", ""), 200);
	assert_string_equal(http_reply_body(&admin_reply), POLICY);
	assert_refused(set_if(coord, "\"1\"", "{}"), 400, "bad-request", "If-Match");
	assert_ok(set_if(coord, second, "{}"));
	assert_ok(set_if(coord, "*", POLICY));
	assert_int_equal(admin_ask(coord, "GET", "policy/history", ""), 200);
	assert_non_null(strstr(admin_reply.text, "\"version\":3"));
	assert_int_equal(admin_ask(coord, "GET", "policy/history/1", ""), 200);
	assert_string_equal(http_reply_body(&admin_reply), POLICY);
	assert_refused(admin_ask(coord, "GET", "policy/history/9", ""), 404, "not-found", "9");
}

static void test_policy_refused(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *json = NULL, *again = NULL;
	const json_t *problem;

	json = admin_expect(
		admin_ask(coord, "PUT", "policy", "{\n  \"acls\": [{\"action\":\"deny\"}]\n}"),
		422);
	assert_text(json_object_get(json, "error"), "code", "policy-refused");
	problem = json_array_get(json_object_get(json, "problems"), 0);
	assert_text(problem, "severity", "error");
	assert_int_equal(json_integer_value(json_object_get(problem, "line")), 2);
	assert_true(json_is_string(json_object_get(problem, "text")));
	/* Its own tests count. */
	again = admin_expect(admin_ask(coord, "PUT", "policy",
				       "{\"acls\":[],\"tests\":[{\"src\":\"alice@example.com\","
				       "\"accept\":[\"alice@example.com:22\"]}]}"),
			     422);
	assert_true(json_array_size(json_object_get(again, "problems")) > 0);
	assert_int_equal(admin_ask(coord, "GET", "policy", ""), 200);
	assert_non_null(strstr(admin_reply.text, "\r\nETag: \"0-"));
}

static void test_policy_confirm(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *json = NULL;

	assert_refused(admin_ask(coord, "POST", "policy/confirm", ""), 409, "conflict",
		       "no policy waits");
	json = admin_expect(
		admin_ask(coord, "PUT", "policy?confirm_within=300&comment=trial", POLICY), 200);
	assert_text(json, "confirm_by", "2027-01-15T08:05:00Z");
	assert_refused(admin_ask(coord, "PUT", "policy", "{}"), 409, "conflict", "confirm");
	assert_ok(admin_ask(coord, "POST", "policy/confirm", ""));
	/* The same text again: there is nothing that could be confirmed. */
	assert_ok(admin_ask(coord, "PUT", "policy?confirm_within=300", POLICY));
	assert_non_null(strstr(admin_reply.text, "\"confirm_by\":null"));
	assert_non_null(strstr(admin_reply.text, "\"changed\":false"));
	fix_set_time(FIX_START + FIX_HOUR);
	registry_tick(coord->registry);
	http_fixture_pump(&coord->http, 1000);
	assert_int_equal(admin_ask(coord, "GET", "policy", ""), 200);
	assert_string_equal(http_reply_body(&admin_reply), POLICY);

	/* Not confirmed: it is gone again, by itself. */
	assert_ok(admin_ask(coord, "PUT", "policy?confirm_within=300", "{}"));
	fix_set_time(FIX_START + 2 * FIX_HOUR);
	registry_tick(coord->registry);
	http_fixture_pump(&coord->http, 1000);
	assert_int_equal(admin_ask(coord, "GET", "policy", ""), 200);
	assert_string_equal(http_reply_body(&admin_reply), POLICY);
	assert_non_null(strstr(admin_reply.text, "\r\nETag: \"1-"));
	assert_ok(admin_ask(coord, "POST", "policy/rollback", "{\"version\":0}"));
	assert_refused(admin_ask(coord, "POST", "policy/rollback", "{\"version\":0}"), 409,
		       "conflict", "in force already");
	assert_refused(admin_ask(coord, "POST", "policy/rollback", "{\"version\":77}"), 404,
		       "not-found", "77");
}

static void test_policy_tried(void **state)
{
	struct coord_fix *coord = *state;
	json_auto_t *check = NULL, *bad = NULL, *diff = NULL, *explained = NULL;

	admin_set_node(coord, 1, "web");
	admin_set_node(coord, 2, "db");
	check = admin_expect(admin_ask(coord, "POST", "policy/check", POLICY), 200);
	assert_true(json_is_true(json_object_get(check, "good")));
	bad = admin_expect(admin_ask(coord, "POST", "policy/check", "{\"acls\":7}"), 200);
	assert_true(json_is_false(json_object_get(bad, "good")));
	assert_true(json_is_null(json_object_get(bad, "tests")));
	diff = admin_expect(admin_ask(coord, "POST", "policy/diff", POLICY), 200);
	assert_int_equal(json_integer_value(json_object_get(diff, "gained")), 0);
	assert_true(json_integer_value(json_object_get(diff, "lost")) > 0);
	assert_refused(admin_ask(coord, "POST", "policy/diff", "{\"acls\":7}"), 422,
		       "policy-refused", "");
	/* Nothing of it is in force. */
	explained = admin_expect(admin_ask(coord, "GET", "policy/explain?src=web&dst=db%3A80", ""),
				 200);
	assert_text(explained, "answer", "yes");
	assert_refused(admin_ask(coord, "GET", "policy/explain?src=web&dst=nowhere", ""), 400,
		       "bad-request", "nowhere");
	assert_refused(admin_ask(coord, "GET", "policy/explain?src=web&dst=db%3A80&proto=icmp", ""),
		       400, "bad-request", "no ports");
	assert_int_equal(admin_ask(coord, "GET", "policy/explain?src=web&dst=root%40db", ""), 200);
	assert_non_null(strstr(admin_reply.text, "\"login\":\"root\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_etags),
		ADMIN_TEST(test_policy_if_match, admin_set_up_with_key),
		ADMIN_TEST(test_policy_refused, admin_set_up_with_key),
		ADMIN_TEST(test_policy_confirm, admin_set_up_with_key),
		ADMIN_TEST(test_policy_tried, admin_set_up_with_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
