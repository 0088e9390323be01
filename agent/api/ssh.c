/* AuthorizeSSH and ResumeSSH: each open call is one lease. */
#include <errno.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/api/ssh.h"
#include "agent/ssh/login.h"
#include "common/log.h"
#include "common/text.h"

#define MAX_OWN		2  /* of the fields of a line, those that only some have */
#define LOGGED_USER_MAX 64 /* bytes of a name that somebody typed */

/* A call that stays open while its lease lives. Freed with it. */
struct lease_call {
	struct api *api;
	struct varlink_call *call;
	struct lease *lease; /* NULL only until it is entered */
};

void ssh_request_done(struct ssh_request *req)
{
	free(req->ssh_user);
	free(req->connection);
	free(req->lease_id);
	free(req->node_id);
	free(req->local_user);
	free(req->options.force_command);
}

void api_ssh_log(int level, const struct lease_terms *terms, const char *lease_id,
		 const struct log_field *own, size_t n_own, const char *fmt, ...)
{
	char addr[IP_ADDR_STRLEN];
	struct log_field fields[7 + MAX_OWN] = {
		{ "CONNECTION", terms->connection },
		{ "PEER", ip_addr_to_string(&terms->address, addr) },
		{ "NODE", terms->node_name },
		{ "USER", terms->user },
		{ "SSH_USER", terms->ssh_user },
		{ "LOCAL_USER", terms->local_user },
		{ "LEASE", lease_id },
	};
	_cleanup_free_ char *text = NULL;
	size_t n = 7;
	va_list ap;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < n_own && i < MAX_OWN; i++)
		fields[n++] = own[i];
	(void)log_full(level, 0, fields, n, "%s", text ? text : fmt);
}

static struct lease_call *lease_call_free(struct lease_call *lc)
{
	if (!lc)
		return NULL;
	lease_free(lc->lease);
	varlink_call_unref(lc->call);
	free(lc);
	return NULL;
}
DEFINE_CLEANUP(struct lease_call *, lease_call_free);

/* ---- what happens to a lease ---- */

static json_t *json_end(const char *state, const char *reason, const char *message)
{
	return json_pack("{s:s, s:s, s:s}", "state", state, "reason", reason, "message",
			 message ? message : reason);
}

/*
 * By this the holder tells a peer that sleeps from one that is there but has lost its connection.
 * While the packet filter may be another one than the map's, it is perhaps us who do not let the
 * peer answer: nothing is said then.
 */
static json_t *json_handshake(struct api *api, const struct lease *lease)
{
	const struct netmap_node *peer = NULL;
	struct kernel_handshake handshake;
	struct api_view view;

	api_view(api, &view);
	if (view.map && !view.kernel_problem)
		peer = netmap_peer_by_address(view.map, &lease_terms_get(lease)->address);
	if (!peer || !api->hooks->last_handshake(api->userdata, &peer->key, &handshake))
		return NULL;
	return json_pack("{s:I, s:I}", "time", (json_int_t)handshake.time_usec, "readUsec",
			 (json_int_t)handshake.read_usec);
}

static json_t *json_keep(const struct lease_call *lc)
{
	return json_pack("{s:s, s:o*, s:I, s:o*}", "state", "keep", "validUntil",
			 api_json_end(lease_valid_until(lc->lease)), "keepIntervalUsec",
			 (json_int_t)API_KEEP_INTERVAL_USEC, "handshake",
			 json_handshake(lc->api, lc->lease));
}

static void on_revoked(struct lease *lease, enum lease_end end, const char *message, void *userdata)
{
	const struct lease_terms *terms = lease_terms_get(lease);
	const char *reason = lease_end_to_string(end);
	struct lease_call *lc = userdata;

	stats_count(&lc->api->stats->revocations, reason);
	api_ssh_log(LOG_NOTICE, terms, lease_id(lease), LOG_FIELDS({ "REASON", reason }),
		    "SSH of %s as %s was revoked: %s", terms->node_id, terms->local_user, message);
	(void)varlink_call_reply(lc->call, json_end("revoked", reason, message));
	lease_call_free(lc);
}

