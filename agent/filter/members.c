#include "agent/filter/members.h"

#include <string.h>

#include "agent/grow.h"

/* A rule that names one address. */
struct mention {
	struct ip_addr addr;
	uint32_t rule;
};

struct survey {
	const struct netmap *map;
	uint64_t now_usec;
	struct mention *mentions; /* by address, then rule */
	size_t n_mentions, n_mentions_alloc;
	struct span *spans;
	size_t n_spans, n_spans_alloc;
	struct member *peers; /* live peers' own addresses, ascending */
	size_t n_peers, n_peers_alloc;
	struct segments segments;
	uint32_t *scratch;
};

static int mention_order(const void *a, const void *b)
{
	const struct mention *x = a, *y = b;
	int c = ip_addr_compare(&x->addr, &y->addr);

	return c ? c : (x->rule > y->rule) - (x->rule < y->rule);
}

static int member_order(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return ip_addr_compare(&x->first, &y->first);
}

static int add_mention(struct survey *survey, const struct ip_addr *addr, uint32_t rule)
{
	int r = array_grow(&survey->mentions, &survey->n_mentions_alloc, survey->n_mentions,
			   sizeof(*survey->mentions));

	if (r < 0)
		return r;
	survey->mentions[survey->n_mentions++] = (struct mention){ .addr = *addr, .rule = rule };
	return 0;
}

static int add_span(struct survey *survey, const struct ip_prefix *prefix, uint32_t rule,
		    const struct netmap_node *router)
{
	int r = array_grow(&survey->spans, &survey->n_spans_alloc, survey->n_spans,
			   sizeof(*survey->spans));

	if (r < 0)
		return r;
	survey->spans[survey->n_spans++] = (struct span){
		.first = ip_prefix_first(prefix),
		.last = ip_prefix_last(prefix),
		.rule = rule,
		.router = router,
	};
	return 0;
}

static int add_member(struct member **members, size_t *n, size_t *n_alloc,
		      const struct member *member)
{
	int r = array_grow(members, n_alloc, *n, sizeof(**members));

	if (r < 0)
		return r;
	(*members)[(*n)++] = *member;
	return 0;
}

/* Sources of the rules that open something to their own family. */
static int survey_rules(struct survey *survey, const struct openings *openings)
{
	const struct netmap *map = survey->map;
	int r = 0;

	for (size_t i = 0; i < map->n_filter; i++)
		for (size_t j = 0; j < map->filter[i].n_src && r == 0; j++) {
			const struct ip_prefix *src = &map->filter[i].src[j];

			if (!(openings->rules[i].families & openings_family(&src->addr)))
				continue;
			if (src->len == ip_addr_bits(&src->addr))
				r = add_mention(survey, &src->addr, (uint32_t)i);
			else
				r = add_span(survey, src, (uint32_t)i, NULL);
		}
	if (r == 0 && survey->n_mentions > 1)
		qsort(survey->mentions, survey->n_mentions, sizeof(*survey->mentions),
		      mention_order);
	return r;
}

static int survey_peers(struct survey *survey)
{
	const struct netmap *map = survey->map;
	int r = 0;

	for (size_t i = 0; i < map->n_peers && r == 0; i++) {
		const struct netmap_node *peer = &map->peers[i];

		if (netmap_node_expired(peer, survey->now_usec))
			continue;
		for (size_t j = 0; j < peer->n_addresses && r == 0; j++) {
			struct member member = {
				.first = peer->addresses[j],
				.last = peer->addresses[j],
				.peer = peer,
			};

			r = add_member(&survey->peers, &survey->n_peers, &survey->n_peers_alloc,
				       &member);
		}
		for (size_t j = 0; j < peer->n_routes && r == 0; j++)
			r = add_span(survey, &peer->routes[j], 0, peer);
	}
	if (r == 0 && survey->n_peers > 1)
		qsort(survey->peers, survey->n_peers, sizeof(*survey->peers), member_order);
	return r;
}

