/* Looking checks up: what still counts, and whether a login may go on. */
#include <string.h>

#include "coord/registry/check.h"

/* A time that is later than now, by a clock that was set back, counts only so far. */
#define CLOCK_SLACK_USEC (UINT64_C(60) * 1000000)

static bool is_owned_by(const struct registry *registry, const struct node_record *node,
			const char *user)
{
	return node && !node_is_expired(node, registry->clock()) && node->user &&
	       strcmp(node->user, user) == 0;
}

static const struct checkgrant_record *find_grant(const struct registry *registry, const char *node)
{
	return (const struct checkgrant_record *)table_find(&registry->state->checkgrants, node);
}

const struct checkgrant_record *check_grant_of_owner(const struct registry *registry,
						     const struct node_record *node)
{
	const struct checkgrant_record *grant = find_grant(registry, node->head.id);

	return grant && is_owned_by(registry, node, grant->user) ? grant : NULL;
}

uint64_t check_grant_revision(const struct registry *registry, const char *node)
{
	const struct checkgrant_record *grant = find_grant(registry, node);

	return grant ? grant->head.revision : 0;
}

const struct checkgrant_record *registry_checkgrant(const struct registry *registry, const char *id)
{
	const struct node_record *node = registry_node(registry, id);
	const struct checkgrant_record *grant = node ? check_grant_of_owner(registry, node) : NULL;
	const struct user_record *user = grant ? registry_user(registry, grant->user) : NULL;

	if (!user || user->suspended || !grant->at)
		return NULL;
	/* Who ends all that they have signed in to, means this as well. */
	return grant->at > user->signed_out ? grant : NULL;
}

const struct checkreq_record *check_request(const struct registry *registry, const char *id)
{
	return (const struct checkreq_record *)table_find(&registry->state->checkreqs, id);
}

const struct checkreq_record *registry_checkreq(const struct registry *registry, const char *id)
{
	const struct checkreq_record *req = check_request(registry, id);
	const struct user_record *user = req ? registry_user(registry, req->user) : NULL;

	if (!user || user->suspended || req->expires <= registry->clock())
		return NULL;
	return is_owned_by(registry, registry_node(registry, req->node), req->user) ? req : NULL;
}

const struct checkreq_record *registry_check_login(const struct registry *registry,
						   const char *login_id,
						   const struct check_login **ret_login)
{
	const struct checkreq_record *req;
	char id[CHECK_ID_SIZE];
	size_t number;

	if (!check_login_id_parse(login_id, id, &number))
		return NULL;
	req = registry_checkreq(registry, id);
	if (!req || number >= req->logins.n)
		return NULL;
	*ret_login = &req->logins.items[number];
	return req;
}

bool check_is_remembered(const struct registry *registry, const struct checkgrant_record *grant,
			 uint64_t period_usec)
{
	uint64_t now = registry->clock();

	if (grant->at > now)
		return period_usec > 0 && grant->at - now <= CLOCK_SLACK_USEC;
	return now - grant->at < period_usec;
}

enum registry_code registry_check_state(const struct registry *registry,
					const struct checkreq_record *req,
					const struct check_login *login, uint64_t period_usec,
					const struct checkgrant_record **ret_grant)
{
	const struct checkgrant_record *grant = registry_checkgrant(registry, req->node);
	bool is_later = grant && grant->order > login->order;

	/* Whichever request it was that was approved meanwhile, unless each login is to be shown.
	 */
	if ((is_later && (period_usec > 0 || req->state == CHECK_APPROVED)) ||
	    (grant && check_is_remembered(registry, grant, period_usec))) {
		*ret_grant = grant;
		return REGISTRY_OK;
	}
	switch (req->state) {
	case CHECK_WAITING:
		return REGISTRY_WAITING;
	case CHECK_DENIED:
		return REGISTRY_DENIED;
	case CHECK_APPROVED:
		return REGISTRY_NOT_FOUND;
	}
	return REGISTRY_NOT_FOUND;
}

size_t registry_n_checkgrants(const struct registry *registry)
{
	return registry->state->checkgrants.n;
}

const struct checkgrant_record *registry_checkgrant_at(const struct registry *registry, size_t i)
{
	return (const struct checkgrant_record *)registry->state->checkgrants.items[i];
}

size_t registry_n_checkreqs(const struct registry *registry)
{
	return registry->state->checkreqs.n;
}

const struct checkreq_record *registry_checkreq_at(const struct registry *registry, size_t i)
{
	return (const struct checkreq_record *)registry->state->checkreqs.items[i];
}
