/*
 * Refusals in the log: who, what and why, but neither path nor query nor headers, for they may hold
 * secrets (that were meant for another place).
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "coord/http/internal.h"

#define LINES_PER_PERIOD 20u
#define PERIOD_USEC	 (10 * USEC_PER_SEC)
#define FULL_PERIOD_USEC (60 * USEC_PER_SEC)

/* May a line be written now? Says how many were not. */
static bool may_log(struct http_server *server)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);

	if (now - server->log_since >= PERIOD_USEC) {
		if (server->n_unlogged > 0)
			log_info("%u more refused requests in %llu seconds", server->n_unlogged,
				 (unsigned long long)((now - server->log_since) / USEC_PER_SEC));
		server->log_since = now;
		server->n_logged = server->n_unlogged = 0;
	}
	if (server->n_logged < LINES_PER_PERIOD) {
		server->n_logged++;
		return true;
	}
	server->n_unlogged++;
	return false;
}

void http_log_refused(struct http_request *req, unsigned status, const char *why)
{
	char client[IP_ADDR_STRLEN] = "a local process";
	char answer[16] = "cut";

	if (!may_log(req->listener->server))
		return;
	if (req->listener->transport != HTTP_UNIX)
		ip_addr_to_string(req->client.family ? &req->client : &req->conn->peer.addr,
				  client);
	if (status)
		snprintf(answer, sizeof(answer), "%u", status);
	if (!why)
		why = req->refusal.status ? req->refusal.message
		      : req->code[0]	  ? req->code
					  : "by the handler";
	log_info("Refused a request from %s for %s: %s (%s)", client,
		 req->route ? req->route->path : "no known path", answer, why);
}

void http_log_unattributed(struct http_request *req, const char *what)
{
	struct http_server *server = req->listener->server;
	char proxy[IP_ADDR_STRLEN];

	if (server->stats.unattributed++ == 0)
		log_warning(
			"The reverse proxy at %s does not hand on the %s: whoever comes through "
			"it is taken for one, as far as limits and addresses go (TLS in "
			"peergate-coord(8) has the lines for nginx)",
			ip_addr_to_string(&req->conn->peer.addr, proxy), what);
}

void http_log_full(struct http_server *server, const struct ip_addr *addr, unsigned n)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);
	char text[IP_ADDR_STRLEN];

	if (server->full_told && now - server->full_told < FULL_PERIOD_USEC)
		return;
	server->full_told = now;
	log_notice("Refused a connection from %s, which has %u already; more from one address are "
		   "for MaxConnectionsPerAddress= of coord.conf to allow",
		   ip_addr_to_string(addr, text), n);
}

/* Every message is about what a client did: of use to whoever looks for it, and to nobody else. */
void http_log_mhd(void *cls, const char *fmt, va_list ap)
{
	char text[256];

	vsnprintf(text, sizeof(text), fmt, ap);
	log_debug("libmicrohttpd: %s", text);
}
