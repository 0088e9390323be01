/* Lists: asked for, sorted, shown as a table. */
#include <errno.h>

#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

int ctl_print_list(const struct ctl *ctl, const struct ctl_list *list, const json_t *reply)
{
	_cleanup_free_ const json_t **items = NULL;
	struct cli_table *table;
	size_t n = 0;
	int r = cli_table_new(list->columns, list->n_columns, &table);

	if (r < 0)
		return r;
	items = listed_sort(json_object_get(reply, list->path), list->sort, &n);
	for (size_t i = 0; i < n; i++)
		list->row(table, items[i], ctl->now_usec);
	return listed_print(table, items, n, list->none, &ctl->out);
}

int ctl_show_list(struct ctl *ctl, const struct ctl_list *list)
{
	json_t *reply;
	int r = ctl_ask(ctl, "GET", list->path, NULL, &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	r = ctl_print_list(ctl, list, reply);
	json_decref(reply);
	return ctl_rendered(ctl, r);
}
