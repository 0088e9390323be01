/* The packet filter of one node, for people. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "common/cli/table.h"
#include "common/text.h"
#include "coord/ctl/render.h"
#include "coord/ctl/shown.h"

static json_t *protocol_name(json_int_t proto)
{
	switch (proto) {
	case IPPROTO_ICMP:
		return json_string("icmp");
	case IPPROTO_TCP:
		return json_string("tcp");
	case IPPROTO_UDP:
		return json_string("udp");
	case IPPROTO_ICMPV6:
		return json_string("icmpv6");
	case IPPROTO_SCTP:
		return json_string("sctp");
	default:
		return json_sprintf("%" PRIi64, (int64_t)proto);
	}
}

static char *protocols_shown(const json_t *protocols)
{
	json_auto_t *list = json_array();
	int r = 0;

	/* The map's way to say "what one usually means". */
	if (json_array_size(protocols) == 0)
		return text_printf("tcp, udp, icmp");
	for (size_t i = 0; i < json_array_size(protocols); i++)
		r |= json_array_append_new(
			list, protocol_name(json_integer_value(json_array_get(protocols, i))));
	return r < 0 ? NULL : value_list(list, SHOWN_MAX);
}

static json_t *ports_text(const json_t *ports)
{
	json_int_t first = json_integer_value(json_array_get(ports, 0));
	json_int_t last = json_integer_value(json_array_get(ports, 1));

	if (first == 0 && last == UINT16_MAX)
		return json_string("any");
	if (first == last)
		return json_sprintf("%" PRIi64, (int64_t)first);
	return json_sprintf("%" PRIi64 "-%" PRIi64, (int64_t)first, (int64_t)last);
}

/* The member of that name, an array; it is made if need be. */
static json_t *list_in(json_t *object, const char *key)
{
	json_t *list = json_object_get(object, key);

	if (!list && json_object_set_new(object, key, json_array()) == 0)
		list = json_object_get(object, key);
	return list;
}

static bool has_value(const json_t *array, const json_t *value)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (json_equal(json_array_get(array, i), value))
			return true;
	return false;
}

static int add_unique(json_t *array, json_t *value)
{
	if (value && has_value(array, value)) {
		json_decref(value);
		return 0;
	}
	return json_array_append_new(array, value) < 0 ? -ENOMEM : 0;
}

/* The rule's destinations as "PORTS" -> addresses, so that each needs one line. */
static json_t *destinations_by_ports(const json_t *dsts)
{
	json_auto_t *by_address = json_object(), *by_ports = json_object();
	const char *address;
	json_t *ports;

	for (size_t i = 0; i < json_array_size(dsts); i++) {
		const json_t *dst = json_array_get(dsts, i);

		if (add_unique(list_in(by_address, value_text(dst, "ip")),
			       ports_text(json_object_get(dst, "ports"))) < 0)
			return NULL;
	}
	json_object_foreach (by_address, address, ports) {
		_cleanup_free_ char *shown = value_list(ports, SHOWN_MAX);

		if (!shown ||
		    json_array_append_new(list_in(by_ports, shown), json_string(address)) < 0)
			return NULL;
	}
	return take_ptr(by_ports);
}

static int add_rule(struct cli_table *table, const json_t *rule, struct ctl_names *names)
{
	json_auto_t *dsts = destinations_by_ports(json_object_get(rule, "dst"));
	_cleanup_free_ char *from = shown_names(names, json_object_get(rule, "src"));
	_cleanup_free_ char *protocols = protocols_shown(json_object_get(rule, "proto"));
	const char *ports;
	json_t *addresses;
	bool first = true;

	if (!from || !protocols || !dsts)
		return -ENOMEM;
	json_object_foreach (dsts, ports, addresses) {
		_cleanup_free_ char *to = shown_names(names, addresses);

		if (!to)
			return -ENOMEM;
		/* What is the same as in the line above is not repeated. */
		cli_table_add(table, CLI_PLAIN, "%s", first ? from : "");
		cli_table_add(table, CLI_PLAIN, "%s", to);
		cli_table_add(table, CLI_PLAIN, "%s", first ? protocols : "");
		cli_table_add(table, CLI_PLAIN, "%s", ports);
		cli_table_add(table, CLI_FAINT, "%s", first ? value_text(rule, "origin") : "");
		first = false;
	}
	return 0;
}

int ctl_render_filter(const json_t *rules, struct ctl_names *names, const struct cli_out *out)
{
	static const struct cli_column columns[] = {
		{ "FROM" }, { "TO" }, { "PROTOCOL" }, { "PORTS" }, { "RULE" },
	};
	_cleanup_(cli_table_freep) struct cli_table *table = NULL;
	int r;

	if (json_array_size(rules) == 0) {
		fputs("No packet filter rules: nothing is let in.\n", out->file);
		return 0;
	}
	r = cli_table_new(columns, ARRAY_SIZE(columns), &table);
	for (size_t i = 0; i < json_array_size(rules) && r == 0; i++)
		r = add_rule(table, json_array_get(rules, i), names);
	return r < 0 ? r : cli_table_print(table, out);
}
