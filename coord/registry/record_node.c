/* Nodes, and the addresses that they have or had. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/address.h"
#include "coord/registry/field.h"

/* ---- facts ---- */

#define AT(member) offsetof(struct node_facts, member)
static const struct field facts_fields[] = {
	{ "hostname", &field_text, AT(hostname), 0 },
	{ "os", &field_text, AT(os), 0 },
	{ "agent", &field_text, AT(agent), 0 },
	{ "ssh", &field_bool, AT(ssh), 0 },
	{ "ssh_host_keys", &field_host_keys, AT(ssh_host_keys), 0 },
	{ "endpoints", &field_endpoints, AT(endpoints), 0 },
	{ "configured_endpoints", &field_endpoints, AT(configured), 0 },
	{ "listen_port", &field_port, AT(listen_port), 0 },
	{ "seen", &field_address, AT(seen), 0 },
};
#undef AT

static int read_facts(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	return fields_read(v, at, facts_fields, ARRAY_SIZE(facts_fields), target, rep);
}

static int write_facts(const void *field, json_t **ret_value)
{
	return fields_write(facts_fields, ARRAY_SIZE(facts_fields), field, ret_value);
}

const struct field_type field_facts = { read_facts, write_facts };

void node_facts_done(struct node_facts *facts)
{
	free(facts->hostname);
	free(facts->os);
	free(facts->agent);
	text_list_done(&facts->ssh_host_keys);
	free(facts->endpoints.items);
	free(facts->configured.items);
	*facts = (struct node_facts){ 0 };
}

/* By way of the JSON, which checks as well. Return: 0; -EINVAL, reported; -ENOMEM. */
static int copy_facts(const struct node_facts *facts, struct node_facts *ret_copy,
		      struct json_report *rep)
{
	const struct json_at root = { 0 };
	struct node_facts copy = { 0 };
	json_auto_t *json = NULL;
	int r;

	json_watch_memory();
	(void)json_lost();
	r = write_facts(facts, &json);
	if (r == 0 && json_lost())
		r = -ENOMEM;
	if (r == 0)
		r = read_facts(json, &root, &copy, rep);
	if (r < 0)
		node_facts_done(&copy);
	else
		*ret_copy = copy;
	return r;
}

int node_facts_copy(const struct node_facts *facts, struct node_facts *ret_copy)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };

	return copy_facts(facts, ret_copy, &rep);
}

static const char *not_utf8(const struct node_facts *facts)
{
	if (facts->hostname && !text_is_utf8(facts->hostname))
		return "hostname";
	if (facts->os && !text_is_utf8(facts->os))
		return "os";
	if (facts->agent && !text_is_utf8(facts->agent))
		return "agent";
	return NULL;
}

int node_facts_check(const struct node_facts *facts, char **reterr_text)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	const char *wrong = not_utf8(facts);
	struct node_facts copy = { 0 };
	int r;

	if (wrong) {
		*reterr_text = text_printf("%s: is no UTF-8", wrong);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	r = copy_facts(facts, &copy, &rep);
	node_facts_done(&copy);
	if (r == -EINVAL)
		*reterr_text = take_ptr(rep.text);
	return r;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_endpoints(const struct endpoint_list *a, const struct endpoint_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!ip_endpoint_equal(&a->items[i], &b->items[i]))
			return false;
	return true;
}

bool node_facts_equal(const struct node_facts *a, const struct node_facts *b)
{
	return same_text(a->hostname, b->hostname) && same_text(a->os, b->os) &&
	       same_text(a->agent, b->agent) && a->ssh == b->ssh &&
	       text_list_equal(&a->ssh_host_keys, &b->ssh_host_keys) &&
	       same_endpoints(&a->endpoints, &b->endpoints) &&
	       same_endpoints(&a->configured, &b->configured) && a->listen_port == b->listen_port &&
	       ip_addr_equal(&a->seen, &b->seen);
}

