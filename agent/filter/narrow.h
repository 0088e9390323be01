/* The step between two filter tables: nothing is given yet, and what goes is gone. */
#pragma once

#include "agent/filter/table.h"

/*
 * The rights that both tables give; but the own addresses of either, which are only about what is
 * kept out. from may be NULL. Return: 0, -ENOMEM.
 */
int filter_narrow(const struct filter_table *from, const struct filter_table *to,
		  struct filter_table **ret_table);
