/* ExplainFlow: which rule lets a flow in, or what is missing. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/api/internal.h"
#include "agent/filter/openings.h"
#include "agent/flow.h"
#include "agent/netmap/names.h"
#include "common/text.h"

#define SSH_PORT 22

struct explain_request {
	char *src, *dst;
	uint8_t proto;
	bool any_port;
	uint16_t port;
};

static void explain_request_done(struct explain_request *req)
{
	free(req->src);
	free(req->dst);
}

/* ---- what is asked ---- */

int api_resolve(const struct netmap *map, const char *text, struct api_end *ret_end)
{
	const struct netmap_node *node;

	*ret_end = (struct api_end){ .n_addresses = 1 };
	if (text && ip_addr_parse(text, &ret_end->addresses[0]) == 0)
		return 0;
	node = text ? netmap_node_by_name(map, text) : &map->self;
	if (!node || node->n_addresses == 0)
		return -ENOENT;
	ret_end->n_addresses =
		node->n_addresses < NETMAP_MAX_ADDRESSES ? node->n_addresses : NETMAP_MAX_ADDRESSES;
	memcpy(ret_end->addresses, node->addresses,
	       ret_end->n_addresses * sizeof(ret_end->addresses[0]));
	return 0;
}

int api_unknown_node(struct varlink_call *call, const char *name)
{
	_cleanup_free_ char *shown = text_sanitize(name, 256);

	if (!shown)
		return -ENOMEM;
	return varlink_call_error(call, "io.peergate.Agent.UnknownNode",
				  json_pack("{s:s}", "name", shown));
}

static int read_proto(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	json_int_t proto = json_integer_value(v);

	if (proto < 1 || proto > UINT8_MAX)
		return json_fail(rep, at, "no IP protocol, 1 to 255");
	*(uint8_t *)target = (uint8_t)proto;
	return 0;
}

/* ---- the answer ---- */

static json_t *json_open(const struct netmap *map, const struct filter_answer *rules,
			 bool has_ports)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < rules->n_open; i++) {
		const struct port_claim *open = &rules->open[i];
		json_t *first = has_ports ? json_integer(open->ports.first) : NULL;
		json_t *last = has_ports ? json_integer(open->ports.last) : NULL;

		if (json_array_append_new(array, json_pack("{s:s*, s:I, s:o*, s:o*}", "rule",
							   map->filter[open->rule].origin, "index",
							   (json_int_t)open->rule, "firstPort",
							   first, "lastPort", last)) < 0)
			return NULL;
	}
	return take_ptr(array);
}

static json_t *json_near(const struct netmap *map, const struct filter_answer *rules)
{
	static const char *const names[] = {
		[FILTER_MISS_PORT] = "port",
		[FILTER_MISS_PROTO] = "protocol",
		[FILTER_MISS_SOURCE] = "source",
	};

	if (rules->miss == FILTER_MISS_NONE)
		return NULL;
	return json_pack("{s:s*, s:I, s:s}", "rule", map->filter[rules->near].origin, "index",
			 (json_int_t)rules->near, "misses", names[rules->miss]);
}

static json_t *json_end(const struct flow_end *end)
{
	bool own = end->place == FLOW_SELF || end->place == FLOW_PEER || end->place == FLOW_EXPIRED;
	char text[IP_ADDR_STRLEN];

	return json_pack("{s:s, s:s*, s:s*}", "address", ip_addr_to_string(&end->addr, text),
			 "nodeName", end->node && own ? end->node->name : NULL, "behind",
			 end->node && !own ? end->node->name : NULL);
}

json_t *api_json_flow(const struct netmap *map, const struct flow_answer *answer, bool has_ports)
{
	_cleanup_free_ char *message = flow_answer_explain(map, answer);
	bool elsewhere = answer->reason == FLOW_BY_DESTINATION;

	if (!message)
		return NULL;
	return json_pack(
		"{s:o, s:o, s:s, s:s, s:s, s:o, s:b, s:o*, s:s*}", "src", json_end(&answer->src),
		"dst", json_end(&answer->dst), "verdict", flow_verdict_to_string(answer->verdict),
		"reason", flow_reason_to_string(answer->reason), "message", message, "open",
		json_open(map, &answer->rules, has_ports), "openCut", answer->rules.cut, "near",
		json_near(map, &answer->rules), "ask", elsewhere ? answer->dst.node->name : NULL);
}

