/* The OpenID providers of /etc/peergate/oidc.d, as the pages (coord/web/provider.h) use them. */
#pragma once

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "coord/registry/registry.h"
#include "coord/renewal/renewals.h"
#include "coord/web/provider.h"

#define PROVIDERS_MAX 16u

struct providers;
/*
 * Load dir/NAME.conf, sorted by name; a folder that is not there is an empty one. url is the
 * coordinator's own. Nobody is asked anything yet. Return: 0; -EINVAL, -EPERM, ... and *reterr_text
 * (the caller's); -ENOMEM.
 */
int providers_load(sd_event *event, const char *dir, const char *url, char **reterr_text,
		   struct providers **ret);
/* By what refresh tokens are sealed from now on; borrowed. Without it, none is kept. */
void providers_set_sealer(struct providers *providers, const struct sealer *sealer);
/* Nobody is asked any more; who was on the way is told so. The list stays. Takes NULL. */
void providers_stop(struct providers *providers);
/* After the pages. */
struct providers *providers_free(struct providers *providers);
DEFINE_CLEANUP(struct providers *, providers_free);

/*
 * Which of their groups are which of the policy. The caller frees the array; strings are borrowed.
 * Return: 0, -ENOMEM.
 */
int providers_mappings(const struct providers *providers, struct registry_mapping **ret_mappings,
		       size_t *ret_n);

/* Both are borrowed. */
const struct renewal_provider *providers_renewals(const struct providers *providers, size_t *ret_n);
const struct web_provider *providers_list(const struct providers *providers, size_t *ret_n);
