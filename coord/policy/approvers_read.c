/* autoApprovers: whose advertised routes are enabled without asking. */
#include <errno.h>

#include "coord/policy/read.h"
#include "coord/policy/selector.h"

static const struct selector_use use = {
	.what = "an approver",
	.allowed = SEL_MASK_PEOPLE | SEL_MASK_TAGS,
	.instead = "tags, users or groups",
};

static void read_route(struct reader *rd, const struct hujson_value *m,
		       struct route_approver *approver)
{
	char buf[RANGE_STRLEN];
	int r = range_parse(m->key, &approver->range);

	selectors_read(rd, m, &use, &approver->approvers, &approver->n_approvers);
	if (r == RANGE_HOST_BITS)
		read_error(rd, m->key_at, "\"%.60s\" has bits set behind its length; write %s",
			   m->key, range_to_string(&approver->range, buf));
	else if (r < 0)
		read_error(rd, m->key_at,
			   "\"%.60s\" is no route; write a prefix, such as 10.0.0.0/8", m->key);
}

static void read_routes(struct reader *rd, const struct hujson_value *v)
{
	struct policy *p = rd->policy;

	if (is_absent(v) || !read_object(rd, v, "\"routes\""))
		return;
	p->route_approvers = read_alloc(rd, v->n_items, sizeof(*p->route_approvers));
	for (size_t i = 0; p->route_approvers && i < v->n_items; i++)
		read_route(rd, &v->items[i], &p->route_approvers[p->n_route_approvers++]);
}

void read_auto_approvers(struct reader *rd, const struct hujson_value *v)
{
	static const char *const names[] = { "routes", "exitNode", "services" };
	const struct hujson_value *m[ARRAY_SIZE(names)] = { NULL };

	if (!read_object(rd, v, "\"autoApprovers\""))
		return;
	read_members(rd, v, names, ARRAY_SIZE(names), m);
	read_routes(rd, m[0]);
	selectors_read(rd, m[1], &use, &rd->policy->exit_approvers, &rd->policy->n_exit_approvers);
	if (!is_absent(m[2]))
		read_warn(rd, m[2]->key_at, "services are not supported; \"services\" is ignored");
}
