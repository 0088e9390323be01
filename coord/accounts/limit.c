#include "coord/accounts/limit.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/text.h"

#define FIRST_WAIT (UINT64_C(8) * USEC_PER_SEC)
#define MAX_WAIT   (UINT64_C(15) * 60 * USEC_PER_SEC)

struct tries {
	struct limit_key key; /* first: the tree compares it */
	TAILQ_ENTRY(tries) link;
	unsigned failures;
	uint64_t last;	/* when the last try began */
	uint64_t until; /* when the next one may */
};

struct limit {
	struct limit_config config;
	size_t n;
	void *tree;		    /* tsearch(3), balanced */
	TAILQ_HEAD(, tries) by_age; /* the oldest `last` first */
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct limit_key));
}

int limit_key(const char *login, const struct ip_addr *from, struct limit_key *ret_key)
{
	struct ip_addr addr = { 0 };
	char text[IP_ADDR_STRLEN] = "";
	_cleanup_free_ char *both = NULL;

	if (from && from->family != AF_UNSPEC) {
		addr = *from;
		/* Whoever has one address of a /64 has them all. */
		if (addr.family == AF_INET6)
			memset(addr.bytes + 8, 0, 8);
		ip_addr_to_string(&addr, text);
	}
	both = text_printf("%s %s", text, login ? login : "");
	return both ? sha256(both, strlen(both), ret_key->hash) : -ENOMEM;
}

int limit_new(const struct limit_config *config, struct limit **ret_limit)
{
	struct limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return -ENOMEM;
	limit->config = *config;
	TAILQ_INIT(&limit->by_age);
	*ret_limit = limit;
	return 0;
}

static struct tries *find(const struct limit *limit, const struct limit_key *key)
{
	struct tries **node = tfind(key, &limit->tree, compare);

	return node ? *node : NULL;
}

static void drop(struct limit *limit, struct tries *entry)
{
	tdelete(&entry->key, &limit->tree, compare);
	TAILQ_REMOVE(&limit->by_age, entry, link);
	free(entry);
	limit->n--;
}

struct limit *limit_free(struct limit *limit)
{
	if (!limit)
		return NULL;
	while (!TAILQ_EMPTY(&limit->by_age))
		drop(limit, TAILQ_FIRST(&limit->by_age));
	free(limit);
	return NULL;
}

/* 8 s, 16 s, 32 s, ... */
static uint64_t pause_after(const struct limit *limit, unsigned failures)
{
	unsigned excess = failures - limit->config.free;

	if (failures < limit->config.free)
		return 0;
	return excess < 10 && FIRST_WAIT << excess < MAX_WAIT ? FIRST_WAIT << excess : MAX_WAIT;
}

uint64_t limit_wait(const struct limit *limit, const struct limit_key *key, uint64_t now)
{
	const struct tries *entry = find(limit, key);

	return entry && entry->until > now ? entry->until - now : 0;
}

bool limit_has(const struct limit *limit, const struct limit_key *key, uint64_t now)
{
	const struct tries *entry = find(limit, key);

	return entry && now - entry->last < limit->config.forget_usec;
}

static struct tries *add(struct limit *limit, const struct limit_key *key)
{
	struct tries *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->key = *key;
	if (!tsearch(entry, &limit->tree, compare)) {
		free(entry);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&limit->by_age, entry, link);
	limit->n++;
	return entry;
}

/* Those that have been quiet for long; and one more if there is no room. */
static void make_room(struct limit *limit, uint64_t now)
{
	struct tries *oldest;

	while ((oldest = TAILQ_FIRST(&limit->by_age)) &&
	       (limit->n >= limit->config.max || now - oldest->last >= limit->config.forget_usec))
		drop(limit, oldest);
}

int limit_take(struct limit *limit, const struct limit_key *key, uint64_t now)
{
	struct tries *entry;

	make_room(limit, now);
	entry = find(limit, key);
	if (!entry)
		entry = add(limit, key);
	if (!entry)
		return -ENOMEM;
	TAILQ_REMOVE(&limit->by_age, entry, link);
	TAILQ_INSERT_TAIL(&limit->by_age, entry, link);
	entry->failures += entry->failures < 1000;
	entry->last = now;
	entry->until = now + pause_after(limit, entry->failures);
	return 0;
}

void limit_give_back(struct limit *limit, const struct limit_key *key)
{
	struct tries *entry = find(limit, key);

	if (!entry)
		return;
	entry->until = 0;
	if (--entry->failures == 0)
		drop(limit, entry);
}

void limit_forget(struct limit *limit, const struct limit_key *key)
{
	struct tries *entry = find(limit, key);

	if (entry)
		drop(limit, entry);
}
