/* A server on the loopback and plain sockets as its clients, in one event loop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "coord/http/http.h"

/* Generous: an emulator may run this. What does not happen is waited for as long. */
#define HTTP_PATIENCE_USEC 20000000u

struct http_fixture {
	sd_event *event;
	struct http_server *server;
	struct http_config config;
	struct ip_endpoint endpoint; /* of the first listener */
};

void http_fixture_init(struct http_fixture *f, const struct http_route *routes, size_t n_routes,
		       void *userdata);
/* Make the server with f->config, and listen on 127.0.0.1, at f->endpoint's port (0: any). */
void http_fixture_start(struct http_fixture *f, const struct http_tls_files *tls);
void http_fixture_done(struct http_fixture *f);
struct http_stats http_fixture_stats(const struct http_fixture *f);

/* Let the loop work for a while. */
void http_fixture_pump(struct http_fixture *f, uint64_t usec);
/* Let it work until the condition holds; too late: the test fails. */
#define http_fixture_wait(f, condition)                                                    \
	do {                                                                               \
		uint64_t late_ = http_fixture_deadline();                                  \
		while (!(condition)) {                                                     \
			http_fixture_pump((f), 1000);                                      \
			assert_true(http_fixture_deadline() < late_ + HTTP_PATIENCE_USEC); \
		}                                                                          \
	} while (0)
uint64_t http_fixture_deadline(void);

/* A client's socket, connected. */
int http_fixture_connect(struct http_fixture *f);
void http_fixture_send(int fd, const char *text);

struct http_reply {
	char text[65536];
	size_t len;
	bool end; /* the server has closed the connection */
	bool reset;
};
/* Take what is there, without waiting. */
void http_fixture_take(int fd, struct http_reply *reply);
/* Receive until the text contains what is wanted (NULL: until the end). */
void http_fixture_receive(struct http_fixture *f, int fd, const char *wanted,
			  struct http_reply *reply);
/* Send and receive one answer, whole, on a connection that stays. Return: its status. */
unsigned http_fixture_exchange(struct http_fixture *f, int fd, const char *request,
			       struct http_reply *reply);
/* The same on a connection of its own. */
unsigned http_fixture_ask(struct http_fixture *f, const char *request, struct http_reply *reply);
/* Behind the head. */
const char *http_reply_body(const struct http_reply *reply);
