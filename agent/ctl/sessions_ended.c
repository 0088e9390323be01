#include "agent/ctl/sessions_ended.h"

#include <errno.h>

#include "agent/ssh/lease.h"
#include "agent/ssh/policy.h"
#include "common/cli/value.h"

static void on_revoked(struct lease *lease, enum lease_end end, const char *message, void *userdata)
{
}

static void on_retimed(struct lease *lease, uint64_t valid_until, void *userdata)
{
}

static const char *member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* What the session holds, as far as can be told from the session and the map in force. */
static int terms_of(const json_t *session, const struct netmap *in_force, uint64_t now_usec,
		    struct ssh_decision *d, struct lease_terms *ret_terms)
{
	struct lease_terms terms = {
		.node_id = member(session, "nodeId"),
		.ssh_user = member(session, "sshUser"),
		.local_user = member(session, "localUser"),
	};

	if (ip_addr_parse(member(session, "address"), &terms.address) < 0)
		return -EINVAL;
	if (ip_addr_parse(member(session, "localAddress"), &terms.local_address) < 0)
		terms.local_address = (struct ip_addr){ 0 };
	ssh_policy_decide(in_force, &terms.address, terms.ssh_user, now_usec, d);
	terms.nonroot = d->nonroot;
	if (d->rule) {
		terms.forwarding = d->rule->forwarding;
		terms.force_command = d->rule->force_command;
	}
	*ret_terms = terms;
	return 0;
}

static int add_ended(json_t *ended, const json_t *session, enum lease_end end, const char *message)
{
	const char *user = member(session, "user"), *name = member(session, "nodeName");

	return json_array_append_new(ended,
				     json_pack("{s:s, s:s, s:s, s:s, s:s}", "user", user, "node",
					       name[0] ? name : member(session, "nodeId"),
					       "sshUser", member(session, "sshUser"), "reason",
					       lease_end_to_string(end), "message",
					       message ? message : "")) < 0
		       ? -ENOMEM
		       : 0;
}

static int judge_one(struct lease_table *table, const json_t *session,
		     const struct netmap *in_force, const struct netmap *map, uint64_t now_usec,
		     json_t *ended)
{
	static const struct lease_events events = { on_revoked, on_retimed };
	_cleanup_(lease_freep) struct lease *lease = NULL;
	_cleanup_free_ char *message = NULL;
	struct lease_terms terms;
	struct ssh_decision d;
	enum lease_end end;
	int r;

	/* What is no session that we understand is passed over. */
	if (terms_of(session, in_force, now_usec, &d, &terms) < 0)
		return 0;
	r = lease_resume(table, member(session, "leaseId"), &terms, map, now_usec, &events, NULL,
			 &lease, &end, &message);
	if (r == LEASE_REVOKED)
		return add_ended(ended, session, end, message);
	return r == -ENOMEM ? r : 0;
}

json_t *sessions_judge(const json_t *sessions, const struct netmap *in_force,
		       const struct netmap *map, uint64_t now_usec)
{
	_cleanup_(lease_table_freep) struct lease_table *table = NULL;
	json_auto_t *ended = json_array();
	const json_t *session;
	size_t i;

	if (!ended || lease_table_new(LEASE_MAX_LEASES, &table) < 0)
		return NULL;
	json_array_foreach (sessions, i, session)
		if (judge_one(table, session, in_force, map, now_usec, ended) < 0)
			return NULL;
	return take_ptr(ended);
}

int sessions_ended(struct ctl *ctl, const struct netmap *in_force, const struct netmap *map,
		   uint64_t now_usec, json_t **ret_ended)
{
	json_auto_t *reply = ctl_ask(ctl, "ListSessions");
	const json_t *sessions = json_object_get(reply, "sessions");

	*ret_ended = NULL;
	if (!sessions)
		return 0;
	*ret_ended = sessions_judge(sessions, in_force, map, now_usec);
	return *ret_ended ? 0 : -ENOMEM;
}
