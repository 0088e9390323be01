#include "agent/kernel/shut.h"

#include <errno.h>
#include <string.h>

#include "agent/kernel/link.h"

static int empty_filter(const struct kernel_plan *plan, struct filter_table **ret_filter)
{
	_cleanup_(filter_table_freep) struct filter_table *filter = filter_table_new();

	if (!filter)
		return -ENOMEM;
	filter->own = calloc(plan->n_addresses + 1, sizeof(*filter->own));
	if (!filter->own)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_addresses; i++)
		filter->own[filter->n_own++] = plan->addresses[i];
	*ret_filter = take_ptr(filter);
	return 0;
}

int kernel_shut_table(struct kernel *kernel, const struct kernel_plan *plan, char **reterr_text)
{
	_cleanup_(filter_table_freep) struct filter_table *old = NULL;
	struct filter_table *filter = NULL;
	struct nft_changes changes;
	int r;

	if (nft_in_force(kernel->nft))
		return 0;
	r = empty_filter(plan, &filter);
	if (r == 0)
		r = nft_apply(kernel->nft, filter, plan->divert_ssh, &changes, &old, reterr_text);
	if (r == 0)
		kernel->n_shut++;
	return r;
}

void kernel_shut(struct kernel *kernel)
{
	_cleanup_free_ char *text = NULL;

	if (kernel->ifindex && kernel_shut_table(kernel, &kernel->done, &text) < 0)
		kernel_close_link(kernel);
}
