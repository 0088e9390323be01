#include "coord/policy/access.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "coord/policy/grow.h"
#include "coord/policy/ports.h"

/* Ascending. */
static const uint8_t default_protos[] = { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6 };

void access_done(struct access *a)
{
	free(a->items);
	*a = (struct access){ 0 };
}

static int append(struct access *a, uint8_t proto, uint16_t first, uint16_t last)
{
	if (grow(&a->items, a->n + 1, &a->size) < 0)
		return -ENOMEM;
	a->items[a->n++] = (struct access_item){ .proto = proto, .first = first, .last = last };
	return 0;
}

int access_add(struct access *a, const struct net_rule *rule, const struct port_list *ports)
{
	const uint8_t *protos = rule->n_protos ? rule->protos : default_protos;
	size_t n = rule->n_protos ? rule->n_protos : ARRAY_SIZE(default_protos);

	for (size_t i = 0; i < n; i++) {
		if (!protocol_has_ports(protos[i]) && !ports_are_all(ports))
			continue;
		for (size_t k = 0; k < ports->n; k++)
			if (append(a, protos[i], ports->items[k].first, ports->items[k].last) < 0)
				return -ENOMEM;
	}
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct access_item *x = a, *y = b;

	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

void access_normalize(struct access *a)
{
	size_t n = 0;

	if (a->n < 2)
		return;
	qsort(a->items, a->n, sizeof(*a->items), compare_items);
	for (size_t i = 1; i < a->n; i++) {
		struct access_item *last = &a->items[n], *next = &a->items[i];

		if (next->proto != last->proto || next->first > last->last + 1)
			a->items[++n] = *next;
		else if (next->last > last->last)
			last->last = next->last;
	}
	a->n = n + 1;
}

/* What b leaves of one item; b is sorted. */
static int subtract_item(const struct access_item *item, const struct access *b,
			 struct access *rest)
{
	unsigned first = item->first;

	for (size_t i = 0; i < b->n && first <= item->last; i++) {
		const struct access_item *cut = &b->items[i];

		if (cut->proto != item->proto || cut->last < first || cut->first > item->last)
			continue;
		if (cut->first > first &&
		    append(rest, item->proto, (uint16_t)first, (uint16_t)(cut->first - 1)) < 0)
			return -ENOMEM;
		first = cut->last + 1u;
	}
	return first <= item->last ? append(rest, item->proto, (uint16_t)first, item->last) : 0;
}

int access_subtract(const struct access *a, const struct access *b, struct access *ret_rest)
{
	for (size_t i = 0; i < a->n; i++)
		if (subtract_item(&a->items[i], b, ret_rest) < 0)
			return -ENOMEM;
	access_normalize(ret_rest);
	return 0;
}

static size_t proto_end(const struct access *a, size_t i)
{
	size_t end = i;

	while (end < a->n && a->items[end].proto == a->items[i].proto)
		end++;
	return end;
}

static bool is_everything(const struct access *a)
{
	for (size_t i = 0; i < a->n && a->n == ARRAY_SIZE(default_protos); i++)
		if (a->items[i].proto != default_protos[i] || a->items[i].first != 0 ||
		    a->items[i].last != UINT16_MAX)
			return false;
	return a->n == ARRAY_SIZE(default_protos);
}

static void put_ports(const struct access *a, size_t i, size_t end, struct policy_text *out)
{
	if (a->items[i].first == 0 && a->items[i].last == UINT16_MAX)
		return;
	for (; i < end; i++) {
		policy_text_printf(out, " %u", a->items[i].first);
		if (a->items[i].last != a->items[i].first)
			policy_text_printf(out, "-%u", a->items[i].last);
	}
}

static bool same_ports(const struct access *a, size_t i, size_t i_end, size_t k, size_t k_end)
{
	if (i_end - i != k_end - k)
		return false;
	for (; i < i_end; i++, k++)
		if (a->items[i].first != a->items[k].first || a->items[i].last != a->items[k].last)
			return false;
	return true;
}

/* Protocols whose ports are the same are put together: "tcp+udp 80". */
static void put_proto(const struct access *a, size_t i, size_t end, struct policy_text *out)
{
	for (size_t k = 0; k < i; k = proto_end(a, k))
		if (same_ports(a, k, proto_end(a, k), i, end))
			return;
	if (out->len)
		policy_text_puts(out, ", ");
	for (size_t k = i; k < a->n; k = proto_end(a, k)) {
		const char *name = protocol_to_string(a->items[k].proto);

		if (!same_ports(a, i, end, k, proto_end(a, k)))
			continue;
		policy_text_puts(out, k > i ? "+" : "");
		if (name)
			policy_text_puts(out, name);
		else
			policy_text_printf(out, "protocol %u", a->items[k].proto);
	}
	put_ports(a, i, end, out);
}

void access_to_text(const struct access *a, struct policy_text *out)
{
	struct policy_text text = { 0 };

	if (is_everything(a))
		policy_text_puts(&text, "everything");
	else
		for (size_t i = 0; i < a->n; i = proto_end(a, i))
			put_proto(a, i, proto_end(a, i), &text);
	if (text.len)
		policy_text_append(out, text.data, text.len);
	out->failed |= text.failed;
	policy_text_done(&text);
}