static void on_retimed(struct lease *lease, uint64_t valid_until, void *userdata)
{
	struct lease_call *lc = userdata;

	(void)varlink_call_notify(lc->call, json_keep(lc));
}

/* Nothing has changed: what the holder learns by it is that we are here. */
static void on_visited(struct lease *lease, void *userdata)
{
	struct lease_call *lc = userdata;

	(void)varlink_call_notify(lc->call, json_keep(lc));
}

static const struct lease_events lease_call_events = {
	.revoked = on_revoked,
	.retimed = on_retimed,
	.visited = on_visited,
};

static void on_disconnect(struct varlink_call *call, void *userdata)
{
	struct lease_call *lc = userdata;
	const struct lease_terms *terms = lease_terms_get(lc->lease);

	api_ssh_log(LOG_INFO, terms, lease_id(lc->lease), NULL, 0, "SSH of %s as %s has ended",
		    terms->node_id, terms->local_user);
	lease_call_free(lc);
}

static struct lease_call *lease_call_new(struct api *api, struct varlink_call *call)
{
	struct lease_call *lc;

	lc = calloc(1, sizeof(*lc));
	if (!lc)
		return NULL;
	lc->api = api;
	lc->call = varlink_call_ref(call);
	return lc;
}

/*
 * Send the answer that opens the lease (stolen; NULL: no memory), and let it live as long as the
 * call. An answer that cannot be sent ends the connection, and that the lease.
 */
static int lease_call_open(struct api *api, struct lease_call **lc, json_t *answer)
{
	struct varlink_call *call = (*lc)->call;

	if (!answer)
		return -ENOMEM;
	varlink_call_on_disconnect(call, on_disconnect, take_ptr(*lc));
	(void)varlink_call_notify(call, answer);
	api_alive_start(api);
	return 0;
}

/* ---- AuthorizeSSH ---- */

static bool caller_is_root(struct varlink_call *call)
{
	return varlink_call_creds(call)->uid == 0;
}

static int refuse_caller(struct varlink_call *call)
{
	return varlink_call_error(call, "org.varlink.service.PermissionDenied", NULL);
}

/* What both methods are told of the connection. What was granted to it is left to add. */
static struct lease_terms connection_terms(struct varlink_call *call, const struct ssh_request *req)
{
	return (struct lease_terms){
		.monitor = varlink_call_creds(call)->pid,
		.address = req->address,
		.local_address = req->local_address,
		.ssh_user = req->ssh_user,
		.connection = req->connection,
	};
}

static const char *origin_of(const struct ssh_rule *rule)
{
	return rule ? rule->origin : NULL;
}

int api_ssh_reject(struct api *api, struct varlink_call *call, const struct ssh_request *req,
		   const struct ssh_decision *d, const char *reason, const char *message)
{
	_cleanup_free_ char *user = text_sanitize(req->ssh_user, LOGGED_USER_MAX);
	struct lease_terms terms = connection_terms(call, req);
	char addr[IP_ADDR_STRLEN];
	json_t *answer;

	if (!user)
		return -ENOMEM;
	stats_count(&api->stats->logins_rejected, reason);
	terms.ssh_user = user;
	if (d && d->peer) {
		terms.node_name = d->peer->name;
		terms.user = netmap_node_owner(d->peer);
	}
	api_ssh_log(LOG_NOTICE, &terms, NULL,
		    LOG_FIELDS({ "RULE", d ? origin_of(d->rule) : NULL }, { "REASON", reason }),
		    "SSH from %s as user \"%s\" was refused: %s",
		    ip_addr_to_string(&req->address, addr), user, message ? message : reason);
	answer = json_end("reject", reason, message);
	if (answer && d && origin_of(d->rule) &&
	    json_object_set_new(answer, "rule", json_string(origin_of(d->rule))) < 0) {
		json_decref(answer);
		return -ENOMEM;
	}
	return api_reply(call, answer);
}

