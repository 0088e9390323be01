/* What an operator asks for with up, login and set, and what it makes of the store. Pure. */
#pragma once

#include "agent/link/store.h"

#define LINK_MAX_AUTH_KEY 512u

struct link_wish {
	const char *url;	     /* NULL, of all of these: as it is */
	const char *coordinator_key; /* "pgc:..." */
	const char *auth_key;	     /* "pgauth.ID.SECRET.COORDINATOR-KEY" */
	const char *hostname;	     /* "": the host's own */
	char *const *tags;
	size_t n_tags;
	bool set_tags, set_ssh, ssh;
};

/* What a wish is judged by, besides the store. */
struct link_terms {
	const char *default_url; /* Coordinator=; NULL: none */
	bool plain_http;	 /* InsecureHTTP= */
	bool key_expired;	 /* of a member */
};

/* What only root may ask for. */
enum {
	LINK_WISH_FOR_ROOT = 1,
};

/*
 * The store as it is to be. What was pinned is not changed by a wish: that takes a logout.
 * Return: 0; LINK_WISH_FOR_ROOT: as well, and it names another coordinator, or switches SSH on;
 * -EINVAL and *reterr_text (the caller's), -ENOMEM.
 */
int link_wish_apply(const struct link_wish *wish, const struct link_terms *terms,
		    const struct link_store *now, struct link_store *ret_store, char **reterr_text);
