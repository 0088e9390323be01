/* A signed request from its making to what its answer is worth, all cures included. */
#pragma once

#include "agent/link/signer.h"
#include "common/fetch.h"

struct link_ask;

struct link_ask_config {
	struct fetch *http; /* these two are borrowed for as long as it lasts */
	struct link_signer *signer;
	const char *url;  /* the coordinator's base URL; copied */
	const char *path; /* "/v1/node"; copied */
	json_t *body;	  /* an object; borrowed for the call only */
	uint64_t timeout_usec;
	/* As fetch_request's, for streams; nonce: of the request that is answered. */
	int (*on_data)(const char *data, size_t len, uint64_t nonce, void *userdata);
	/*
	 * Once, from the event loop, when it is over; the request is not to be used after that.
	 * verdict is borrowed. NULL: a stream that had begun (200) has ended.
	 */
	void (*on_done)(const struct link_verdict *verdict, void *userdata);
	void *userdata;
};

/* Return: 0, -ENOMEM, -EINVAL. */
int link_ask(const struct link_ask_config *config, struct link_ask **ret_ask);
/* Drop it; on_done will not be called. Also from its own on_data. Takes NULL, returns NULL. */
struct link_ask *link_ask_cancel(struct link_ask *ask);
/* Bytes of the answer so far. */
uint64_t link_ask_received(const struct link_ask *ask);
