/*
 * HTTP requests in the event loop, by libcurl: no redirects, no other protocols, every size and
 * time bounded, the certificate checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent/link/signer.h"
#include "common/cleanup.h"

struct link_http;
struct link_call;

struct link_http_config {
	const char *ca_file; /* certificates to trust instead of the system's; NULL: those */
	const char *proxy;   /* URL; NULL: none, whatever the environment says */
};

/* config is copied. Return: 0, -ENOMEM, negative errno. */
int link_http_new(sd_event *event, const struct link_http_config *config,
		  struct link_http **ret_http);
/* Calls that are open are dropped, without a word. */
struct link_http *link_http_free(struct link_http *http);
DEFINE_CLEANUP(struct link_http *, link_http_free);

#define LINK_MAX_ANSWER (1u << 20)

struct link_call_config {
	const char *url;
	const char *const *headers; /* "Name: value" */
	size_t n_headers;
	const void *body; /* POST; copied. NULL: GET */
	size_t body_len;
	uint64_t timeout_usec; /* for all of it; 0: none but those of connecting */
	/*
	 * A body of a 200 answer as it comes; NULL: it is kept, as those of other answers are, up
	 * to LINK_MAX_ANSWER bytes. Return: 0; negative errno ends the call.
	 */
	int (*on_data)(const char *data, size_t len, void *userdata);
	/*
	 * Once, from the event loop, when it has ended; the call is not to be used after that.
	 * problem NULL: there is an answer, which is borrowed; else what went wrong, for people.
	 */
	void (*on_done)(const struct link_answer *answer, const char *problem, void *userdata);
	void *userdata;
};

/*
 * Begin; all is copied. Callbacks come from the event loop, never from within this. They may begin
 * and cancel calls, but not free http. Return: 0, -ENOMEM, -EINVAL (what curl does not take).
 */
int link_http_call(struct link_http *http, const struct link_call_config *config,
		   struct link_call **ret_call);
/* Drop it; on_done will not be called. Also from within its own on_data. Takes NULL, returns NULL.
 */
struct link_call *link_call_cancel(struct link_call *call);
/* Bytes of the body so far. */
uint64_t link_call_received(const struct link_call *call);