static json_t *json_accept(const struct ssh_decision *d, const struct lease *lease)
{
	char key[WG_KEY_B64LEN];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o*, s:o, s:s*, s:I, s:I}",
			 "state", "accept", "leaseId", lease_id(lease), "nodeId", d->peer->id,
			 "nodeName", d->peer->name, "nodeKey", wg_key_to_string(&d->peer->key, key),
			 "user", netmap_node_owner(d->peer), "localUser", d->local_user, "nonroot",
			 d->nonroot, "validUntil", api_json_end(d->valid_until), "options",
			 api_json_options(d->rule), "rule", d->rule->origin, "since",
			 (json_int_t)lease_terms_get(lease)->since_usec, "keepIntervalUsec",
			 (json_int_t)API_KEEP_INTERVAL_USEC);
}

static void log_accept(const struct ssh_decision *d, const struct lease *lease)
{
	api_ssh_log(LOG_INFO, lease_terms_get(lease), lease_id(lease),
		    LOG_FIELDS({ "RULE", d->rule->origin }), "SSH of %s (%s) as %s was accepted",
		    netmap_node_owner(d->peer), d->peer->name, d->local_user);
}

int api_ssh_accept(struct api *api, struct varlink_call *call, const struct ssh_request *req,
		   const struct ssh_decision *d, uint64_t now_usec)
{
	_cleanup_(lease_call_freep) struct lease_call *lc = NULL;
	struct lease_terms terms = connection_terms(call, req);
	int r;

	terms.node_id = d->peer->id;
	terms.local_user = d->local_user;
	terms.nonroot = d->nonroot;
	terms.forwarding = d->rule->forwarding;
	terms.force_command = d->rule->force_command;
	terms.since_usec = now_usec;
	terms.node_name = d->peer->name;
	terms.user = netmap_node_owner(d->peer);
	lc = lease_call_new(api, call);
	if (!lc)
		return -ENOMEM;
	r = lease_grant(api->leases, &terms, d->valid_until, &lease_call_events, lc, &lc->lease);
	if (r == -ENOSPC)
		return api_ssh_reject(api, call, req, d, "too-many",
				      "too many SSH connections to this host");
	if (r < 0)
		return r;
	api->stats->logins_accepted++;
	log_accept(d, lc->lease);
	return lease_call_open(api, &lc, json_accept(d, lc->lease));
}

/* req may be stolen. */
static int decide(struct api *api, struct varlink_call *call, struct ssh_request *req)
{
	_cleanup_(ssh_login_done) struct ssh_login login = { 0 };
	struct api_view view;

	api_view(api, &view);
	ssh_login_judge(view.map, &req->address, &req->local_address, req->ssh_user,
			view.link != NULL, view.now_usec, &login);
	if (login.needs_check)
		return api_check_begin(api, call, req, &login.decision);
	if (!login.accepted)
		return api_ssh_reject(api, call, req, &login.decision, login.reason, login.message);
	return api_ssh_accept(api, call, req, &login.decision, view.now_usec);
}

int api_authorize_ssh(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = {
		{ "address", api_read_address, offsetof(struct ssh_request, address),
		  JSON_REQUIRED },
		{ "port", api_read_port, offsetof(struct ssh_request, port), JSON_REQUIRED },
		{ "localAddress", api_read_address, offsetof(struct ssh_request, local_address),
		  JSON_REQUIRED },
		/* Of any length: the person is told that it is no user name. */
		{ "sshUser", json_read_string, offsetof(struct ssh_request, ssh_user),
		  JSON_REQUIRED },
		{ "connection", api_read_short_text, offsetof(struct ssh_request, connection),
		  JSON_NULLABLE },
	};
	_cleanup_(ssh_request_done) struct ssh_request req = { 0 };
	int r;

	if (!caller_is_root(call))
		return refuse_caller(call);
	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &req);
	if (r != 0)
		return r < 0 ? r : 0;
	return decide(userdata, call, &req);
}

/* ---- ResumeSSH ---- */

