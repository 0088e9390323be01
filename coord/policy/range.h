/* Ranges of addresses and sorted sets of them, both families on one line: IPv4 before IPv6. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/ip.h"
#include "coord/policy/policy.h"

struct range {
	unsigned __int128 first, last; /* host order; IPv4 in the low 32 bits */
	bool v6;
};

/* "10.0.0.1-10.0.0.9", or both ends the same. */
#define RANGE_STRLEN (2 * IP_ADDR_STRLEN)

struct range range_of_addr(const struct ip_addr *addr);
struct range range_of_prefix(const struct ip_prefix *prefix);
struct range range_all(bool v6);
struct ip_addr range_first_addr(const struct range *r);

/*
 * An address, a prefix, or "FIRST-LAST".
 * Return: 0, -EINVAL, or RANGE_HOST_BITS: a prefix whose host bits are not zero.
 */
enum {
	RANGE_HOST_BITS = 1,
};
int range_parse(const char *text, struct range *ret_range);
/* Shortest form: address, prefix, else "FIRST-LAST". buf of RANGE_STRLEN; returns buf. */
char *range_to_string(const struct range *r, char *buf);

bool range_is_single(const struct range *r);
bool range_overlaps(const struct range *a, const struct range *b);
/* outer holds all of inner */
bool range_contains(const struct range *outer, const struct range *inner);
/* Order: family, first, then the wider one first. */
int range_compare(const struct range *a, const struct range *b);

/* A set: sorted, disjoint, not adjacent. Zero-initialise. */
struct range_set {
	struct range *items;
	size_t n, size;
};
void range_set_done(struct range_set *set);

/* Append without keeping the order: range_set_normalize() follows. Return: 0, -ENOMEM. */
int range_set_append(struct range_set *set, const struct range *r);
void range_set_normalize(struct range_set *set);

int range_set_add(struct range_set *set, const struct range *r);
int range_set_add_set(struct range_set *set, const struct range_set *other);
int range_set_remove(struct range_set *set, const struct range *r);
bool range_set_overlaps(const struct range_set *set, const struct range *r);
/* All of r is in the set. */
bool range_set_contains(const struct range_set *set, const struct range *r);
