/* A request of an agent: from its signature to the signed answer. */
#pragma once

#include <jansson.h>

#include "coord/api/internal.h"

enum agent_who {
	AGENT_MEMBER,	/* machines that are enrolled; others are refused "not-enrolled" */
	AGENT_LOGIN,	/* the same, about logins: as often as people log in there */
	AGENT_STRANGER, /* all who sign */
};

struct agent_call {
	struct api *api;
	struct http_request *req; /* a reference */
	struct frame_id id;	  /* whom the answer is for */
	char *node;		  /* id of the node; NULL: a stranger */
	bool invited; /* a stranger, beyond what its address may, with a good auth key */
	bool limited; /* it has been counted among the refused and the strangers */
	json_t *body; /* an object */
	char who[64], from[IP_ADDR_STRLEN];
	struct registry_actor actor; /* who and from */
};

/*
 * Verify the request, that it is new, and read its body. What is not as it should be is answered
 * here. Return: 0: the call has to be answered, once; HTTP_ANSWERED; negative errno.
 */
int agent_call_begin(struct api *api, struct http_request *req, enum agent_who who,
		     struct agent_call **ret_call);
/* Drop it without an answer: the client is gone. Returns NULL. */
struct agent_call *agent_call_free(struct agent_call *call);
DEFINE_CLEANUP(struct agent_call *, agent_call_free);

/*
 * A member may do this only so often. Return: 0; HTTP_ANSWERED and negative errno, after which the
 * call is gone.
 */
int agent_call_limit(struct agent_call *call, struct http_rate *rate);

/*
 * Answer, signed, and free the call. body is stolen (NULL: out of memory). Return: 0, negative
 * errno, for the handler.
 */
int agent_call_answer(struct agent_call *call, unsigned status, json_t *body);
int agent_call_refuse(struct agent_call *call, unsigned status, const char *code, const char *fmt,
		      ...) _printf_(4, 5);
/* As the registry says, if it is a refusal. Return: 0: answered; -ENOENT: it is none. */
int agent_call_refused(struct agent_call *call, const struct registry_result *result);
/* {"id", "name", "addresses", ...}, as answers have it. NULL: out of memory. */
json_t *agent_node_json(const struct api *api, const struct node_record *node);
/* {"state":"enrolled", "node":..., "mesh":...}. NULL: out of memory. */
json_t *agent_enrolled_json(const struct api *api, const struct node_record *node);
