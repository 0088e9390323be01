/*
 * The packet filter section. Sources and destinations come as "*", address, prefix or
 * "first-last" and become prefixes, since that is what the kernel's sets take.
 */
#include <errno.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/netmap/read.h"

/* An IPv6 range falls apart into at most 2 * 127 prefixes. */
#define RANGE_MAX 254

struct prefix_list {
	struct ip_prefix items[RANGE_MAX];
	size_t n;
};

/* The target of a rule's fields. */
struct rule_reader {
	struct filter_rule rule;
	size_t n_src_alloc, n_dst_alloc;
	size_t left; /* prefixes that the map may still bring, over all rules */
};

struct dst_reader {
	struct prefix_list prefixes;
	struct port_range ports;
};

static struct ip_addr next_address(const struct ip_addr *a)
{
	struct ip_addr next = *a;

	for (size_t i = ip_addr_len(a); i-- > 0;)
		if (++next.bytes[i] != 0)
			break;
	return next;
}

static unsigned trailing_zero_bits(const struct ip_addr *a)
{
	unsigned n = 0;

	for (size_t i = ip_addr_len(a); i-- > 0; n += 8)
		if (a->bytes[i] != 0)
			return n + (unsigned)__builtin_ctz(a->bytes[i]);
	return n;
}

/* The largest prefix that begins at first and does not reach beyond last. */
static struct ip_prefix largest_prefix(const struct ip_addr *first, const struct ip_addr *last)
{
	struct ip_prefix prefix = {
		.addr = *first,
		.len = (uint8_t)(ip_addr_bits(first) - trailing_zero_bits(first)),
	};
	struct ip_addr end = ip_prefix_last(&prefix);

	while (ip_addr_compare(&end, last) > 0) {
		prefix.len++;
		end = ip_prefix_last(&prefix);
	}
	return prefix;
}

static void split_range(struct ip_addr first, const struct ip_addr *last, struct prefix_list *list)
{
	for (;;) {
		struct ip_prefix prefix = largest_prefix(&first, last);
		struct ip_addr end = ip_prefix_last(&prefix);

		list->items[list->n++] = prefix;
		if (ip_addr_equal(&end, last))
			return;
		first = next_address(&end);
	}
}

/* "first-last". Return: 0, -EINVAL. */
static int parse_range(const char *text, const char *dash, struct prefix_list *ret_list)
{
	char first_text[IP_ADDR_STRLEN] = "";
	struct ip_addr first, last;

	if ((size_t)(dash - text) >= sizeof(first_text))
		return -EINVAL;
	memcpy(first_text, text, (size_t)(dash - text));
	if (ip_addr_parse(first_text, &first) < 0 || ip_addr_parse(dash + 1, &last) < 0)
		return -EINVAL;
	if (first.family != last.family || ip_addr_compare(&first, &last) > 0)
		return -EINVAL;
	split_range(first, &last, ret_list);
	return 0;
}

/* Return: 0, -EINVAL. */
static int parse_prefixes(const char *text, struct prefix_list *ret_list)
{
	const char *dash = strchr(text, '-');

	ret_list->n = 0;
	if (strcmp(text, "*") == 0) {
		ret_list->items[0] = (struct ip_prefix){ .addr.family = AF_INET };
		ret_list->items[1] = (struct ip_prefix){ .addr.family = AF_INET6 };
		ret_list->n = 2;
		return 0;
	}
	if (dash)
		return parse_range(text, dash, ret_list);
	ret_list->n = 1;
	return ip_prefix_parse(text, &ret_list->items[0]);
}

static int read_prefixes(const json_t *v, const struct json_at *at, void *target,
			 struct json_report *rep)
{
	if (!json_is_string(v))
		return json_fail_type(rep, at, "a string", v);
	if (parse_prefixes(json_string_value(v), target) == 0)
		return 0;
	return json_fail(rep, at,
			 "\"%s\" cannot be understood; expected \"*\", an address, a prefix or "
			 "\"first-last\"",
			 json_string_value(v));
}

static int take_from_budget(struct rule_reader *reader, size_t n, const struct json_at *at,
			    struct json_report *rep)
{
	if (n > reader->left)
		return json_fail(rep, at,
				 "is one too many; all rules together may name %u prefixes "
				 "(a range counts as the prefixes that it is made of)",
				 NETMAP_MAX_FILTER);
	reader->left -= n;
	return 0;
}

static int add_source(struct rule_reader *reader, const json_t *v, const struct json_at *at,
		      struct json_report *rep)
{
	struct filter_rule *rule = &reader->rule;
	struct prefix_list list;
	int r;

	r = read_prefixes(v, at, &list, rep);
	if (r < 0)
		return r;
	r = take_from_budget(reader, list.n, at, rep);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n; i++) {
		r = array_grow(&rule->src, &reader->n_src_alloc, rule->n_src, sizeof(*rule->src));
		if (r < 0)
			return r;
		rule->src[rule->n_src++] = list.items[i];
	}
	return 0;
}