/* ---- what else there is to know ---- */

/* What the flows have shown. */
struct findings {
	bool some[3];			  /* of each verdict */
	bool no_rule;			  /* something to this host lacks a rule */
	bool to_ssh;			  /* tcp/22 of this host is among what was asked */
	const struct netmap_node *ssh;	  /* and this peer is let through to it */
	bool ssh_ruled;			  /* an SSH rule names it */
	const struct netmap_node *ssh_at; /* tcp/22 of this peer is */
};

static bool ssh_names(const struct api_view *view, const struct ip_addr *addr)
{
	for (size_t i = 0; i < view->map->n_ssh_rules; i++)
		if (api_rule_admits(&view->map->ssh_rules[i], view->now_usec) &&
		    ssh_rule_names(&view->map->ssh_rules[i], addr))
			return true;
	return false;
}

static void note_findings(const struct api_view *view, const struct explain_request *req,
			  const struct flow_answer *answer, struct findings *f)
{
	bool ssh = req->proto == IPPROTO_TCP && (req->any_port || req->port == SSH_PORT);

	f->some[answer->verdict] = true;
	f->no_rule |= answer->reason == FLOW_BY_NO_RULE;
	if (ssh && answer->dst.place == FLOW_PEER)
		f->ssh_at = answer->dst.node;
	if (!ssh || answer->dst.place != FLOW_SELF || answer->src.place == FLOW_SELF)
		return;
	f->to_ssh = true;
	if (answer->verdict != FLOW_ALLOWED || answer->src.place != FLOW_PEER)
		return;
	f->ssh = answer->src.node;
	f->ssh_ruled |= ssh_names(view, &answer->src.addr);
}

static int add_note(json_t *notes, const char *code, char *message)
{
	_cleanup_free_ char *owned = message;

	if (!owned || json_array_append_new(
			      notes, json_pack("{s:s, s:s}", "code", code, "message", owned)) < 0)
		return -ENOMEM;
	return 0;
}

static int add_ssh_notes(const struct netmap *map, const struct findings *f, json_t *notes)
{
	int r;

	if (f->ssh_at && f->ssh_at->n_ssh_host_keys > 0)
		return add_note(notes, "ssh-host-keys",
				text_printf("%s has told its SSH host keys: SSH through the mesh "
					    "seems to be on there",
					    f->ssh_at->name));
	if (f->ssh_at)
		return add_note(notes, "no-ssh-host-keys",
				text_printf("%s has told no SSH host keys: SSH through the mesh "
					    "seems to be off there",
					    f->ssh_at->name));
	if (!f->to_ssh)
		return 0;
	if (!map->self.ssh)
		return add_note(notes, "ssh-off",
				text_printf("SSH through the mesh is off on %s: tcp 22 goes to "
					    "what else listens there, such as sshd",
					    map->self.name));
	r = add_note(notes, "ssh",
		     text_printf("tcp 22 of %s goes to the SSH gateway: a login needs an SSH rule "
				 "as well",
				 map->self.name));
	if (r == 0 && f->ssh && !f->ssh_ruled)
		r = add_note(notes, "ssh-no-rule",
			     text_printf("no SSH rule names %s", f->ssh->name));
	return r;
}

static json_t *json_notes(const struct api_view *view, const struct findings *f)
{
	json_auto_t *notes = json_array();
	const char *name = view->map->self.name;
	int r;

	r = add_ssh_notes(view->map, f, notes);
	if (r == 0 && f->no_rule)
		r = add_note(notes, "answers",
			     text_printf("answers to what %s itself begins need no rule", name));
	if (r == 0 && netmap_node_expired(&view->map->self, view->now_usec))
		r = add_note(notes, "host-expired",
			     text_printf("the key of %s has expired: its peers turn it away, "
					 "whatever the rules say",
					 name));
	return r < 0 ? NULL : take_ptr(notes);
}

