/* Asking a coordinator as people and programs do: with an API key over HTTP. */
#pragma once

#include <jansson.h>

#include "tests/unit/coord-fixture.h"

/* The last answer, and the header field with the key that was made last ("": none yet). */
extern struct http_reply admin_reply;
extern char admin_authorization[384];

/* A coordinator, without a key and with one of all scopes. cmocka: *state is a struct coord_fix. */
int admin_set_up(void **state);
int admin_set_up_with_key(void **state);
#define ADMIN_TEST(test, setup) cmocka_unit_test_setup_teardown(test, setup, coord_fix_teardown)

/* An API key of these scopes, which is used from now on. Return: its header field. */
const char *admin_make_key(struct coord_fix *coord, unsigned scopes);
/* A node of alice's. */
void admin_set_node(struct coord_fix *coord, unsigned number, const char *name);

/* path: behind "/v1/admin/". headers: of the request besides, each with its CR LF. The caller's. */
char *admin_request_text(const char *method, const char *path, const char *headers,
			 const char *body);
/* Return: the status. */
unsigned admin_ask_with(struct coord_fix *coord, const char *headers, const char *method,
			const char *path, const char *body);
/* With the key that was made last. */
unsigned admin_ask(struct coord_fix *coord, const char *method, const char *path, const char *body);

/* The last answer, whose status has to be the one wanted, as JSON; the caller's. */
json_t *admin_expect(unsigned status, unsigned wanted);
void assert_text(const json_t *json, const char *key, const char *wanted);
void assert_refused(unsigned status, unsigned wanted, const char *code, const char *text);
void assert_ok(unsigned status);
