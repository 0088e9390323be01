/*
 * Connections to the coordinator, thousands of them in one epoll loop: plain, TLS, or to its Unix
 * socket. One request at a time on each.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tests/bench/coord/answer.h"

struct conn;

struct conn_ops {
	/* Part of a body that is sent in chunks with 200; may be NULL. */
	void (*on_data)(const char *data, size_t len, void *userdata);
	/* An answer is complete; the connection may be closed, or used for another request. */
	void (*on_answer)(const struct answer *answer, void *userdata);
	/* The other side has ended the connection, or it failed: it is gone. */
	void (*on_end)(const char *why, void *userdata);
};

struct conn_config {
	struct sockaddr_storage to, from; /* from.ss_family 0: any */
	socklen_t to_len, from_len;
	bool tls;
	const struct conn_ops *ops;
	void *userdata;
};

/* Begin; copies config but for ops. */
struct conn *conn_open(const struct conn_config *config);
/* Send text, which it takes over; later, if the connection is not there yet. */
void conn_send(struct conn *conn, char *text, size_t len);
/* End it; no callbacks. Takes NULL, returns NULL. Also from within its callbacks. */
struct conn *conn_close(struct conn *conn);

/* Of all connections, ever: what went over the wire (of TLS: ciphertext, handshakes included). */
extern uint64_t conn_bytes_in, conn_bytes_out;

/* Wait for events, up to this time of bench_now(), and handle them. */
void conn_poll(uint64_t until);
/* Until done says so. Return: false: it was not by that time. */
bool conn_run(bool (*done)(void), uint64_t until);
