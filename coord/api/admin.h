/* A request of somebody who looks after the mesh: from credentials to the answer. */
#pragma once

#include <jansson.h>

#include "coord/api/internal.h"
#include "coord/registry/field.h"

struct admin_call {
	struct api *api;
	struct http_request *req; /* a reference */
	char who[64], from[IP_ADDR_STRLEN];
	char apikey[32];	     /* its id; "": on the unix socket */
	struct registry_actor actor; /* who and from; scopes */
	bool is_root;		     /* on the unix socket */
};

/* What a route of theirs is: the data of its struct http_route. */
struct admin_verb {
	unsigned scope; /* enum scope, all of them; 0: all who have a key */
	/* Takes the call over. Return: 0, negative errno. */
	int (*run)(struct admin_call *call);
};

/* The handler of all these routes. */
int admin_handle(struct http_request *req, void *userdata);

/* ---- admin_auth.c ---- */

/*
 * Who asks, and may they? By the peer's credentials on the unix socket, else by an API key. scope
 * as in struct admin_verb. Return: 0: who, from, actor and is_root are filled in; HTTP_ANSWERED: it
 * was refused; negative errno.
 */
int admin_authorise(struct admin_call *call, unsigned scope);

/* ---- admin_call.c ---- */

/* Drop it without an answer. Returns NULL. */
struct admin_call *admin_call_free(struct admin_call *call);
DEFINE_CLEANUP(struct admin_call *, admin_call_free);
/* Answer, and free the call. body is stolen (NULL: out of memory). Return: 0, negative errno. */
int admin_call_answer(struct admin_call *call, unsigned status, json_t *body);
int admin_call_refuse(struct admin_call *call, unsigned status, const char *code, const char *fmt,
		      ...) _printf_(4, 5);
/* As the registry says, if it is a refusal. Return: 0: answered; -ENOENT: it is none. */
int admin_call_refused(struct admin_call *call, const struct registry_result *result);
/* An error of ours, negative errno. */
int admin_call_fail(struct admin_call *call, int error);
/* {"ok":true}: done, and there is nothing more to say. A registry_done_fn; userdata: the call. */
void admin_call_done(const struct registry_result *result, void *userdata);
/* The user that it was about. Likewise. */
void admin_call_user(const struct registry_result *result, void *userdata);

/* ---- admin_list.c ---- */

/* {"key":[...]} of so many items. NULL: out of memory. */
json_t *admin_list_json(const struct api *api, const char *key, size_t n,
			json_t *(*item)(const struct api *api, size_t i));
/* A list of the registry's, sorted by id. */
struct admin_list {
	const char *key;
	size_t (*count)(const struct registry *registry);
	const struct record_head *(*head)(const struct registry *registry, size_t i);
	json_t *(*item)(const struct api *api, size_t i);
};
/* Answer with all of it, and free the call. Return: 0, negative errno. */
int admin_list(struct admin_call *call, const struct admin_list *list);

/* ---- admin_json.c: parts of answers. NULL: out of memory ---- */

json_t *admin_time(uint64_t usec); /* RFC 3339; null: 0 and RECORD_NEVER */
json_t *admin_texts(const struct text_list *list);
json_t *admin_endpoints(const struct endpoint_list *list);
/* Words for the bits that are set. name: scope_name(), role_name(). */
json_t *admin_words(unsigned bits, const char *(*name)(unsigned i, unsigned *ret_bit));
json_t *admin_node_json(const struct api *api, const struct node_record *node);
json_t *admin_user_json(const struct api *api, const struct user_record *user);
json_t *admin_event_json(const struct event_record *event);
/* ---- admin_body.c: what is asked ---- */

/*
 * Read the body, an object or nothing, by the table. Return: 0; HTTP_ANSWERED: it was refused, and
 * the call is gone; negative errno: likewise. What was read stays in target, for its owner.
 */
int admin_call_body(struct admin_call *call, const struct json_field *fields, size_t n,
		    void *target);

/* Readers of members; json_read_fn. */
struct admin_bits {
	bool is_given;
	unsigned bits;
};
struct admin_when {
	bool is_given;
	uint64_t usec; /* RECORD_NEVER */
};
int admin_read_roles(const json_t *v, const struct json_at *at,
		     void *target /* struct admin_bits */, struct json_report *rep);
int admin_read_scopes(const json_t *v, const struct json_at *at,
		      void *target /* struct admin_bits */, struct json_report *rep);
/* Seconds from now, or "never". */
int admin_read_lifetime(const json_t *v, const struct json_at *at,
			void *target /* uint64_t: microseconds, RECORD_NEVER */,
			struct json_report *rep);
/* RFC 3339, or null: never. So it is not to be JSON_NULLABLE. */
int admin_read_expiry(const json_t *v, const struct json_at *at,
		      void *target /* struct admin_when */, struct json_report *rep);

/* ---- the routes ---- */

int admin_status(struct admin_call *call);
int admin_users_list(struct admin_call *call);
int admin_users_add(struct admin_call *call);
int admin_users_set(struct admin_call *call);
int admin_users_delete(struct admin_call *call);
int admin_users_show(struct admin_call *call);
int admin_users_suspend(struct admin_call *call);
int admin_users_resume(struct admin_call *call);
int admin_users_sign_out(struct admin_call *call);
int admin_users_totp_reset(struct admin_call *call);
int admin_users_password_link(struct admin_call *call);
int admin_users_unbind(struct admin_call *call);
int admin_groups_list(struct admin_call *call);
int admin_nodes_list(struct admin_call *call);
int admin_nodes_show(struct admin_call *call);
int admin_nodes_set(struct admin_call *call);
int admin_nodes_expire(struct admin_call *call);
int admin_nodes_delete(struct admin_call *call);
int admin_nodes_map(struct admin_call *call);
int admin_pending_list(struct admin_call *call);
int admin_pending_approve(struct admin_call *call);
int admin_pending_reject(struct admin_call *call);
int admin_checks_list(struct admin_call *call);
int admin_checks_revoke(struct admin_call *call);
int admin_authkeys_list(struct admin_call *call);
int admin_authkeys_create(struct admin_call *call);
int admin_authkeys_revoke(struct admin_call *call);
int admin_apikeys_list(struct admin_call *call);
int admin_apikeys_create(struct admin_call *call);
int admin_apikeys_revoke(struct admin_call *call);
int admin_policy_get(struct admin_call *call);
int admin_policy_set(struct admin_call *call);
int admin_policy_confirm(struct admin_call *call);
int admin_policy_rollback(struct admin_call *call);
int admin_policy_history(struct admin_call *call);
int admin_policy_version(struct admin_call *call);
int admin_policy_check(struct admin_call *call);
int admin_policy_diff(struct admin_call *call);
int admin_policy_explain(struct admin_call *call);
int admin_events(struct admin_call *call);
int admin_backup(struct admin_call *call);
int admin_metrics(struct admin_call *call);
