/* Lists of rule numbers, each stored once: sources with the same list are one class. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

#define RULELIST_EMPTY 0u /* id of the list without rules: always there */

struct rulelist {
	uint32_t *rules; /* ascending, each once */
	size_t n;
};

struct rulelists {
	struct rulelist *lists;
	size_t n, n_alloc;
	uint32_t *slots; /* hash table of ids + 1; 0: free */
	size_t n_slots;	 /* power of two */
};

int rulelists_init(struct rulelists *all);
void rulelists_done(struct rulelists *all);

/* The id of the list with these rules (ascending, each once; copied). Return: 0, -ENOMEM. */
int rulelists_intern(struct rulelists *all, const uint32_t *rules, size_t n, uint32_t *ret_id);
