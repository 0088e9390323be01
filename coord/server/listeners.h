/* Where the coordinator listens: what systemd passed, what is configured, the admin socket. */
#pragma once

#include "coord/http/http.h"
#include "coord/server/config.h"

/*
 * The admin socket is made at admin_path, unless systemd passed one (FileDescriptorName=admin).
 * Sockets that systemd passed under another name take the place of Listen=.
 * Return: 0; negative errno and *reterr_text (the caller's).
 */
int listeners_open(struct http_server *server, const struct coord_config *config,
		   const char *admin_path, char **reterr_text);
