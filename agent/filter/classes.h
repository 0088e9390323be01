/* Sources with the same rules form a class; a class has a number and disjoint flows. */
#pragma once

#include "agent/filter/members.h"
#include "agent/filter/openings.h"
#include "agent/filter/rulelist.h"
#include "agent/filter/table.h"

/*
 * Fill table->exact, nets and flows. Class numbers come from what a class may do, so that they stay
 * the same when peers come and go, and when the agent starts anew.
 * Return: 0, -ENOMEM, -E2BIG (more than max_flows).
 */
int classes_build(const struct members *members, const struct openings *openings,
		  const struct rulelists *lists, size_t max_flows, struct filter_table *table);