static int read_forwarding(const json_t *v, const struct json_at *at, void *target,
			   struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "agent", json_read_bool, offsetof(struct ssh_forwarding, agent), JSON_REQUIRED },
		{ "local", json_read_bool, offsetof(struct ssh_forwarding, local), JSON_REQUIRED },
		{ "remote", json_read_bool, offsetof(struct ssh_forwarding, remote),
		  JSON_REQUIRED },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int read_options(const json_t *v, const struct json_at *at, void *target,
			struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "forwarding", read_forwarding, offsetof(struct resume_options, forwarding),
		  JSON_REQUIRED },
		{ "forceCommand", json_read_string, offsetof(struct resume_options, force_command),
		  JSON_NULLABLE },
	};

	return json_read_object(v, at, fields, ARRAY_SIZE(fields), target, rep);
}

static int resume(struct api *api, struct varlink_call *call, const struct ssh_request *req)
{
	_cleanup_(lease_call_freep) struct lease_call *lc = NULL;
	struct lease_terms terms = connection_terms(call, req);
	_cleanup_free_ char *message = NULL;
	const struct netmap_node *peer;
	struct api_view view;
	enum lease_end end;
	int r;

	terms.node_id = req->node_id;
	terms.local_user = req->local_user;
	terms.nonroot = req->nonroot;
	terms.forwarding = req->options.forwarding;
	terms.force_command = req->options.force_command;
	terms.since_usec = req->since_usec;
	api_view(api, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
	peer = netmap_peer_by_address(view.map, &req->address);
	if (peer) {
		terms.node_name = peer->name;
		terms.user = netmap_node_owner(peer);
	}
	lc = lease_call_new(api, call);
	if (!lc)
		return -ENOMEM;
	r = lease_resume(api->leases, req->lease_id, &terms, view.map, view.now_usec,
			 &lease_call_events, lc, &lc->lease, &end, &message);
	if (r == -EINVAL)
		return varlink_call_invalid_parameter(call, "leaseId");
	if (r == LEASE_REVOKED) {
		stats_count(&api->stats->revocations, lease_end_to_string(end));
		api_ssh_log(LOG_NOTICE, &terms, req->lease_id,
			    LOG_FIELDS({ "REASON", lease_end_to_string(end) }),
			    "SSH of %s as %s was revoked: %s", req->node_id, req->local_user,
			    message ? message : "");
		return api_reply(call, json_end("revoked", lease_end_to_string(end), message));
	}
	if (r < 0)
		return r;
	return lease_call_open(api, &lc, json_keep(lc));
}

int api_resume_ssh(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = {
		{ "leaseId", api_read_short_text, offsetof(struct ssh_request, lease_id),
		  JSON_REQUIRED },
		{ "nodeId", api_read_short_text, offsetof(struct ssh_request, node_id),
		  JSON_REQUIRED },
		{ "nodeKey", api_read_key, offsetof(struct ssh_request, node_key), JSON_REQUIRED },
		{ "address", api_read_address, offsetof(struct ssh_request, address),
		  JSON_REQUIRED },
		{ "localAddress", api_read_address, offsetof(struct ssh_request, local_address),
		  JSON_NULLABLE },
		{ "sshUser", api_read_short_text, offsetof(struct ssh_request, ssh_user),
		  JSON_REQUIRED },
		{ "localUser", api_read_short_text, offsetof(struct ssh_request, local_user),
		  JSON_REQUIRED },
		{ "nonroot", json_read_bool, offsetof(struct ssh_request, nonroot), JSON_REQUIRED },
		{ "options", read_options, offsetof(struct ssh_request, options), JSON_REQUIRED },
		{ "connection", api_read_short_text, offsetof(struct ssh_request, connection),
		  JSON_NULLABLE },
		{ "since", json_read_u64, offsetof(struct ssh_request, since_usec), JSON_NULLABLE },
	};
	_cleanup_(ssh_request_done) struct ssh_request req = { 0 };
	int r;

	if (!caller_is_root(call))
		return refuse_caller(call);
	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &req);
	if (r != 0)
		return r < 0 ? r : 0;
	return resume(userdata, call, &req);
}
