/*
 * Somewhere else that people sign in with (OpenID Connect), as the pages see it. They send the
 * browser there and, when it comes back, hand on what it brought; what that is worth the provider's
 * code decides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coord/registry/model.h"

/* What a browser that went to the provider may do when it is back; the provider's own. */
struct web_flow_state;

struct web_begin {
	bool reauth;		/* the person has to show anew that they are there */
	const char *login_hint; /* NULL */
};
/*
 * Where a provider of this name sends browsers back to, and no other: what the provider is to be
 * told. url: the coordinator's, as browsers reach it. Return: the caller's; NULL: no memory.
 */
char *web_callback_url(const char *url, const char *provider);
struct web_begun {
	struct web_flow_state *flow; /* the caller's; see flow_free() */
	const char *state;	     /* borrowed from it: what the browser has to bring back */
	const char *url;	     /* likewise: where it goes */
};

/* What it brought back: parameters of the query; NULL: there was none of that name. */
struct web_return {
	const char *code, *state, *iss, *error, *error_description;
};

struct web_identity {
	const char *issuer, *subject;
	const char *email; /* verified; NULL */
	const char *name;  /* may be NULL */
	struct text_list groups;
	uint64_t auth_time; /* microseconds since 1970; 0: not told */
	enum auth_strength strength;
	const char *sealed; /* a token for registry_keep_renewal(); NULL */
};
/*
 * status 0: identity; else negative errno, and text says to people what is wrong. Called exactly
 * once, possibly before finish() returns; all of it is valid until this returns.
 */
typedef void (*web_finish_fn)(int status, const char *text, const struct web_identity *identity,
			      void *userdata);
/* begin()'s, likewise. */
typedef void (*web_begin_fn)(int status, const char *text, const struct web_begun *begun,
			     void *userdata);

struct web_provider {
	const char *name;  /* of paths and of the method "oidc:NAME": letters, digits, "-" */
	const char *title; /* on the button */
	bool may_create;   /* people who were not known before */
	void *userdata;
	void (*begin)(void *userdata, const struct web_begin *request, web_begin_fn done,
		      void *done_userdata);
	/* Takes the flow. */
	void (*finish)(void *userdata, struct web_flow_state *flow, const struct web_return *back,
		       web_finish_fn done, void *done_userdata);
	void (*flow_free)(struct web_flow_state *flow);
};
