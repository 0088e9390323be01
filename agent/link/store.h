/*
 * What this host remembers of its coordinator: link.json and machine.key in the state directory,
 * both of mode 0600.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/ed25519.h"

#define LINK_STORE_FILE	 "link.json"
#define LINK_MACHINE_KEY "machine.key"
#define LINK_MAX_TAGS	 32u

struct link_store {
	char *url;			   /* of the coordinator; NULL: none yet */
	bool have_key;			   /* the coordinator's is pinned */
	struct ed25519_public coordinator; /* if so */

	bool up; /* this host is meant to be in the mesh */
	bool ssh;
	char *hostname; /* instead of the host's own; NULL: that */
	char **tags;	/* wanted at the next enrolment */
	size_t n_tags;
	char *auth_key; /* for that, until it has been used or refused; NULL: none */

	char *node_id, *node_name, *domain; /* of the enrolment; all NULL: not a member */
	bool deleted;			    /* it was one, until the coordinator deleted it */
};

/* Wipes the auth key. */
void link_store_done(struct link_store *store);
/* Return: 0 and *ret_copy (the caller's), -ENOMEM. */
int link_store_copy(const struct link_store *store, struct link_store *ret_copy);
bool link_store_is_member(const struct link_store *store);
/* The enrolment only: the coordinator and what was asked for stay. */
void link_store_forget_node(struct link_store *store, bool deleted);

/* Pure. The text is the caller's (wipe it: there may be an auth key in it); NULL: no memory. */
char *link_store_format(const struct link_store *store, size_t *ret_len);
/* Return: 0; -EINVAL and *reterr_text (the caller's); -ENOMEM. */
int link_store_parse(const char *text, size_t len, struct link_store *ret_store,
		     char **reterr_text);

/*
 * No file is an empty store. A damaged one is an error: this host would enrol as another node.
 * Return: 0; negative errno and *reterr_text (the caller's).
 */
int link_store_load(int dirfd, struct link_store *ret_store, char **reterr_text);
/* Whole or not at all. Return: 0, negative errno. */
int link_store_save(int dirfd, const struct link_store *store);
