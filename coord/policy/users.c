/* Users of the engine, and the selectors that they fall under. */
#include <errno.h>
#include <string.h>

#include "coord/policy/engine.h"
#include "coord/policy/grow.h"
#include "coord/policy/network.h"

static bool is_about_people(const struct selector *sel)
{
	switch (sel->kind) {
	case SEL_USER:
	case SEL_DOMAIN:
	case SEL_GROUP:
	case SEL_MEMBER:
	case SEL_ROLE:
		return true;
	case SEL_ANY:
	case SEL_DANGER_ALL:
	case SEL_TAG:
	case SEL_TAGGED:
	case SEL_SHARED:
	case SEL_SELF:
	case SEL_INTERNET:
	case SEL_RANGES:
		return false;
	}
	return false;
}

/* A user who came later: ask every selector. */
static int mark_user(struct policy_engine *e, struct engine_user *user)
{
	const struct policy *p = e->policy;

	for (size_t i = 0; i < p->n_selectors; i++)
		if (e->sel_used[i] && is_about_people(&p->selectors[i]) &&
		    selector_matches_user(p, &p->selectors[i], &user->data) &&
		    id_list_add(&user->marks, (uint32_t)i) < 0)
			return -ENOMEM;
	return 0;
}

static void user_done(struct engine_user *user)
{
	policy_user_done(&user->data);
	free(user->nodes.items);
	free(user->marks.items);
}

int engine_user_get(struct policy_engine *e, const struct policy_user *data, uint32_t *ret_user)
{
	uint32_t known = strmap_get(&e->user_map, data->login);
	struct engine_user user = { 0 };

	if (known != STRMAP_NONE) {
		*ret_user = known;
		return 0;
	}
	if (grow(&e->users, e->n_users + 1, &e->size_users) < 0)
		return -ENOMEM;
	if (policy_user_copy(data, &user.data) < 0 || (!e->loading && mark_user(e, &user) < 0) ||
	    strmap_set(&e->user_map, user.data.login, (uint32_t)e->n_users) < 0) {
		user_done(&user);
		return -ENOMEM;
	}
	e->users[e->n_users] = user;
	*ret_user = (uint32_t)e->n_users++;
	return 0;
}

static int mark_login(struct policy_engine *e, const char *login, uint32_t mark)
{
	uint32_t user = strmap_get(&e->user_map, login);

	return user == STRMAP_NONE ? 0 : id_list_add(&e->users[user].marks, mark);
}

static int mark_group(struct policy_engine *e, const struct group *group, uint32_t mark)
{
	for (size_t i = 0; i < group->n_members; i++)
		if (mark_login(e, group->members[i], mark) < 0)
			return -ENOMEM;
	return 0;
}

/* Those whom others say to be in groups: marked from their side, for all groups at once. */
static int mark_mapped(struct policy_engine *e, struct engine_user *user)
{
	for (size_t i = 0; i < user->data.n_groups; i++) {
		uint32_t sel = strmap_get(&e->policy->selector_map, user->data.groups[i]);

		if (sel != STRMAP_NONE && e->sel_used[sel] && id_list_add(&user->marks, sel) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Names look users up; only the few selectors that go by a property ask all of them. */
static int mark_by_selector(struct policy_engine *e, uint32_t i)
{
	const struct selector *sel = &e->policy->selectors[i];

	if (sel->kind == SEL_USER)
		return mark_login(e, sel->text, i);
	if (sel->kind == SEL_GROUP)
		return mark_group(e, &e->policy->groups[sel->group], i);
	for (size_t k = 0; k < e->n_users; k++)
		if (selector_matches_user(e->policy, sel, &e->users[k].data) &&
		    id_list_add(&e->users[k].marks, i) < 0)
			return -ENOMEM;
	return 0;
}

int engine_mark_users(struct policy_engine *e)
{
	for (size_t i = 0; i < e->policy->n_selectors; i++)
		if (e->sel_used[i] && is_about_people(&e->policy->selectors[i]) &&
		    mark_by_selector(e, (uint32_t)i) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < e->n_users; i++)
		if (mark_mapped(e, &e->users[i]) < 0)
			return -ENOMEM;
	return 0;
}

void engine_users_done(struct policy_engine *e)
{
	for (size_t i = 0; i < e->n_users; i++)
		user_done(&e->users[i]);
	free(e->users);
	strmap_done(&e->user_map);
}
