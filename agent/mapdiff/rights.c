#include "agent/mapdiff/rights.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/filter/compile.h"
#include "agent/grow.h"
#include "common/text.h"

#define N_PROTOCOLS (UINT8_MAX + 1)

/*
 * ICMP has a number of its own in each family. Here both have the same, and the other number is the
 * one left over, so that both addresses of a peer have the same changes, in the same order.
 */
static uint8_t common_number(uint8_t proto, int family)
{
	if (family == AF_INET6 && (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6))
		return proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	return proto;
}

/* Ports of one protocol that a class may reach, at these of the node's own addresses. */
struct right {
	uint8_t proto; /* its common number */
	struct port_range ports;
	uint32_t own;				  /* bits of own addresses */
	uint32_t rules[2 * NETMAP_MAX_ADDRESSES]; /* that open it, by address */
};

struct rights {
	struct right *all; /* by protocol, then port; disjoint */
	size_t n, n_alloc;
	uint32_t every_own; /* bits of all addresses of the node, of the family */
};

/* The node's own addresses of one family, in either map: address i has the bit 1 << i. */
struct own {
	int family;
	struct ip_addr addresses[2 * NETMAP_MAX_ADDRESSES];
	size_t n;
};

int rights_map_init(struct rights_map *rights, const struct netmap *map, uint64_t now_usec,
		    char **reterr_text)
{
	*rights = (struct rights_map){ .map = map };
	return filter_compile(map, now_usec, &rights->table, reterr_text);
}

void rights_map_done(struct rights_map *rights)
{
	rights->table = filter_table_free(rights->table);
}

