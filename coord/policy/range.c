#include "coord/policy/range.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "coord/policy/grow.h"

static unsigned __int128 addr_value(const struct ip_addr *addr)
{
	unsigned __int128 v = 0;

	for (size_t i = 0; i < ip_addr_len(addr); i++)
		v = v << 8 | addr->bytes[i];
	return v;
}

static struct ip_addr value_addr(unsigned __int128 v, bool v6)
{
	struct ip_addr addr = { .family = v6 ? AF_INET6 : AF_INET };
	size_t len = v6 ? 16 : 4;

	for (size_t i = 0; i < len; i++)
		addr.bytes[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
	return addr;
}

struct range range_of_addr(const struct ip_addr *addr)
{
	unsigned __int128 v = addr_value(addr);

	return (struct range){ .first = v, .last = v, .v6 = addr->family == AF_INET6 };
}

static unsigned __int128 low_bits(unsigned n)
{
	return n >= 128 ? ~(unsigned __int128)0 : ((unsigned __int128)1 << n) - 1;
}

struct range range_of_prefix(const struct ip_prefix *prefix)
{
	struct range r = range_of_addr(&prefix->addr);

	r.last = r.first | low_bits(ip_addr_bits(&prefix->addr) - prefix->len);
	return r;
}

struct range range_all(bool v6)
{
	return (struct range){ .last = low_bits(v6 ? 128 : 32), .v6 = v6 };
}

struct ip_addr range_first_addr(const struct range *r)
{
	return value_addr(r->first, r->v6);
}

static int parse_span(const char *text, const char *dash, struct range *ret_range)
{
	char head[IP_ADDR_STRLEN];
	struct ip_addr first, last;
	size_t len = (size_t)(dash - text);
	struct range r;

	if (len >= sizeof(head))
		return -EINVAL;
	memcpy(head, text, len);
	head[len] = '\0';
	if (ip_addr_parse(head, &first) < 0 || ip_addr_parse(dash + 1, &last) < 0 ||
	    first.family != last.family)
		return -EINVAL;
	r = range_of_addr(&first);
	r.last = addr_value(&last);
	if (r.last < r.first)
		return -EINVAL;
	*ret_range = r;
	return 0;
}

/* The prefix that was probably meant by one with host bits. */
static int parse_loose_prefix(const char *text, struct range *ret_range)
{
	char head[IP_PREFIX_STRLEN];
	const char *slash = strchr(text, '/');
	struct ip_prefix prefix = { 0 };
	char *end;
	unsigned long len;

	if (!slash || strlen(text) >= sizeof(head))
		return -EINVAL;
	memcpy(head, text, (size_t)(slash - text));
	head[slash - text] = '\0';
	if (ip_addr_parse(head, &prefix.addr) < 0)
		return -EINVAL;
	if (slash[1] < '0' || slash[1] > '9' || (slash[1] == '0' && slash[2]))
		return -EINVAL;
	len = strtoul(slash + 1, &end, 10);
	if (*end || len > ip_addr_bits(&prefix.addr))
		return -EINVAL;
	prefix.len = (uint8_t)len;
	prefix.addr = ip_prefix_first(&prefix);
	*ret_range = range_of_prefix(&prefix);
	return RANGE_HOST_BITS;
}

int range_parse(const char *text, struct range *ret_range)
{
	const char *dash = strchr(text, '-');
	struct ip_prefix prefix;

	if (dash)
		return parse_span(text, dash, ret_range);
	if (ip_prefix_parse(text, &prefix) == 0) {
		*ret_range = range_of_prefix(&prefix);
		return 0;
	}
	return parse_loose_prefix(text, ret_range);
}

/* Length of the prefix that is exactly this range; -1: none is. */
static int prefix_len(const struct range *r)
{
	unsigned __int128 size = r->last - r->first; /* less one */
	unsigned bits = r->v6 ? 128 : 32, n = 0;

	if (size & (size + 1) || r->first & size)
		return -1;
	while (size) {
		size >>= 1;
		n++;
	}
	return (int)(bits - n);
}

char *range_to_string(const struct range *r, char *buf)
{
	struct ip_prefix prefix = { .addr = value_addr(r->first, r->v6) };
	struct ip_addr last = value_addr(r->last, r->v6);
	int len = prefix_len(r);

	if (len >= 0) {
		prefix.len = (uint8_t)len;
		return range_is_single(r) ? ip_addr_to_string(&prefix.addr, buf)
					  : ip_prefix_to_string(&prefix, buf);
	}
	ip_addr_to_string(&prefix.addr, buf);
	strcat(buf, "-");
	ip_addr_to_string(&last, buf + strlen(buf));
	return buf;
}

bool range_is_single(const struct range *r)
{
	return r->first == r->last;
}

bool range_overlaps(const struct range *a, const struct range *b)
{
	return a->v6 == b->v6 && a->first <= b->last && b->first <= a->last;
}

bool range_contains(const struct range *outer, const struct range *inner)
{
	return outer->v6 == inner->v6 && outer->first <= inner->first && inner->last <= outer->last;
}

int range_compare(const struct range *a, const struct range *b)
{
	if (a->v6 != b->v6)
		return a->v6 ? 1 : -1;
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->last != b->last)
		return a->last > b->last ? -1 : 1;
	return 0;
}

