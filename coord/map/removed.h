/* Nodes that were removed of late, so that those who were away can be told. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REMOVED_MAX 4096u /* remembered; who missed more gets a full map */

struct removed_node {
	uint64_t revision;
	char *id;
};

/* Zero-initialise; removed_done() frees. */
struct removed {
	struct removed_node *items; /* by revision */
	size_t n, size;
	uint64_t from;	  /* nothing is missing that was removed after this revision */
	uint64_t dropped; /* the last one that was forgotten */
};
void removed_done(struct removed *removed);

/* What is removed after this revision will be added as it happens. */
void removed_begin(struct removed *removed, uint64_t revision);
/* What was removed after this revision has been added, too; some of it may have been dropped. */
void removed_reach_back(struct removed *removed, uint64_t revision);

/* Without memory all are forgotten, and "from" says so. */
void removed_add(struct removed *removed, uint64_t revision, const char *id);
/* The number of the first that was removed after this revision; n: none. */
size_t removed_after(const struct removed *removed, uint64_t revision);
