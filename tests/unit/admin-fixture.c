#include "tests/unit/admin-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text.h"
#include "coord/registry/accounts.h"

struct http_reply admin_reply;

char admin_authorization[384];

char *admin_request_text(const char *method, const char *path, const char *headers,
			 const char *body)
{
	char *text = text_printf("%s /v1/admin/%s HTTP/1.1\r\nHost: c\r\nContent-Length: %zu\r\n%s"
				 "\r\n%s",
				 method, path, strlen(body), headers, body);

	assert_non_null(text);
	return text;
}

/* With these headers over the network. */
unsigned admin_ask_with(struct coord_fix *coord, const char *headers, const char *method,
			const char *path, const char *body)
{
	_cleanup_free_ char *text = admin_request_text(method, path, headers, body);

	return http_fixture_ask(&coord->http, text, &admin_reply);
}

const char *admin_make_key(struct coord_fix *coord, unsigned scopes)
{
	const struct registry_apikey_request request = { .scopes = scopes };

	registry_create_apikey(coord->registry, &fix_root, &request, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
	snprintf(admin_authorization, sizeof(admin_authorization), "Authorization: Bearer %s\r\n",
		 coord->result.secret);
	return admin_authorization;
}

/* With the key that was made last. */
unsigned admin_ask(struct coord_fix *coord, const char *method, const char *path, const char *body)
{
	return admin_ask_with(coord, admin_authorization, method, path, body);
}

/* The answer, whose status has to be this, as JSON; the caller's. */
json_t *admin_expect(unsigned status, unsigned wanted)
{
	json_t *json = json_loads(http_reply_body(&admin_reply), 0, NULL);

	if (status != wanted)
		fail_msg("%u, not %u: %s", status, wanted, http_reply_body(&admin_reply));
	assert_non_null(json);
	return json;
}

void assert_text(const json_t *json, const char *key, const char *wanted)
{
	const char *text = json_string_value(json_object_get(json, key));

	assert_non_null(text);
	assert_string_equal(text, wanted);
}

void assert_refused(unsigned status, unsigned wanted, const char *code, const char *text)
{
	json_auto_t *json = admin_expect(status, wanted);
	const json_t *error = json_object_get(json, "error");

	assert_text(error, "code", code);
	if (!strstr(json_string_value(json_object_get(error, "message")), text))
		fail_msg("\"%s\" does not say \"%s\"", http_reply_body(&admin_reply), text);
}

void assert_ok(unsigned status)
{
	json_auto_t *json = admin_expect(status, 200);

	assert_true(json_is_object(json));
}

int admin_set_up(void **state)
{
	admin_authorization[0] = '\0';
	return coord_fix_setup_then(state);
}

int admin_set_up_with_key(void **state)
{
	int r = coord_fix_setup_then(state);

	admin_make_key(*state, SCOPE_ALL);
	return r;
}

void admin_set_node(struct coord_fix *coord, unsigned number, const char *name)
{
	const struct registry_enrolment enrolment = {
		.machine = fix_machine_key(number),
		.key = fix_node_key(number),
		.facts.hostname = (char *)name,
		.facts.listen_port = 51820,
		.auth_key = coord_fix_authkey(coord),
	};

	registry_enrol(coord->registry, &fix_root, &enrolment, fix_done, &coord->result);
	assert_int_equal(coord->result.code, REGISTRY_OK);
}
