/* The smaller parts of the coordinator link: URLs, what answers say, what is remembered. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/link/answers.h"
#include "agent/link/store.h"
#include "agent/link/url.h"
#include "common/ca_dir.h"
#include "common/json.h"
#include "tests/unit/known-keys.h"
#include "tests/unit/scratch.h"

/* ---- URLs ---- */

static void test_good_urls(void **state)
{
	static const struct {
		const char *text, *base;
		bool encrypted, loopback;
	} cases[] = {
		{ "https://coord.example", "https://coord.example", true, false },
		{ "https://coord.example/", "https://coord.example", true, false },
		{ "https://coord.example:8443/peer-gate/x//",
		  "https://coord.example:8443/peer-gate/x", true, false },
		{ "http://192.0.2.1:80", "http://192.0.2.1:80", false, false },
		{ "http://127.0.0.2:8080", "http://127.0.0.2:8080", false, true },
		{ "http://localhost", "http://localhost", false, true },
		{ "http://[::1]:99/a", "http://[::1]:99/a", false, true },
		{ "https://[2001:db8::1]", "https://[2001:db8::1]", true, false },
		{ "http://127.example", "http://127.example", false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *error = NULL;
		struct link_url url;

		if (link_url_parse(cases[i].text, &url, &error) < 0)
			fail_msg("%s", error);
		assert_string_equal(url.text, cases[i].base);
		assert_int_equal(url.encrypted, cases[i].encrypted);
		assert_int_equal(url.loopback, cases[i].loopback);
		link_url_done(&url);
	}
}

static void test_bad_urls(void **state)
{
	static const char *const cases[] = {
		"",
		"coord.example",
		"ftp://coord.example",
		"HTTPS://coord.example",
		"https://",
		"https:///x",
		"https://user@coord.example",
		"https://user:pw@coord.example",
		"https://coord.example?x",
		"https://coord.example/#x",
		"https://coord.example:0",
		"https://coord.example:65536",
		"https://coord.example:",
		"https://coord.example:x",
		"https://[::1",
		"https://[::1]x",
		"https://[127.0.0.1]",
		"https://a/../b",
		"https://a/./b",
		"https://a//b",
		"https://a/%2e",
		"https://a b",
		"https://a\n",
		"https://-a",
		"http://::1",
		"https://a/b\\c",
		"http:/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *error = NULL;
		struct link_url url;

		if (link_url_parse(cases[i], &url, &error) != -EINVAL)
			fail_msg("taken: \"%s\"", cases[i]);
		assert_non_null(strstr(error, "expected one as https://"));
	}
}

static void test_long_url(void **state)
{
	_cleanup_free_ char *error = NULL;
	char text[LINK_MAX_URL + 2] = "https://a/";
	struct link_url url;

	memset(text + 10, 'x', sizeof(text) - 11);
	assert_int_equal(link_url_parse(text, &url, &error), -EINVAL);
	text[LINK_MAX_URL] = '\0';
	assert_int_equal(link_url_parse(text, &url, &error), 0);
	link_url_done(&url);
}

/* ---- answers ---- */

#define KEY "pgc:Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);

	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

static void test_contact(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{\"version\":1,\"key\":\"" KEY "\",\"domain\":\"mesh.example\",\"url\":0}",
		  NULL },
		{ "{\"version\":2,\"key\":\"" KEY "\",\"domain\":\"mesh.example\"}", "version" },
		{ "{\"version\":1,\"domain\":\"mesh.example\"}", "key" },
		{ "{\"version\":1,\"key\":\"pgm:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\","
		  "\"domain\":\"mesh.example\"}",
		  "key: is no coordinator's key" },
		{ "{\"version\":1,\"key\":\"" KEY "\",\"domain\":\"mesh\"}", "domain" },
		{ "<html>", "line 1" },
		{ "[]", "an object" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *error = NULL;
		struct link_contact contact = { 0 };
		int r = link_contact_read(cases[i].text, strlen(cases[i].text), &contact, &error);

		if (!cases[i].error) {
			assert_int_equal(r, 0);
			assert_string_equal(contact.domain, "mesh.example");
		} else if (r != -EINVAL || !strstr(error, cases[i].error)) {
			fail_msg("%s: %d %s", cases[i].text, r, error);
		}
		link_contact_done(&contact);
	}
}

#define MESH "\"mesh\":{\"domain\":\"mesh.example\",\"prefixes\":[\"100.64.0.0/10\"]}"

static void test_enrolment(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{\"state\":\"enrolled\",\"node\":{\"id\":\"n1\",\"name\":\"server\",\"tags\":[]}"
		  "," MESH "}",
		  NULL },
		{ "{\"node\":{\"id\":\"n1\",\"name\":\"Server\"}," MESH "}", "node.name" },
		{ "{\"node\":{\"id\":\"n 1\",\"name\":\"server\"}," MESH "}", "node.id" },
		{ "{\"node\":{\"id\":\"\",\"name\":\"server\"}," MESH "}", "node.id" },
		{ "{\"node\":{\"id\":\"n1\",\"name\":\"server\"}}", "mesh" },
		{ "{\"node\":{\"id\":\"n1\",\"name\":\"server\"},\"mesh\":{\"domain\":1}}",
		  "mesh.domain" },
		{ "{\"node\":[]," MESH "}", "node" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *body = parse(cases[i].text);
		_cleanup_free_ char *error = NULL;
		struct link_enrolment enrolment = { 0 };
		int r = link_enrolment_read(body, &enrolment, &error);

		if (!cases[i].error) {
			assert_int_equal(r, 0);
			assert_string_equal(enrolment.node_id, "n1");
			assert_string_equal(enrolment.name, "server");
			assert_string_equal(enrolment.domain, "mesh.example");
		} else if (r != -EINVAL || !strstr(error, cases[i].error)) {
			fail_msg("%s: %d %s", cases[i].text, r, error);
		}
		link_enrolment_done(&enrolment);
	}
}

static void test_approval(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "{\"id\":\"x1\",\"code\":\"AB-12\",\"url\":\"https://c.example/a/x1\","
		  "\"approve\":\"coordctl nodes approve "
		  "AB-12\",\"expires_at\":\"2027-01-15T08:00:00Z\"}",
		  NULL },
		{ "{\"id\":\"x1\",\"code\":\"AB-12\",\"url\":null}", NULL },
		{ "{\"id\":\"x1\",\"code\":\"AB-12\",\"url\":\"file:///etc/passwd\"}", "url" },
		{ "{\"id\":\"x1\",\"code\":\"AB-12\",\"url\":\"https://x/\\u001b[2J\"}", "url" },
		{ "{\"id\":\"x1\",\"code\":\"AB\\n12\"}", "code" },
		{ "{\"code\":\"AB\"}", "id" },
		{ "{\"id\":\"x1\",\"code\":\"AB\",\"expires_at\":\"soon\"}", "expires_at" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_auto_t *body = parse(cases[i].text);
		_cleanup_free_ char *error = NULL;
		struct link_approval approval = { 0 };
		int r = link_approval_read(body, &approval, &error);

		if (!cases[i].error) {
			assert_int_equal(r, 0);
			assert_string_equal(approval.id, "x1");
			assert_string_equal(approval.code, "AB-12");
			assert_int_equal(approval.until,
					 approval.url ? 1800000000000000 : UINT64_MAX);
		} else if (r != -EINVAL || !strstr(error, cases[i].error)) {
			fail_msg("%s: %d %s", cases[i].text, r, error);
		}
		link_approval_done(&approval);
	}
}

