/* The host's SSH keys: private halves live here, in the keys process, and nowhere else. */
#pragma once

#include <stdbool.h>

#include "common/cleanup.h"
#include "sshgw/msg.h"

struct hostkeys;

/*
 * Load the machine's keys from /etc/ssh, as people expect; if there is none, the gateway's own from
 * own_dir, where an ed25519 key is made at the first need. Keys that are of no use (types, sizes,
 * unreadable) are passed over with a warning. Return: 0, -ENOKEY when none is left (logged).
 */
int hostkeys_load(const char *own_dir, struct hostkeys **ret_keys);
struct hostkeys *hostkeys_ref(struct hostkeys *keys);
struct hostkeys *hostkeys_unref(struct hostkeys *keys);
DEFINE_CLEANUP(struct hostkeys *, hostkeys_unref);

/* Whether a file has changed, come or gone since they were loaded. */
bool hostkeys_are_stale(const struct hostkeys *keys);

/* Public halves, borrowed, in the order that NET_SIGN's index counts. */
size_t hostkeys_public(const struct hostkeys *keys, struct msg_blob ret_blobs[MSG_MAX_KEYS]);

/*
 * Sign the hash of a key exchange: SHA-256's 32 bytes only, with a digest that fits the key, never
 * SHA-1. What the hash stands for cannot be known here: PRIVSEP.md, "what a signature proves".
 * Return: 0 and *ret_signature (the caller's), -EINVAL, -EIO.
 */
int hostkeys_sign(const struct hostkeys *keys, const struct msg_sign *request,
		  struct msg_blob *ret_signature);
/*
 * Sign what proves to the client of a session that the host has the key (OpenSSH's PROTOCOL,
 * section 2.5). The hash is the session's id. What is signed is longer than any that
 * hostkeys_sign() takes, so that neither stands for the other. Return: as above.
 */
int hostkeys_prove(const struct hostkeys *keys, const struct msg_sign *request,
		   struct msg_blob *ret_signature);
