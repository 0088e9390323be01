#include "sshgw/listener/penalties.h"

#include <stdlib.h>

#include "common/cleanup.h"
#include "common/clock.h"

#define WINDOW_USEC (60 * USEC_PER_SEC)
/* Whoever behaves for so long begins anew. */
#define FORGET_USEC (600 * USEC_PER_SEC)

static struct penalty *find(const struct penalties *penalties, const struct ip_addr *addr)
{
	for (size_t i = 0; i < penalties->n; i++)
		if (ip_addr_equal(&penalties->list[i].addr, addr))
			return &penalties->list[i];
	return NULL;
}

/* When it matters no more, but for how long the next time is. */
static uint64_t matters_until(const struct penalty *p)
{
	uint64_t window = p->since_usec + WINDOW_USEC;

	return p->until_usec > window ? p->until_usec : window;
}

static struct penalty *least(const struct penalties *penalties)
{
	struct penalty *least = &penalties->list[0];

	for (size_t i = 1; i < penalties->n; i++)
		if (matters_until(&penalties->list[i]) < matters_until(least))
			least = &penalties->list[i];
	return least;
}

static struct penalty *add(struct penalties *penalties, const struct ip_addr *addr)
{
	struct penalty *p = NULL, *list;

	if (penalties->n >= PENALTIES_MAX) {
		p = least(penalties);
	} else {
		list = reallocarray(penalties->list, penalties->n + 1, sizeof(*list));
		if (!list)
			return NULL;
		penalties->list = list;
		p = &list[penalties->n++];
	}
	*p = (struct penalty){ .addr = *addr };
	return p;
}

static uint64_t next_usec(const struct penalties *penalties, const struct penalty *p, uint64_t now)
{
	uint64_t usec = penalties->first_usec;

	if (p->until_usec > 0 && now - p->until_usec < FORGET_USEC)
		usec = 2 * p->usec;
	return usec < penalties->max_usec ? usec : penalties->max_usec;
}

uint64_t penalties_note(struct penalties *penalties, const struct ip_addr *addr, uint64_t now)
{
	struct penalty *p = find(penalties, addr);

	if (penalties->after == 0)
		return 0;
	if (!p)
		p = add(penalties, addr);
	/* What began before it was refused has been paid for. */
	if (!p || now < p->until_usec)
		return 0;
	if (p->n == 0 || now - p->since_usec >= WINDOW_USEC) {
		p->n = 0;
		p->since_usec = now;
	}
	if (++p->n < penalties->after)
		return 0;
	p->usec = next_usec(penalties, p, now);
	p->until_usec = now + p->usec;
	p->n = 0;
	return p->usec;
}

uint64_t penalties_left(const struct penalties *penalties, const struct ip_addr *addr, uint64_t now)
{
	const struct penalty *p = find(penalties, addr);

	return penalties->after > 0 && p && now < p->until_usec ? p->until_usec - now : 0;
}

void penalties_done(struct penalties *penalties)
{
	free(take_ptr(penalties->list));
	penalties->n = 0;
}