void range_set_done(struct range_set *set)
{
	free(set->items);
	*set = (struct range_set){ 0 };
}

int range_set_append(struct range_set *set, const struct range *r)
{
	if (grow(&set->items, set->n + 1, &set->size) < 0)
		return -ENOMEM;
	set->items[set->n++] = *r;
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	return range_compare(a, b);
}

void range_set_normalize(struct range_set *set)
{
	size_t n = 0;

	if (set->n < 2)
		return;
	qsort(set->items, set->n, sizeof(*set->items), compare_items);
	for (size_t i = 1; i < set->n; i++) {
		struct range *last = &set->items[n], *next = &set->items[i];

		/* first - 1 cannot wrap: a first of 0 is never behind another range's last. */
		if (last->v6 != next->v6 ||
		    (next->first > last->last && next->first - 1 > last->last))
			set->items[++n] = *next;
		else if (next->last > last->last)
			last->last = next->last;
	}
	set->n = n + 1;
}

int range_set_add(struct range_set *set, const struct range *r)
{
	int err = range_set_append(set, r);

	if (err == 0)
		range_set_normalize(set);
	return err;
}

int range_set_add_set(struct range_set *set, const struct range_set *other)
{
	for (size_t i = 0; i < other->n; i++)
		if (range_set_append(set, &other->items[i]) < 0)
			return -ENOMEM;
	range_set_normalize(set);
	return 0;
}

int range_set_remove(struct range_set *set, const struct range *r)
{
	struct range_set left = { 0 };

	for (size_t i = 0; i < set->n; i++) {
		struct range head = set->items[i], tail = set->items[i];
		bool cut = range_overlaps(&head, r), has_tail = cut && tail.last > r->last;

		if (cut && head.first < r->first)
			head.last = r->first - 1;
		else if (cut)
			head.last = 0, head.first = 1;
		tail.first = has_tail ? r->last + 1 : tail.first;
		if ((head.first <= head.last && range_set_append(&left, &head) < 0) ||
		    (has_tail && range_set_append(&left, &tail) < 0)) {
			range_set_done(&left);
			return -ENOMEM;
		}
	}
	range_set_done(set);
	*set = left;
	return 0;
}

/* Index of the last item that begins at or before r; -1: none. */
static ssize_t find_before(const struct range_set *set, const struct range *r)
{
	size_t lo = 0, hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct range *m = &set->items[mid];

		if (m->v6 < r->v6 || (m->v6 == r->v6 && m->first <= r->first))
			lo = mid + 1;
		else
			hi = mid;
	}
	return (ssize_t)lo - 1;
}

bool range_set_overlaps(const struct range_set *set, const struct range *r)
{
	ssize_t i = find_before(set, r);

	return (i >= 0 && range_overlaps(&set->items[i], r)) ||
	       ((size_t)(i + 1) < set->n && range_overlaps(&set->items[i + 1], r));
}

bool range_set_contains(const struct range_set *set, const struct range *r)
{
	ssize_t i = find_before(set, r);

	return i >= 0 && range_contains(&set->items[i], r);
}
