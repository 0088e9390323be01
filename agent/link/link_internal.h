/* What the files link*.c share. */
#pragma once

#include "agent/link/addresses.h"
#include "agent/link/answers.h"
#include "agent/link/ask.h"
#include "agent/link/link.h"
#include "agent/link/stream.h"
#include "common/fetch.h"

struct link {
	sd_event *event;
	struct link_config config; /* strings are ours */
	const struct link_hooks *hooks;
	void *userdata;
	struct state *state;
	struct ed25519_key *machine_key;
	struct link_store store;
	struct link_machine machine;
	struct fetch *http;
	struct link_signer signer; /* once the coordinator's key is known */

	/* link_join.c */
	struct fetch_call *contact;
	struct link_ask *join;
	sd_event_source *join_timer;
	struct link_approval approval; /* id NULL: none is waited for */
	uint64_t waited_usec;	       /* CLOCK_MONOTONIC, since when the present wait is out */
	bool renewing;		       /* the key that was sent is the next one */
	char *join_problem;

	/* link_maps.c */
	struct link_ask *streaming;
	struct link_stream *stream;
	struct wg_key ephemeral; /* private, until the stream has it */
	sd_event_source *stream_timer, *silence_timer;
	uint64_t received; /* when silence was looked at */
	uint64_t heard_usec;
	char *stream_problem, *key_problem, *logged_problem;
	enum {
		LINK_END_OTHER,
		LINK_END_DELETED,
		LINK_END_REPLACED,
	} end;	    /* what the stream said of its end */
	bool whole; /* what came does not fit */
	bool tried_kept;

	/* link_tell.c */
	struct link_host host;
	struct ip_endpoint endpoints[LINK_MAX_ENDPOINTS];
	size_t n_endpoints;
	struct link_addresses *addresses;
	struct link_ask *telling;
	sd_event_source *tell_timer, *gateway_keys;
	unsigned tell_failures;
	char *told;	  /* what the coordinator knows; NULL: nothing sure */
	char *being_told; /* in the request that is out */
	char *tell_problem;

	struct link_check *checks; /* link_check.c */
	unsigned n_checks;

	struct link_ask *logout;
	void (*logout_fn)(const char *problem, void *userdata);
	void *logout_userdata;

	/* That a member came up with before its coordinator was heard; NULL: none. */
	char *spare_key;
};

/* link.c */

/* Something has happened: step, and do what follows. */
void link_step(struct link *link, struct link_input input);
void link_event(struct link *link, enum link_event event);
/* No map any more. */
void link_leave(struct link *link);
/* The coordinator has no such node: leave, and enrol anew with the spare key, if there is one. */
void link_deleted(struct link *link);
/* It is a member still: it has no use for another auth key. */
void link_drop_spare_key(struct link *link);
/* Takes over text. */
void link_set_text(char **text, char *with);
/* Write what is remembered; a failure is logged. Return: 0, negative errno. */
int link_save(struct link *link);
/* The coordinator's key is known: requests can be signed. */
void link_know_coordinator(struct link *link);
/* A signed request to the coordinator; config without http, signer and url. */
int link_request(struct link *link, struct link_ask_config config, struct link_ask **ret_ask);
/* The same, with a userdata of its own. */
int link_request_for(struct link *link, struct link_ask_config config, struct link_ask **ret_ask);
/* A timer that is off. */
int link_add_timer(struct link *link, sd_event_time_handler_t fn, sd_event_source **ret_timer);
void link_arm(sd_event_source *timer, uint64_t usec);

/* link_join.c: one action each; what fails at once is an event of its own. */
void link_do_contact(struct link *link);
void link_do_enrol(struct link *link);
void link_do_rotate(struct link *link);
void link_do_wait(struct link *link);
void link_cancel_join(struct link *link);
int link_on_join_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* link_maps.c */
void link_open_stream(struct link *link);
void link_close_stream(struct link *link);
int link_on_stream_timer(sd_event_source *source, uint64_t usec, void *userdata);
int link_on_silence(sd_event_source *source, uint64_t usec, void *userdata);

/* link_check.c */
void link_checks_close(struct link *link);

/* link_tell.c */
int link_tell_open(struct link *link);
void link_tell_close(struct link *link);
/* All that this host says of itself, for a request. NULL: no memory. */
json_t *link_facts(struct link *link);
/* It has been said, in a request of another kind. Takes over text. */
void link_told(struct link *link, char *text);
/* Say what the coordinator does not know yet, if it can be reached. */
void link_tell(struct link *link);
int link_on_tell_timer(sd_event_source *source, uint64_t usec, void *userdata);