/* ---- the store ---- */

static struct link_store full_store(void)
{
	struct ed25519_key *key = known_key(KNOWN_COORDINATOR);
	struct link_store store = {
		.url = strdup("https://coord.example"),
		.have_key = true,
		.coordinator = *ed25519_key_public(key),
		.up = true,
		.ssh = true,
		.hostname = strdup("server"),
		.tags = calloc(2, sizeof(char *)),
		.n_tags = 2,
		.auth_key = strdup("pgauth.x.y.z"),
		.node_id = strdup("n1"),
		.node_name = strdup("server"),
		.domain = strdup("mesh.example"),
	};

	store.tags[0] = strdup("tag:a");
	store.tags[1] = strdup("tag:b");
	ed25519_key_free(key);
	return store;
}

static void test_store_round_trip(void **state)
{
	_cleanup_(link_store_done) struct link_store store = full_store(), read = { 0 };
	_cleanup_free_ char *text = NULL, *again = NULL, *error = NULL;
	size_t len, len_again;

	text = link_store_format(&store, &len);
	assert_non_null(text);
	assert_int_equal(link_store_parse(text, len, &read, &error), 0);
	again = link_store_format(&read, &len_again);
	assert_string_equal(again, text);
	assert_string_equal(read.tags[1], "tag:b");
	assert_true(link_store_is_member(&read));
	link_store_forget_node(&read, true);
	assert_false(link_store_is_member(&read));
	free(again);
	again = link_store_format(&read, &len_again);
	assert_null(strstr(again, "n1"));
	assert_non_null(strstr(again, "\"deleted\":true"));
}

