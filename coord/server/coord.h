/* The coordinator's parts, put together: store, registry, maps, API, HTTP. */
#pragma once

#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "coord/server/config.h"

struct coord;

/* Where the coordinator keeps and puts its files: the directories that systemd made for it. */
struct coord_paths {
	const char *state_dir;	   /* "/var/lib/peergate-coord" */
	const char *runtime_dir;   /* "/run/peergate-coord" */
	const char *providers_dir; /* "/etc/peergate/oidc.d" */
};

/*
 * Open everything and begin to serve. The config is borrowed and outlives the coordinator; paths
 * are copied. Return: 0; negative errno and *reterr_text (the caller's), which says what to do.
 */
int coord_new(sd_event *event, const struct coord_config *config, const struct coord_paths *paths,
	      char **reterr_text, struct coord **ret_coord);
struct coord *coord_free(struct coord *coord);
DEFINE_CLEANUP(struct coord *, coord_free);

/* Certificates were exchanged: use the new ones; what is wrong with them is logged. */
void coord_reload(struct coord *coord);
/* Say goodbye to agents and end the event loop, after some seconds at most. */
void coord_stop(struct coord *coord);
