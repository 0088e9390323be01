/* WireGuard keys of this node, in files: one line as wg(8) genkey prints it, mode 0600. */
#pragma once

#include "common/cleanup.h"
#include "common/wgkey.h"

struct node_key {
	struct wg_key private, public;
};

/*
 * Read one. dir names the directory of dirfd in messages.
 * Return: 0; -ENOENT: there is none, without a text; other negative errno and *reterr_text (the
 * caller's): it is there and cannot be used.
 */
int node_key_load(int dirfd, const char *dir, const char *name, struct node_key *ret_key,
		  char **reterr_text);
/*
 * Make a new one, unless there is one. Return: 0 also then; negative errno and *reterr_text (the
 * caller's).
 */
int node_key_make(int dirfd, const char *dir, const char *name, char **reterr_text);