/* First mention of the address, and how many there are. */
static size_t find_mentions(const struct survey *survey, const struct ip_addr *addr, size_t *ret_n)
{
	size_t low = 0, high = survey->n_mentions, n = 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (ip_addr_compare(&survey->mentions[mid].addr, addr) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	while (low + n < survey->n_mentions && ip_addr_equal(&survey->mentions[low + n].addr, addr))
		n++;
	*ret_n = n;
	return low;
}

/* Rules that name the address, and rules whose prefixes hold it: one ascending list. */
static size_t merge_rules(const struct mention *mentions, size_t n_mentions,
			  const struct rulelist *wide, uint32_t *out)
{
	size_t i = 0, j = 0, n = 0;

	while (i < n_mentions || j < wide->n) {
		uint32_t rule;

		if (j == wide->n || (i < n_mentions && mentions[i].rule <= wide->rules[j]))
			rule = mentions[i++].rule;
		else
			rule = wide->rules[j++];
		if (n == 0 || out[n - 1] != rule)
			out[n++] = rule;
	}
	return n;
}

static int add_exact(struct survey *survey, struct rulelists *lists, size_t *budget,
		     struct member *member, struct members *members)
{
	const struct segment *segment = segments_find(&survey->segments, &member->first);
	size_t n_mentions, first, n;
	int r;

	member->list = segment ? segment->list : RULELIST_EMPTY;
	first = find_mentions(survey, &member->first, &n_mentions);
	if (n_mentions > 0) {
		n = lists->lists[member->list].n + n_mentions;
		if (*budget < n)
			return -E2BIG;
		*budget -= n;
		n = merge_rules(&survey->mentions[first], n_mentions, &lists->lists[member->list],
				survey->scratch);
		r = rulelists_intern(lists, survey->scratch, n, &member->list);
		if (r < 0)
			return r;
	}
	if (member->list == RULELIST_EMPTY)
		return 0;
	return add_member(&members->exact, &members->n_exact, &members->n_exact_alloc, member);
}

static bool is_peer_address(const struct survey *survey, const struct ip_addr *addr)
{
	struct member key = { .first = *addr };

	return survey->n_peers > 0 &&
	       bsearch(&key, survey->peers, survey->n_peers, sizeof(*survey->peers), member_order);
}

/* Single hosts behind subnet routers that a rule names. */
static int add_named_hosts(struct survey *survey, struct rulelists *lists, size_t *budget,
			   struct members *members)
{
	int r;

	for (size_t i = 0; i < survey->n_mentions; i++) {
		struct ip_addr *addr = &survey->mentions[i].addr;
		struct member member = { .first = *addr, .last = *addr };
		const struct segment *segment;

		if (i > 0 && ip_addr_equal(&survey->mentions[i - 1].addr, addr))
			continue;
		segment = segments_find(&survey->segments, addr);
		if (!segment || !segment->router || is_peer_address(survey, addr))
			continue;
		member.peer = segment->router;
		r = add_exact(survey, lists, budget, &member, members);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_nets(const struct survey *survey, struct members *members)
{
	for (size_t i = 0; i < survey->segments.n; i++) {
		const struct segment *segment = &survey->segments.segments[i];
		struct member member = {
			.first = segment->first,
			.last = segment->last,
			.peer = segment->router,
			.list = segment->list,
		};
		int r;

		if (!segment->router || segment->list == RULELIST_EMPTY)
			continue;
		r = add_member(&members->nets, &members->n_nets, &members->n_nets_alloc, &member);
		if (r < 0)
			return r;
	}
	return 0;
}

static int survey_members(struct survey *survey, const struct openings *openings,
			  struct rulelists *lists, size_t *budget, struct members *members)
{
	int r;

	r = survey_rules(survey, openings);
	if (r == 0)
		r = survey_peers(survey);
	if (r == 0)
		r = segments_build(survey->spans, survey->n_spans, lists, budget,
				   &survey->segments);
	if (r < 0)
		return r;
	survey->scratch = calloc(2 * survey->map->n_filter + 1, sizeof(*survey->scratch));
	if (!survey->scratch)
		return -ENOMEM;
	for (size_t i = 0; i < survey->n_peers && r == 0; i++) {
		if (i > 0 && ip_addr_equal(&survey->peers[i].first, &survey->peers[i - 1].first))
			continue;
		r = add_exact(survey, lists, budget, &survey->peers[i], members);
	}
	if (r == 0)
		r = add_named_hosts(survey, lists, budget, members);
	if (r == 0)
		r = add_nets(survey, members);
	return r;
}

int members_build(const struct netmap *map, uint64_t now_usec, const struct openings *openings,
		  struct rulelists *lists, size_t *budget, struct members *ret_members)
{
	struct survey survey = { .map = map, .now_usec = now_usec };
	struct members members = { 0 };
	int r;

	r = survey_members(&survey, openings, lists, budget, &members);
	free(survey.mentions);
	free(survey.spans);
	free(survey.peers);
	free(survey.scratch);
	segments_done(&survey.segments);
	if (r < 0) {
		members_done(&members);
		return r;
	}
	*ret_members = members;
	return 0;
}

void members_done(struct members *members)
{
	free(members->exact);
	free(members->nets);
	*members = (struct members){ 0 };
}