/* [first, last] */
static int read_ports(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	struct port_range *ports = target;
	uint16_t pair[2];

	if (json_array_size(v) != ARRAY_SIZE(pair))
		return json_fail(rep, at, "is no pair of ports; expected [first, last]");
	for (size_t i = 0; i < ARRAY_SIZE(pair); i++) {
		const struct json_at element = { .parent = at, .index = i };
		int r = json_read_u16(json_array_get(v, i), &element, &pair[i], rep);

		if (r < 0)
			return r;
	}
	if (pair[0] > pair[1])
		return json_fail(rep, at, "ends at %u, before its begin %u; expected [first, last]",
				 pair[1], pair[0]);
	*ports = (struct port_range){ .first = pair[0], .last = pair[1] };
	return 0;
}

static int add_destination(struct rule_reader *reader, const json_t *v, const struct json_at *at,
			   struct json_report *rep)
{
	static const struct json_field fields[] = {
		{ "ip", read_prefixes, offsetof(struct dst_reader, prefixes), JSON_REQUIRED },
		{ "ports", read_ports, offsetof(struct dst_reader, ports), JSON_REQUIRED },
	};
	struct filter_rule *rule = &reader->rule;
	struct dst_reader entry;
	int r;

	r = json_read_object(v, at, fields, ARRAY_SIZE(fields), &entry, rep);
	if (r < 0)
		return r;
	r = take_from_budget(reader, entry.prefixes.n, at, rep);
	if (r < 0)
		return r;
	for (size_t i = 0; i < entry.prefixes.n; i++) {
		r = array_grow(&rule->dst, &reader->n_dst_alloc, rule->n_dst, sizeof(*rule->dst));
		if (r < 0)
			return r;
		rule->dst[rule->n_dst++] =
			(struct filter_dst){ entry.prefixes.items[i], entry.ports };
	}
	return 0;
}

static int read_each(const json_t *v, const struct json_at *at, struct rule_reader *reader,
		     int (*add)(struct rule_reader *reader, const json_t *v,
				const struct json_at *at, struct json_report *rep),
		     struct json_report *rep)
{
	const json_t *element;
	size_t i;

	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	json_array_foreach (v, i, element) {
		const struct json_at element_at = { .parent = at, .index = i };
		int r = add(reader, element, &element_at, rep);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_src(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	return read_each(v, at, target, add_source, rep);
}

static int read_dst(const json_t *v, const struct json_at *at, void *target,
		    struct json_report *rep)
{
	return read_each(v, at, target, add_destination, rep);
}

static int read_proto(const json_t *v, const struct json_at *at, void *target,
		      struct json_report *rep)
{
	uint64_t value;
	int r = json_read_u64(v, at, &value, rep);

	if (r < 0)
		return r;
	if (value < 1 || value > UINT8_MAX)
		return json_fail(rep, at, "%llu is no IP protocol; expected 1 to 255",
				 (unsigned long long)value);
	*(uint8_t *)target = (uint8_t)value;
	return 0;
}

static int read_protos(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct rule_reader *reader = target;

	return json_read_array(v, at, NETMAP_MAX_LIST, sizeof(uint8_t), read_proto,
			       &reader->rule.proto, &reader->rule.n_proto, rep);
}

static const struct json_field rule_fields[] = {
	{ "src", read_src, 0, JSON_REQUIRED },
	{ "dst", read_dst, 0, JSON_REQUIRED },
	{ "proto", read_protos, 0, JSON_NULLABLE },
	{ "origin", netmap_read_text, offsetof(struct rule_reader, rule.origin), JSON_NULLABLE },
};

/* Capabilities of applications ({"src", "caps"}) admit no packet: nothing to do here. */
static bool is_capability_grant(const json_t *v)
{
	return json_object_get(v, "caps") && !json_object_get(v, "dst");
}

/* A rule without sources or destinations admits nothing, and is left out. */
static int add_rule(struct netmap *map, const json_t *v, const struct json_at *at, size_t *left,
		    struct json_report *rep)
{
	struct rule_reader reader = { .left = *left };
	int r;

	if (is_capability_grant(v))
		return 0;
	r = json_read_object(v, at, rule_fields, ARRAY_SIZE(rule_fields), &reader, rep);
	*left = reader.left;
	if (r < 0 || reader.rule.n_src == 0 || reader.rule.n_dst == 0) {
		filter_rule_done(&reader.rule);
		return r;
	}
	array_fit(&reader.rule.src, reader.rule.n_src, sizeof(*reader.rule.src));
	array_fit(&reader.rule.dst, reader.rule.n_dst, sizeof(*reader.rule.dst));
	map->filter[map->n_filter++] = reader.rule;
	return 0;
}

int netmap_read_filter(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	struct netmap *map = target;
	size_t left = NETMAP_MAX_FILTER, n = json_array_size(v);

	if (!json_is_array(v))
		return json_fail_type(rep, at, "an array", v);
	if (n > NETMAP_MAX_RULES)
		return json_fail(rep, at, "has %zu rules; at most %u are allowed", n,
				 NETMAP_MAX_RULES);
	if (n == 0)
		return 0;
	map->filter = calloc(n, sizeof(*map->filter));
	if (!map->filter)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct json_at element = { .parent = at, .index = i };
		int r = add_rule(map, json_array_get(v, i), &element, &left, rep);

		if (r < 0)
			return r;
	}
	return 0;
}

void filter_rule_done(struct filter_rule *rule)
{
	free(rule->src);
	free(rule->dst);
	free(rule->proto);
	free(rule->origin);
	*rule = (struct filter_rule){ 0 };
}
