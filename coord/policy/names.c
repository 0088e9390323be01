/* hosts, ipsets and tagOwners: what rules refer to. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "coord/policy/read.h"
#include "coord/policy/selector.h"

#define MAX_IPSETS	  256u
#define MAX_IPSET_ENTRIES 4096u /* of one; also of the ranges that it comes to */

enum {
	IPSET_UNREAD,
	IPSET_READING, /* met again: it contains itself */
	IPSET_READ,
};

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool remember(struct reader *rd, struct strmap *map, const char *key, size_t index)
{
	if (strmap_set(map, key, (uint32_t)index) == 0)
		return true;
	rd->no_memory = true;
	return false;
}

static bool check_host_name(struct reader *rd, const struct hujson_value *m)
{
	struct range range;

	if (*m->key && !strpbrk(m->key, "@:*/ \t") && range_parse(m->key, &range) < 0)
		return true;
	read_error(rd, m->key_at,
		   "\"%.60s\" is no name of a host; write a plain name, without any of "
		   "@ : * / and blanks",
		   m->key);
	return false;
}

static bool read_range(struct reader *rd, const char *text, struct place at,
		       struct range *ret_range)
{
	char buf[RANGE_STRLEN];
	int r = range_parse(text, ret_range);

	if (r == 0)
		return true;
	if (r == RANGE_HOST_BITS)
		read_error(rd, at, "\"%s\" has bits set behind its length; write %s", text,
			   range_to_string(ret_range, buf));
	else
		read_error(rd, at, "\"%.60s\" is no address; write 100.64.0.1 or 10.0.0.0/8", text);
	return false;
}

void read_hosts(struct reader *rd, const struct hujson_value *v)
{
	struct policy *p = rd->policy;

	if (!read_object(rd, v, "\"hosts\""))
		return;
	p->hosts = read_alloc(rd, v->n_items, sizeof(*p->hosts));
	for (size_t i = 0; p->hosts && i < v->n_items; i++) {
		const struct hujson_value *m = &v->items[i];
		const char *text = read_string(rd, m, "a host's address");
		struct host *host = &p->hosts[p->n_hosts];

		if (!text || !check_host_name(rd, m) || !read_range(rd, text, m->at, &host->range))
			continue;
		host->name = m->key;
		host->is_prefix = strpbrk(text, "/-") != NULL;
		if (!remember(rd, &p->host_map, host->name, p->n_hosts++))
			return;
	}
}

static bool read_ipset(struct reader *rd, struct ipset *set, struct place at);

/* What an entry without "add" or "remove" stands for, added to *ranges. */
static bool read_ipset_target(struct reader *rd, const char *text, struct place at,
			      struct range_set *ranges)
{
	struct policy *p = rd->policy;
	const char *name = has_prefix(text, "host:") ? text + strlen("host:") : text;
	uint32_t host = strmap_get(&p->host_map, name), other = strmap_get(&p->ipset_map, text);
	struct range range;

	if (has_prefix(text, "ipset:")) {
		if (other == STRMAP_NONE) {
			read_error(rd, at, "\"%s\" is not defined; add it to \"ipsets\"", text);
			return false;
		}
		if (!read_ipset(rd, &p->ipsets[other], at))
			return false;
		rd->no_memory |= range_set_add_set(ranges, &p->ipsets[other].ranges) < 0;
		return true;
	}
	if (host != STRMAP_NONE)
		range = p->hosts[host].range;
	else if (!read_range(rd, text, at, &range))
		return false;
	rd->no_memory |= range_set_append(ranges, &range) < 0;
	range_set_normalize(ranges);
	return true;
}

static void read_ipset_entry(struct reader *rd, const struct hujson_value *v, struct ipset *set)
{
	const char *text = read_string(rd, v, "an entry of an ipset");
	bool remove = text && has_prefix(text, "remove ");
	struct range_set ranges = { 0 };

	if (!text)
		return;
	if (remove || has_prefix(text, "add "))
		text = strchr(text, ' ') + 1;
	if (read_ipset_target(rd, text, v->at, &ranges)) {
		if (!remove)
			rd->no_memory |= range_set_add_set(&set->ranges, &ranges) < 0;
		for (size_t i = 0; remove && i < ranges.n; i++)
			rd->no_memory |= range_set_remove(&set->ranges, &ranges.items[i]) < 0;
	}
	range_set_done(&ranges);
}

