/* One connection to a varlink server: its calls are answered one after the other. Internal. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "common/varlink.h"

struct varlink_conn;

/* Seen by the connections as well. */
struct varlink_server {
	sd_event *event;
	const struct varlink_info *info;
	const struct varlink_interface *interface;
	struct varlink_limits limits;
	void *userdata;
	struct varlink_listener *listeners;
	void (*on_exhausted)(void *userdata, int error);
	struct varlink_conn *conns;
};

/* Takes fd, also on failure. The connection is on the server's list until it ends by itself. */
int varlink_conn_new(struct varlink_server *server, int fd, const struct ucred *creds);
struct varlink_conn *varlink_conn_free(struct varlink_conn *conn);
/* Connections that are not root's, in all and of this user. */
void varlink_conn_count(const struct varlink_server *server, uid_t uid, unsigned *ret_all,
			unsigned *ret_others, unsigned *ret_same_uid);

/* org.varlink.service (varlink_service.c). */
int varlink_service_call(struct varlink_call *call, const struct varlink_server *server,
			 const char *method, const json_t *params);