/* The first flow of a class, at this address and of this protocol or after. */
static size_t find_flow(const struct filter_table *table, uint32_t class, const struct ip_addr *dst,
			unsigned proto)
{
	size_t low = 0, high = table->n_flows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct filter_flow *flow = &table->flows[middle];
		int c = (flow->class > class) - (flow->class < class);

		if (c == 0)
			c = ip_addr_compare(&flow->dst_first, dst);
		if (c == 0)
			c = flow->proto < proto ? -1 : 1;
		if (c < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t own_bit(const struct own *own, const struct ip_addr *addr)
{
	for (size_t i = 0; i < own->n; i++)
		if (ip_addr_equal(&own->addresses[i], addr))
			return 1u << i;
	return 0;
}

/* Returns the bits of all that the table has. */
static uint32_t own_add(struct own *own, const struct filter_table *table)
{
	uint32_t every = 0;

	for (size_t i = 0; i < table->n_own; i++) {
		const struct ip_addr *addr = &table->own[i];

		if (addr->family != own->family)
			continue;
		if (!own_bit(own, addr) && own->n < ARRAY_SIZE(own->addresses))
			own->addresses[own->n++] = *addr;
		every |= own_bit(own, addr);
	}
	return every;
}

/* Where one own address' flows of a class and protocol are: disjoint, by port. */
struct cursor {
	const struct filter_flow *at, *end;
	uint32_t bit;
};

/* One for each of the addresses: of those that are no more, or not yet, there are no flows. */
static void open_cursors(const struct filter_table *table, uint32_t class, const struct own *own,
			 uint8_t proto, struct cursor *cursors)
{
	for (size_t i = 0; i < own->n; i++) {
		const struct ip_addr *dst = &own->addresses[i];

		cursors[i] = (struct cursor){
			table->flows + find_flow(table, class, dst, proto),
			table->flows + find_flow(table, class, dst, proto + 1u),
			1u << i,
		};
	}
}

static int add_right(struct rights *rights, const struct right *right)
{
	int r = array_grow(&rights->all, &rights->n_alloc, rights->n, sizeof(*rights->all));

	if (r == 0)
		rights->all[rights->n++] = *right;
	return r;
}

/*
 * One step over the ports: which addresses are open at *port, and up to where that is so. *port
 * moves behind it; beyond 65535 there is nothing more.
 */
static struct right step(struct cursor *cursors, size_t n, uint8_t proto, uint32_t *port)
{
	struct right right = { .proto = proto, .ports.first = (uint16_t)*port };
	uint32_t next = UINT16_MAX + 1u;

	for (size_t i = 0; i < n; i++) {
		struct cursor *c = &cursors[i];
		uint32_t edge;

		while (c->at < c->end && c->at->ports.last < *port)
			c->at++;
		if (c->at == c->end)
			continue;
		if (c->at->ports.first <= *port) {
			right.rules[i] = c->at->rule;
			right.own |= c->bit;
			edge = c->at->ports.last + 1u;
		} else {
			edge = c->at->ports.first;
		}
		next = edge < next ? edge : next;
	}
	right.ports.last = (uint16_t)(next - 1);
	*port = next;
	return right;
}

static int collect_protocol(const struct filter_table *table, uint32_t class, const struct own *own,
			    uint8_t proto, struct rights *rights)
{
	struct cursor cursors[2 * NETMAP_MAX_ADDRESSES];
	int r = 0;

	open_cursors(table, class, own, common_number(proto, own->family), cursors);
	for (uint32_t port = 0; port <= UINT16_MAX && r == 0;) {
		struct right right = step(cursors, own->n, proto, &port);

		if (right.own)
			r = add_right(rights, &right);
	}
	return r;
}

static void mark_protocols(const struct filter_table *table, uint32_t class, int family, bool *used)
{
	const struct ip_addr lowest = { .family = AF_UNSPEC };

	for (size_t i = find_flow(table, class, &lowest, 0);
	     i < table->n_flows && table->flows[i].class == class; i++)
		used[common_number(table->flows[i].proto, family)] = true;
}

static int collect(const struct rights_map *map, uint64_t id, const struct own *own,
		   struct rights *rights)
{
	bool used[N_PROTOCOLS] = { false };
	int r = 0;

	if (id == RIGHTS_NONE)
		return 0;
	mark_protocols(map->table, (uint32_t)id, own->family, used);
	for (unsigned proto = 0; proto < N_PROTOCOLS && r == 0; proto++)
		if (used[proto])
			r = collect_protocol(map->table, (uint32_t)id, own, (uint8_t)proto, rights);
	return r;
}

/* ---- in words ---- */

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

/* proto: a common_number() */
static json_t *json_protocol(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return json_string("tcp");
	case IPPROTO_UDP:
		return json_string("udp");
	case IPPROTO_SCTP:
		return json_string("sctp");
	case IPPROTO_ICMP:
		return json_string("icmp");
	default:
		return json_sprintf("%u", proto);
	}
}

/* "100.64.0.1, 100.64.0.9"; NULL in *ret_text: all that the node has. Return: 0, -ENOMEM. */
static int destinations(const struct own *own, uint32_t bits, uint32_t every_own, char **ret_text)
{
	_cleanup_free_ char *text = NULL;

	*ret_text = NULL;
	if (bits == every_own)
		return 0;
	for (size_t i = 0; i < own->n; i++) {
		char addr[IP_ADDR_STRLEN], *longer;

		if (!(bits & 1u << i))
			continue;
		longer = text_printf("%s%s%s", text ? text : "", text ? ", " : "",
				     ip_addr_to_string(&own->addresses[i], addr));
		free(text);
		text = longer;
		if (!text)
			return -ENOMEM;
	}
	*ret_text = take_ptr(text);
	return 0;
}

static json_t *json_rule(const struct rights_map *map, uint32_t rule)
{
	const char *origin = map->map->filter[rule].origin;

	return origin ? json_string(origin) : json_sprintf("packet_filter[%u]", rule);
}

/* What is gained or lost, of ports first to last. */
struct piece {
	uint8_t proto;
	uint32_t first, last;
	uint32_t own;  /* bits; 0: nothing */
	uint32_t rule; /* of the first of them */
};

/* One side of the comparison. */
struct side {
	const struct rights_map *map;
	struct rights rights;
	size_t at;
	struct piece open; /* not written yet: it may go on */
	json_t *list;
};

static int write_piece(struct side *side, const struct own *own)
{
	const struct piece *piece = &side->open;
	_cleanup_free_ char *to = NULL;
	json_auto_t *json = NULL;
	int r;

	if (!piece->own)
		return 0;
	r = destinations(own, piece->own, side->rights.every_own, &to);
	if (r < 0)
		return r;
	json = json_pack("{s:o, s:s*, s:o}", "protocol", json_protocol(piece->proto),
			 "destinations", to, "rule", json_rule(side->map, piece->rule));
	if (!json)
		return -ENOMEM;
	if (has_ports(piece->proto) &&
	    (json_object_set_new(json, "firstPort", json_integer(piece->first)) < 0 ||
	     json_object_set_new(json, "lastPort", json_integer(piece->last)) < 0))
		return -ENOMEM;
	side->open.own = 0;
	return json_array_append(side->list, json) < 0 ? -ENOMEM : 0;
}

static bool continues(const struct piece *piece, const struct piece *next)
{
	return piece->proto == next->proto && piece->last + 1 == next->first &&
	       piece->own == next->own && piece->rule == next->rule;
}

static int add_piece(struct side *side, const struct own *own, const struct piece *piece)
{
	int r;

	if (continues(&side->open, piece)) {
		side->open.last = piece->last;
		return 0;
	}
	r = write_piece(side, own);
	side->open = *piece;
	return r;
}

/* Place in the order of all ports of all protocols. */
static uint64_t place(uint8_t proto, uint32_t port)
{
	return (uint64_t)proto << 32 | port;
}

/* The right at or after a place; NULL: there is none. */
static const struct right *right_from(struct side *side, uint64_t at)
{
	while (side->at < side->rights.n &&
	       place(side->rights.all[side->at].proto, side->rights.all[side->at].ports.last) < at)
		side->at++;
	return side->at < side->rights.n ? &side->rights.all[side->at] : NULL;
}

/* Does the right cover this place? And where, from there, does that become otherwise? */
static bool covers(const struct right *right, uint64_t at, uint64_t *end)
{
	uint64_t first, last;

	if (!right)
		return false;
	first = place(right->proto, right->ports.first);
	last = place(right->proto, right->ports.last);
	if (first > at) {
		*end = first - 1 < *end ? first - 1 : *end;
		return false;
	}
	*end = last < *end ? last : *end;
	return true;
}

/* The addresses that one right opens and the other (NULL: there is none) does not. */
static uint32_t surplus(const struct side *side, const struct right *right,
			const struct side *other_side, const struct right *other)
{
	if (!right)
		return 0;
	/* All of them is the same as all of them, also where the node has others now. */
	if (other && right->own == side->rights.every_own &&
	    other->own == other_side->rights.every_own)
		return 0;
	return right->own & ~(other ? other->own : 0);
}

static int add_surplus(struct side *side, const struct right *right, const struct side *other_side,
		       const struct right *other, const struct own *own, uint64_t first,
		       uint64_t last)
{
	struct piece piece = {
		.proto = (uint8_t)(first >> 32),
		.first = (uint32_t)first,
		.last = (uint32_t)last,
		.own = surplus(side, right, other_side, other),
	};

	if (!piece.own)
		return 0;
	piece.rule = right->rules[__builtin_ctz(piece.own)];
	return add_piece(side, own, &piece);
}

static int compare_sides(struct side *from, struct side *to, const struct own *own)
{
	const uint64_t behind = place(UINT8_MAX, UINT16_MAX) + 1;
	int r = 0;

	for (uint64_t at = 0, end; at < behind && r == 0; at = end + 1) {
		const struct right *a = right_from(from, at), *b = right_from(to, at);

		end = behind;
		a = covers(a, at, &end) ? a : NULL;
		b = covers(b, at, &end) ? b : NULL;
		r = add_surplus(from, a, to, b, own, at, end);
		if (r == 0)
			r = add_surplus(to, b, from, a, own, at, end);
	}
	if (r == 0)
		r = write_piece(from, own);
	return r < 0 ? r : write_piece(to, own);
}

int rights_diff(const struct rights_map *from, uint64_t from_class, const struct rights_map *to,
		uint64_t to_class, int family, json_t **ret_change)
{
	struct side old = { .map = from, .list = json_array() };
	struct side new = { .map = to, .list = json_array() };
	struct own own = { .family = family };
	int r = old.list && new.list ? 0 : -ENOMEM;

	*ret_change = NULL;
	old.rights.every_own = own_add(&own, from->table);
	new.rights.every_own = own_add(&own, to->table);
	if (r == 0)
		r = collect(from, from_class, &own, &old.rights);
	if (r == 0)
		r = collect(to, to_class, &own, &new.rights);
	if (r == 0)
		r = compare_sides(&old, &new, &own);
	if (r == 0 && json_array_size(old.list) + json_array_size(new.list) > 0) {
		*ret_change = json_pack("{s:O, s:O}", "gained", new.list, "lost", old.list);
		r = *ret_change ? 0 : -ENOMEM;
	}
	free(old.rights.all);
	free(new.rights.all);
	json_decref(old.list);
	json_decref(new.list);
	return r;
}