static void test_store_refusals(void **state)
{
	static const char *const cases[] = {
		"",
		"[]",
		"{\"version\":2,\"up\":true,\"ssh\":true}",
		"{\"version\":1,\"up\":true}",
		"{\"version\":1,\"up\":true,\"ssh\":true,\"coordinator\":\"pgc:x\"}",
		"{\"version\":1,\"up\":true,\"ssh\":true,\"hostname\":\"a.b\"}",
		("{\"version\":1,\"up\":true,\"ssh\":true,\"node\":{\"id\":\"n1\",\"name\":\"a\","
		 "\"domain\":\"mesh.example\"}}"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct link_store store = { .ssh = true };
		_cleanup_free_ char *error = NULL;

		assert_int_equal(link_store_parse(cases[i], strlen(cases[i]), &store, &error),
				 -EINVAL);
		assert_non_null(error);
		assert_true(store.ssh && !store.up);
	}
}

static void test_store_file(void **state)
{
	_cleanup_(link_store_done) struct link_store store = full_store(), read = { 0 };
	_cleanup_free_ char *error = NULL;
	char dir[] = "/tmp/test-link-store.XXXXXX";
	struct stat st;
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(link_store_load(fd, &read, &error), 0);
	assert_null(read.url);
	assert_int_equal(link_store_save(fd, &store), 0);
	assert_int_equal(fstatat(fd, LINK_STORE_FILE, &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(link_store_load(fd, &read, &error), 0);
	assert_string_equal(read.url, "https://coord.example");
	assert_int_equal(ftruncate(openat(fd, LINK_STORE_FILE, O_WRONLY), 5), 0);
	link_store_done(&read);
	assert_int_equal(link_store_load(fd, &read, &error), -EINVAL);
	assert_non_null(strstr(error, "link.json: line 1"));
	assert_int_equal(unlinkat(fd, LINK_STORE_FILE, 0), 0);
	close(fd);
	assert_int_equal(rmdir(dir), 0);
}

/* ---- certificates ---- */

static void test_ca_dir(void **state)
{
	static const char *const others[] = { "ca-certificates.crt", "1d3472b9",    "1d3472b9.1",
					      "1d3472b9.0.pem",	     "01d3472b9.0", "1d3472.0" };
	char *folder = scratch_new();
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_false(is_ca_dir(NULL));
	assert_false(is_ca_dir("/nonexistent"));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		close(openat(dir, others[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_false(is_ca_dir(folder));
	close(openat(dir, "1d3472b9.0", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_true(is_ca_dir(folder));
	close(dir);
	scratch_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_urls),	 cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_long_url),	 cmocka_unit_test(test_contact),
		cmocka_unit_test(test_enrolment),	 cmocka_unit_test(test_approval),
		cmocka_unit_test(test_store_round_trip), cmocka_unit_test(test_store_refusals),
		cmocka_unit_test(test_store_file),	 cmocka_unit_test(test_ca_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
