/*
 * HTTP requests in the event loop, by libcurl: no redirects, no other protocols, every size and
 * time bounded, the certificate checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct fetch;
struct fetch_call;

struct fetch_config {
	const char *user_agent; /* "peergate-agent/1.0" */
	const char *ca_file;	/* certificates to trust instead of the system's; NULL: those */
	const char *proxy;	/* URL; NULL: none, whatever the environment says */
};

/* config is copied. Return: 0, -ENOMEM, negative errno. */
int fetch_new(sd_event *event, const struct fetch_config *config, struct fetch **ret_http);
/* Calls that are open are dropped, without a word. */
struct fetch *fetch_free(struct fetch *http);
DEFINE_CLEANUP(struct fetch *, fetch_free);

/* Of the header fields, those that somebody looks at; NULL: was not there. */
struct fetch_answer {
	unsigned status;
	const char *signature;	 /* Peergate-Answer */
	const char *epoch;	 /* Peergate-Epoch */
	const char *retry_after; /* Retry-After */
	const char *body;
	size_t body_len;
};

#define FETCH_MAX_ANSWER (1u << 20)

struct fetch_request {
	const char *url;
	const char *const *headers; /* "Name: value" */
	size_t n_headers;
	const void *body; /* POST; copied. NULL: GET */
	size_t body_len;
	uint64_t timeout_usec; /* for all of it; 0: none but those of connecting */
	/*
	 * A body of a 200 answer as it comes; NULL: it is kept, as those of other answers are, up
	 * to FETCH_MAX_ANSWER bytes. Return: 0; negative errno ends the call.
	 */
	int (*on_data)(const char *data, size_t len, void *userdata);
	/*
	 * Once, from the event loop, when it has ended; the call is not to be used after that.
	 * problem NULL: there is an answer, which is borrowed; else what went wrong, for people.
	 */
	void (*on_done)(const struct fetch_answer *answer, const char *problem, void *userdata);
	void *userdata;
};

/*
 * Begin; all is copied. Callbacks come from the event loop, never from within this. They may begin
 * and cancel calls, but not free http. Return: 0, -ENOMEM, -EINVAL (what curl does not take).
 */
int fetch_start(struct fetch *http, const struct fetch_request *config,
		struct fetch_call **ret_call);
/* Drop it; on_done will not be called. Also from within its own on_data. Takes NULL, returns NULL.
 */
struct fetch_call *fetch_cancel(struct fetch_call *call);
/*
 * Has anything of the request gone out? Otherwise nobody can have done what it asks for. Also from
 * within on_done.
 */
bool fetch_was_sent(const struct fetch_call *call);
/* Bytes of the body so far. */
uint64_t fetch_received(const struct fetch_call *call);
