/* Setting the coordinator up, while it does not run. */
#pragma once

#include <sys/types.h>

#include "common/ed25519.h"

#define OFFLINE_STORE "coord.db"
#define OFFLINE_KEY   "coordinator.key"

struct offline_config {
	const char *url, *listen, *certificate, *private_key; /* all but url may be NULL */
};
/*
 * The text of coord.conf. Return: 0 and the caller's text; -EINVAL and *reterr_text (the caller's);
 * -ENOMEM.
 */
int offline_config_text(const struct offline_config *config, char **reterr_text, char **ret_text);

/*
 * Make what is missing in the state directory, which there is: key, store, and the mesh of this
 * domain. Return: 0; negative errno and *reterr_text (the caller's): -EEXIST: there is a mesh of
 * another domain.
 */
int offline_set_up(const char *state_dir, const char *domain, char **reterr_text,
		   char ret_key[ED25519_TEXT_LEN]);
