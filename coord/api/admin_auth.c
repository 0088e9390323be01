/* Who asks: the peer of the unix socket, or the holder of an API key. */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "coord/api/admin.h"

#define PASSWD_FILE  "/etc/passwd"
#define PASSWD_BYTES 4096 /* of one line */

/* ---- the unix socket ---- */

/*
 * The name for the events: of the local accounts only. A name service could keep the whole
 * coordinator waiting; who is known there is called by number.
 */
static void name_peer(uid_t uid, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(PASSWD_FILE, "re");
	struct passwd entry, *found = NULL;
	char line[PASSWD_BYTES];

	snprintf(buf, size, "unix:%u", (unsigned)uid);
	while (f && fgetpwent_r(f, &entry, line, sizeof(line), &found) == 0)
		if (found->pw_uid == uid) {
			snprintf(buf, size, uid == 0 ? "%s" : "unix:%s", found->pw_name);
			return;
		}
}

static int authorise_peer(struct admin_call *call)
{
	const struct ucred *peer = http_request_creds(call->req);
	gid_t group = call->api->admin_group;
	int r;

	if (peer->uid != 0 && peer->uid != geteuid() &&
	    (group == (gid_t)-1 || !http_request_in_group(call->req, group))) {
		r = http_respond_error(call->req, 403, "not-allowed",
				       "this socket is for root, the coordinator's own user and "
				       "the administrators' group (AdminGroup= of coord.conf)");
		return r < 0 ? r : HTTP_ANSWERED;
	}
	name_peer(peer->uid, call->who, sizeof(call->who));
	snprintf(call->from, sizeof(call->from), "unix");
	call->actor.scopes = SCOPE_ALL;
	call->is_root = peer->uid == 0;
	return 0;
}

/* ---- API keys ---- */

static int refuse(struct admin_call *call, unsigned status, const char *code, const char *text)
{
	const struct http_header challenge = { "WWW-Authenticate", "Bearer" };
	int r = http_request_limit(call->req, call->api->refusals);

	if (r == 0)
		r = http_respond_json_with(call->req, status, http_error_json(code, text),
					   &challenge, status == 401 ? 1 : 0);
	return r < 0 ? r : HTTP_ANSWERED;
}

static bool is_loopback(const struct ip_addr *addr)
{
	static const uint8_t v6[16] = { [15] = 1 };

	if (addr->family == AF_INET)
		return addr->bytes[0] == 127;
	return addr->family == AF_INET6 && memcmp(addr->bytes, v6, sizeof(v6)) == 0;
}

/* Has a proxy passed it on? Then that it came from this host says nothing. */
static bool was_forwarded(const struct http_request *req)
{
	return http_request_header(req, "X-Forwarded-For", 0) ||
	       http_request_header(req, "Forwarded", 0) || http_request_header(req, "Via", 0);
}

static bool is_confidential(const struct http_request *req)
{
	const struct ip_addr *client = http_request_client(req);

	return http_request_is_secure(req) ||
	       (client && is_loopback(client) && !http_request_is_proxied(req) &&
		!was_forwarded(req));
}

static const char *bearer(const struct http_request *req)
{
	const char *value = http_request_header(req, "Authorization", 0);

	if (!value || http_request_header(req, "Authorization", 1) ||
	    strncasecmp(value, "Bearer ", 7) != 0)
		return NULL;
	return value + 7 + strspn(value + 7, " ");
}

static const char *missing_scope(unsigned scope)
{
	unsigned bit;

	for (unsigned i = 0; scope_name(i, &bit); i++)
		if (bit & scope)
			return scope_name(i, &bit);
	return "";
}

static int authorise_key(struct admin_call *call, unsigned scope)
{
	const struct ip_addr *client = http_request_client(call->req);
	const char *text = bearer(call->req);
	const struct apikey_record *key;
	char problem[128];

	if (!is_confidential(call->req))
		return refuse(call, 403, "not-allowed",
			      "API keys are taken over TLS, or from this host, only; revoke one "
			      "that was sent in the clear. Behind a reverse proxy, TrustedProxies= "
			      "of coord.conf has to name it, and it has to hand on "
			      "X-Forwarded-Proto: see peergate-coord(8)");
	if (!text)
		return refuse(call, 401, "not-allowed",
			      "expected \"Authorization: Bearer pgapi...\", an API key (coordctl "
			      "apikeys create)");
	key = registry_check_apikey(call->api->registry, text);
	if (!key)
		return refuse(call, 401, "not-allowed",
			      "the API key is unknown, expired or revoked");
	if (scope & ~key->scopes) {
		snprintf(problem, sizeof(problem), "the API key lacks the scope %s",
			 missing_scope(scope & ~key->scopes));
		return refuse(call, 403, "not-allowed", problem);
	}
	snprintf(call->apikey, sizeof(call->apikey), "%s", key->head.id);
	snprintf(call->who, sizeof(call->who), "apikey:%s", key->head.id);
	if (client)
		ip_addr_to_string(client, call->from);
	call->actor.scopes = key->scopes;
	return 0;
}

int admin_authorise(struct admin_call *call, unsigned scope)
{
	call->actor.who = call->who;
	call->actor.from = call->from;
	if (http_request_transport(call->req) == HTTP_UNIX)
		return authorise_peer(call);
	return authorise_key(call, scope);
}
