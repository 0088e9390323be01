/* Who may give a tag. */
#include <errno.h>
#include <string.h>

#include "common/text_stream.h"
#include "coord/policy/model.h"

#define GIVES_ALL (POLICY_ROLE_OWNER | POLICY_ROLE_ADMIN | POLICY_ROLE_NETWORK_ADMIN)

/* Owners that a refusal names. */
#define MAX_NAMED 5u

static bool owns(const struct policy *policy, const struct entry *owner,
		 const struct policy_giver *giver)
{
	const struct selector *sel = entry_selector(policy, owner);
	const struct policy_user person = { .login = (char *)giver->login,
					    .roles = giver->roles,
					    .groups = (char **)giver->groups,
					    .n_groups = giver->n_groups };

	if (giver->login && selector_matches_user(policy, sel, &person))
		return true;
	for (size_t i = 0; i < giver->n_tags; i++)
		if (selector_matches_tag(sel, giver->tags[i]))
			return true;
	return false;
}

static bool may_tag(const struct policy *policy, const struct tag_owners *owners,
		    const struct policy_giver *giver)
{
	if (!giver->login && giver->n_tags == 0)
		return true;
	if (giver->login && (giver->roles & GIVES_ALL))
		return true;
	for (size_t i = 0; i < owners->n; i++)
		if (owns(policy, &owners->entries[i], giver))
			return true;
	return false;
}

static void print_owners(FILE *f, const struct tag_owners *owners)
{
	if (owners->n == 0)
		fputs("nobody, so only operators may", f);
	for (size_t i = 0; i < owners->n && i < MAX_NAMED; i++)
		fprintf(f, "%s%s", i > 0 ? ", " : "", owners->entries[i].text);
	if (owners->n > MAX_NAMED)
		fprintf(f, " and %zu more", owners->n - MAX_NAMED);
}

static int refuse(const struct tag_owners *owners, const struct policy_giver *giver,
		  const char *tag, char **reterr_text)
{
	struct text_stream out;
	char *text;

	if (text_stream_open(&out) < 0)
		return -ENOMEM;
	if (!owners) {
		fprintf(out.file,
			"%.80s: the policy's tagOwners does not name it; add it there first", tag);
	} else {
		fprintf(out.file, "%s: %s may not give it; tagOwners names ", tag,
			giver->login ? giver->login : giver->tags[0]);
		print_owners(out.file, owners);
	}
	text = text_stream_close(&out);
	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return -EINVAL;
}

int policy_may_tag(const struct policy *policy, const struct policy_giver *giver, const char *tag,
		   char **reterr_text)
{
	uint32_t i = strmap_get(&policy->tag_map, tag);
	const struct tag_owners *owners = i == STRMAP_NONE ? NULL : &policy->tag_owners[i];

	if (owners && may_tag(policy, owners, giver))
		return 0;
	return refuse(owners, giver, tag, reterr_text);
}
