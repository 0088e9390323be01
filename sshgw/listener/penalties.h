/*
 * Addresses whose connections break the protocol or never log in: who does that too often is
 * refused for a while, and for twice as long each time that it goes on. Others are not concerned.
 * Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

/* Addresses that are kept in mind. Who is refused for the shortest time makes room for one more. */
#define PENALTIES_MAX 1024u

struct penalty {
	struct ip_addr addr;
	uint64_t since_usec; /* of the first that counts, */
	uint64_t n;	     /* and how many there were */
	uint64_t until_usec; /* refused until then; 0: it never was */
	uint64_t usec;	     /* how long that was */
};

struct penalties {
	uint64_t after; /* so many within a minute; 0: nobody is refused */
	uint64_t first_usec, max_usec;
	struct penalty *list;
	size_t n;
};

/*
 * One of its connections has ended like that. now: of a clock that does not go back. Return: for
 * how long it is refused from now on, 0: it is not, or was already. Without memory, nobody is.
 */
uint64_t penalties_note(struct penalties *penalties, const struct ip_addr *addr, uint64_t now);
/* Return: for how long it is still refused; 0: it is not. */
uint64_t penalties_left(const struct penalties *penalties, const struct ip_addr *addr,
			uint64_t now);
void penalties_done(struct penalties *penalties);