/* at: where the set is referred to. Nesting is bounded by the number of sets; see read_ipsets(). */
static bool read_ipset(struct reader *rd, struct ipset *set, struct place at)
{
	const struct hujson_value *list;

	if (set->state == IPSET_READING) {
		read_error(rd, at, "\"%s\" contains itself; take it out", set->name);
		return false;
	}
	if (set->state == IPSET_READ)
		return true;
	set->state = IPSET_READING;
	list = read_array(rd, set->source, MAX_IPSET_ENTRIES, "an ipset");
	for (size_t i = 0; list && i < list->n_items && !rd->no_memory; i++)
		read_ipset_entry(rd, &list->items[i], set);
	if (set->ranges.n > MAX_IPSET_ENTRIES)
		read_error(rd, set->source->key_at,
			   "\"%s\" comes to %zu ranges; at most %u are allowed", set->name,
			   set->ranges.n, MAX_IPSET_ENTRIES);
	set->state = IPSET_READ;
	return true;
}

void read_ipsets(struct reader *rd, const struct hujson_value *v)
{
	struct policy *p = rd->policy;

	if (!read_object(rd, v, "\"ipsets\""))
		return;
	if (v->n_items > MAX_IPSETS) {
		read_error(rd, v->at, "\"ipsets\" has %zu entries; at most %u are allowed",
			   v->n_items, MAX_IPSETS);
		return;
	}
	p->ipsets = read_alloc(rd, v->n_items, sizeof(*p->ipsets));
	for (size_t i = 0; p->ipsets && i < v->n_items; i++) {
		const struct hujson_value *m = &v->items[i];

		if (!has_prefix(m->key, "ipset:") || !m->key[strlen("ipset:")]) {
			read_error(rd, m->key_at,
				   "\"%.60s\" is no name of an ipset; write "
				   "\"ipset:name\"",
				   m->key);
			continue;
		}
		p->ipsets[p->n_ipsets] = (struct ipset){ .name = m->key, .source = m };
		if (!remember(rd, &p->ipset_map, m->key, p->n_ipsets++))
			return;
	}
	for (size_t i = 0; i < p->n_ipsets; i++)
		read_ipset(rd, &p->ipsets[i], p->ipsets[i].source->key_at);
}

static bool check_tag_name(struct reader *rd, const struct hujson_value *m)
{
	const char *name = m->key + strlen("tag:");

	if (!has_prefix(m->key, "tag:")) {
		read_error(rd, m->key_at, "\"%.60s\" is no tag; write \"tag:name\"", m->key);
		return false;
	}
	if (!isalpha((unsigned char)*name)) {
		read_error(rd, m->key_at,
			   "\"%.60s\": after \"tag:\" a tag's name begins with a letter "
			   "a-z; rename it",
			   m->key);
		return false;
	}
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '-') {
			read_error(rd, m->key_at,
				   "\"%.60s\": a tag's name consists of letters a-z, "
				   "digits and hyphens; rename it",
				   m->key);
			return false;
		}
	return true;
}

void read_tag_owners(struct reader *rd, const struct hujson_value *v)
{
	static const struct selector_use use = {
		.what = "the owner of a tag",
		.allowed = SEL_MASK_PEOPLE | SEL_MASK(SEL_TAG),
		.instead = "users, groups, autogroups of people or tags",
	};
	struct policy *p = rd->policy;
	struct tag_owners *owners;

	if (!read_object(rd, v, "\"tagOwners\""))
		return;
	p->tags = read_alloc(rd, v->n_items, sizeof(*p->tags));
	p->tag_owners = owners = read_alloc(rd, v->n_items, sizeof(*owners));
	if (!p->tags || !owners)
		return;
	/* All tags first: they may own each other. */
	for (size_t i = 0; i < v->n_items; i++) {
		if (!check_tag_name(rd, &v->items[i]))
			continue;
		owners[p->n_tags].source = &v->items[i];
		p->tags[p->n_tags] = v->items[i].key;
		if (!remember(rd, &p->tag_map, v->items[i].key, p->n_tags++))
			return;
	}
	for (size_t i = 0; i < p->n_tags; i++)
		selectors_read(rd, owners[i].source, &use, &owners[i].entries, &owners[i].n);
}