bool node_facts_behind_nat(const struct node_facts *facts)
{
	if (facts->seen.family == AF_UNSPEC)
		return false;
	for (size_t i = 0; i < facts->endpoints.n; i++)
		if (ip_addr_equal(&facts->endpoints.items[i].addr, &facts->seen))
			return false;
	return true;
}

/* ---- nodes ---- */

#define AT(member) offsetof(struct node_record, member)
static const struct field node_fields[] = {
	{ "machine", &field_machine, AT(machine), JSON_REQUIRED },
	{ "node_key", &field_wg_key, AT(key), JSON_REQUIRED },
	{ "name", &field_label, AT(name), JSON_REQUIRED },
	{ "ipv4", &field_address, AT(ipv4), JSON_REQUIRED },
	{ "user", &field_login, AT(user), 0 },
	{ "tags", &field_tags, AT(tags), 0 },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "key_created", &field_moment, AT(key_created), JSON_REQUIRED },
	{ "key_expiry", &field_end, AT(key_expiry), 0 },
	{ "expired_by", &field_text, AT(expired_by), 0 },
	{ "ephemeral", &field_bool, AT(ephemeral), 0 },
	{ "auth_key", &field_name, AT(auth_key), 0 },
	{ "facts", &field_facts, AT(facts), JSON_REQUIRED },
};
#undef AT

static int check_node(const void *record, struct json_report *rep)
{
	const struct node_record *node = record;

	if (!record_is_id(node->head.id, 'n'))
		return json_fail(rep, NULL, "is no id of a node");
	if (!address_may_be_given(&node->ipv4))
		return json_fail(rep, NULL, "ipv4: is no address for a node of the mesh");
	if (!node->user == !node->tags.n)
		return json_fail(rep, NULL, "has %s; expected the one or the other",
				 node->user ? "a user and tags" : "neither a user nor tags");
	return 0;
}

static void node_done(void *record)
{
	struct node_record *node = record;

	free(node->head.id);
	free(node->name);
	free(node->user);
	text_list_done(&node->tags);
	free(node->expired_by);
	free(node->auth_key);
	node_facts_done(&node->facts);
	*node = (struct node_record){ 0 };
}

static const struct node_record node_defaults = { .key_expiry = RECORD_NEVER };
const struct record_kind node_record_kind = {
	.prefix = "nodes/",
	.fields = node_fields,
	.n_fields = ARRAY_SIZE(node_fields),
	.size = sizeof(struct node_record),
	.defaults = &node_defaults,
	.check = check_node,
	.done = node_done,
};

DEFINE_RECORD(node_record);
DEFINE_RECORD_COPY(node_record);

bool node_is_expired(const struct node_record *node, uint64_t now)
{
	return node->expired_by || node->key_expiry <= now;
}

/* ---- addresses ---- */

#define AT(member) offsetof(struct address_record, member)
static const struct field address_fields[] = {
	{ "node", &field_name, AT(node), 0 },  { "released", &field_time, AT(released), 0 },
	{ "name", &field_label, AT(name), 0 }, { "user", &field_login, AT(user), 0 },
	{ "tags", &field_tags, AT(tags), 0 },
};
#undef AT

static int check_address(const void *record, struct json_report *rep)
{
	const struct address_record *address = record;
	struct ip_addr ip;
	char text[IP_ADDR_STRLEN];

	if (ip_addr_parse(address->head.id, &ip) < 0 || !address_may_be_given(&ip) ||
	    strcmp(ip_addr_to_string(&ip, text), address->head.id) != 0)
		return json_fail(rep, NULL, "is no address for a node of the mesh");
	return 0;
}

static void address_done(void *record)
{
	struct address_record *address = record;

	free(address->head.id);
	free(address->node);
	free(address->name);
	free(address->user);
	text_list_done(&address->tags);
	*address = (struct address_record){ 0 };
}

const struct record_kind address_record_kind = {
	.prefix = "ip4/",
	.fields = address_fields,
	.n_fields = ARRAY_SIZE(address_fields),
	.size = sizeof(struct address_record),
	.check = check_address,
	.done = address_done,
};

DEFINE_RECORD(address_record);
