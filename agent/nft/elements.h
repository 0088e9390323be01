/* Changes of the filter as messages of a transaction. */
#pragma once

#include "agent/filter/diff.h"
#include "agent/nft/batch.h"

/*
 * Put the difference into a batch: what goes before what comes, in an order in which nothing that
 * goes away is still referred to. from and to are the tables that diff was built from.
 */
void nft_put_diff(struct nft_batch *batch, const struct filter_table *from,
		  const struct filter_table *to, const struct filter_diff *diff);