static const char *answer_word(const struct findings *f)
{
	unsigned n = (unsigned)f->some[0] + f->some[1] + f->some[2];

	if (n != 1)
		return "partly";
	return f->some[FLOW_ALLOWED] ? "yes" : f->some[FLOW_DENIED] ? "no" : "unknown";
}

/* ---- all pairs of addresses ---- */

static int add_flow(const struct api_view *view, const struct explain_request *req,
		    const struct ip_addr *src, const struct ip_addr *dst, struct findings *f,
		    json_t *flows)
{
	const struct flow_question question = {
		.src = *src,
		.dst = *dst,
		.proto = req->proto,
		.any_port = req->any_port,
		.port = req->port,
	};
	struct flow_answer answer;
	json_t *flow;
	int r;

	r = flow_judge(view->map, &question, view->now_usec, &answer);
	if (r < 0)
		return r;
	note_findings(view, req, &answer, f);
	flow = api_json_flow(view->map, &answer, openings_proto_has_ports(req->proto));
	flow_answer_done(&answer);
	return json_array_append_new(flows, flow) < 0 ? -ENOMEM : 0;
}

static int add_flows(const struct api_view *view, const struct explain_request *req,
		     const struct api_end *src, const struct api_end *dst, struct findings *f,
		     json_t *flows)
{
	int r = 0;

	for (size_t i = 0; i < src->n_addresses && r == 0; i++)
		for (size_t k = 0; k < dst->n_addresses && r == 0; k++)
			if (src->addresses[i].family == dst->addresses[k].family)
				r = add_flow(view, req, &src->addresses[i], &dst->addresses[k], f,
					     flows);
	if (r == 0 && json_array_size(flows) == 0)
		r = add_flow(view, req, &src->addresses[0], &dst->addresses[0], f, flows);
	return r;
}

static int explain_flow(struct api *api, struct varlink_call *call,
			const struct explain_request *req)
{
	json_auto_t *flows = json_array();
	struct findings f = { 0 };
	struct api_view view;
	struct api_end src, dst;
	json_t *port;
	int r;

	api_view(api, &view);
	if (!view.map)
		return varlink_call_error(call, "io.peergate.Agent.NotReady", NULL);
	if (api_resolve(view.map, req->src, &src) < 0)
		return api_unknown_node(call, req->src ? req->src : view.map->self.name);
	if (api_resolve(view.map, req->dst, &dst) < 0)
		return api_unknown_node(call, req->dst);
	r = add_flows(&view, req, &src, &dst, &f, flows);
	if (r < 0)
		return r;
	port = req->any_port || !openings_proto_has_ports(req->proto) ? NULL
								      : json_integer(req->port);
	return api_reply(call, json_pack("{s:s, s:I, s:o*, s:s, s:O, s:o}", "answer",
					 answer_word(&f), "proto", (json_int_t)req->proto, "port",
					 port, "host", view.map->self.name, "flows", flows, "notes",
					 json_notes(&view, &f)));
}

int api_explain_flow(struct varlink_call *call, const json_t *params, void *userdata)
{
	static const struct json_field fields[] = {
		{ "src", api_read_short_text, offsetof(struct explain_request, src),
		  JSON_NULLABLE },
		{ "dst", api_read_short_text, offsetof(struct explain_request, dst),
		  JSON_REQUIRED },
		{ "proto", read_proto, offsetof(struct explain_request, proto), JSON_NULLABLE },
		{ "port", api_read_port, offsetof(struct explain_request, port), JSON_NULLABLE },
	};
	_cleanup_(explain_request_done) struct explain_request req = { .proto = IPPROTO_TCP };
	int r;

	r = api_read_params(call, params, fields, ARRAY_SIZE(fields), &req);
	if (r != 0)
		return r < 0 ? r : 0;
	req.any_port = req.port == 0;
	return explain_flow(userdata, call, &req);
}
