/* What must change to turn one filter table into another: pure. */
#pragma once

#include "agent/filter/table.h"

/* Elements of one array. What changes under the same key is in both lists. Pointers are borrowed.
 */
struct diff_list {
	const void **gone;
	size_t n_gone;
	const void **fresh;
	size_t n_fresh;
};

struct filter_diff {
	struct diff_list own;	   /* struct ip_addr */
	struct diff_list exact;	   /* struct filter_source */
	struct diff_list nets;	   /* struct filter_source */
	struct diff_list flows;	   /* struct filter_flow */
	struct diff_list counters; /* struct filter_counter */
};

/* Return: 0, -ENOMEM. */
int filter_diff_build(const struct filter_table *from, const struct filter_table *to,
		      struct filter_diff *ret_diff);
void filter_diff_done(struct filter_diff *diff);
bool filter_diff_empty(const struct filter_diff *diff);
/* Elements of sets and maps, counters left out. */
unsigned filter_diff_gone(const struct filter_diff *diff);
unsigned filter_diff_fresh(const struct filter_diff *diff);
