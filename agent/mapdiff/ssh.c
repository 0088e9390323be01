/*
 * Who may log in as whom. Addresses that the same rules name, in the old map and in the new one,
 * are decided alike: one of them is tried with every user that those rules speak of, and with one
 * that none does.
 */
#include <errno.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/mapdiff/parts.h"
#include "agent/ssh/policy.h"
#include "common/text.h"

/* Each try goes through all rules of both maps: a hostile map must not make it endless. */
#define MAX_TRIES 200000u

/* "This rule names this address." */
struct naming {
	struct ip_addr addr;
	uint32_t rule;
};

struct namings {
	const struct netmap *map; /* NULL: none */
	struct naming *all;	  /* by address, then rule */
	size_t n, n_alloc;
};

/* The rules that name one address. */
struct named {
	const struct naming *first;
	size_t n;
};

struct item {
	struct named from, to;
	uint8_t kind; /* whether a peer of either map has it, and whether its key has expired */
	size_t index; /* of the address */
};

struct logins {
	struct namings from, to;
	uint64_t now_usec;
	struct diff_groups groups;
	size_t tries;
	bool cut;
};

static int compare_namings(const void *a, const void *b)
{
	const struct naming *x = a, *y = b;
	int c = ip_addr_compare(&x->addr, &y->addr);

	return c ? c : (x->rule > y->rule) - (x->rule < y->rule);
}

static int collect_namings(const struct netmap *map, struct namings *namings)
{
	namings->map = map;
	for (size_t i = 0; map && i < map->n_ssh_rules; i++) {
		const struct ssh_rule *rule = &map->ssh_rules[i];

		for (size_t k = 0; k < rule->n_principals; k++) {
			int r = array_grow(&namings->all, &namings->n_alloc, namings->n,
					   sizeof(*namings->all));

			if (r < 0)
				return r;
			namings->all[namings->n++] =
				(struct naming){ rule->principals[k], (uint32_t)i };
		}
	}
	if (namings->n > 1)
		qsort(namings->all, namings->n, sizeof(*namings->all), compare_namings);
	return 0;
}

static struct named find_named(const struct namings *namings, const struct ip_addr *addr)
{
	size_t low = 0, high = namings->n, n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ip_addr_compare(&namings->all[middle].addr, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + n < namings->n && ip_addr_equal(&namings->all[low + n].addr, addr))
		n++;
	return (struct named){ n > 0 ? &namings->all[low] : NULL, n };
}

static int compare_named(const struct named *a, const struct named *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (size_t i = 0; i < a->n; i++)
		if (a->first[i].rule != b->first[i].rule)
			return a->first[i].rule < b->first[i].rule ? -1 : 1;
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c = (x->kind > y->kind) - (x->kind < y->kind);

	if (c == 0)
		c = compare_named(&x->from, &y->from);
	return c ? c : compare_named(&x->to, &y->to);
}

/* ---- the users to try ---- */

static int add_users_of(json_t *users, const struct ssh_rule *rule)
{
	for (size_t i = 0; i < rule->n_users; i++)
		if (strcmp(rule->users[i].ssh_user, "*") != 0 &&
		    json_object_set_new(users, rule->users[i].ssh_user, json_null()) < 0)
			return -ENOMEM;
	return 0;
}

static int add_users(json_t *users, const struct netmap *map, const struct named *named)
{
	int r = 0;

	for (size_t i = 0; i < named->n && r == 0; i++)
		r = add_users_of(users, &map->ssh_rules[named->first[i].rule]);
	for (size_t i = 0; map && i < map->n_ssh_rules && r == 0; i++)
		if (map->ssh_rules[i].any)
			r = add_users_of(users, &map->ssh_rules[i]);
	return r;
}

/* The set of user names, as the keys of an object. */
static int users_to_try(const struct logins *logins, const struct item *item, json_t **ret_users)
{
	json_auto_t *users = json_pack("{s:n}", "root");
	int r = users ? 0 : -ENOMEM;

	if (r == 0)
		r = add_users(users, logins->from.map, &item->from);
	if (r == 0)
		r = add_users(users, logins->to.map, &item->to);
	if (r == 0)
		*ret_users = take_ptr(users);
	return r;
}

/* A valid user name that is none of these: longer than the longest. */
static char *name_of_nobody(json_t *users)
{
	size_t longest = 0, len;
	const char *user;
	json_t *value;
	char *name;

	json_object_foreach (users, user, value) {
		len = strlen(user);
		longest = len > longest ? len : longest;
	}
	/* A user name has 256 bytes at most; a rule that has one of these cannot apply. */
	longest = longest < 255 ? longest : 255;
	name = malloc(longest + 2);
	if (!name)
		return NULL;
	memset(name, 'x', longest + 1);
	name[longest + 1] = '\0';
	return name;
}

/* ---- one user ---- */

struct outcome {
	bool accepted;
	struct ssh_decision d;
};

static void try(const struct netmap *map, const struct ip_addr *addr, const char *user,
		uint64_t now_usec, struct outcome *ret)
{
	*ret = (struct outcome){ 0 };
	if (!map)
		return;
	ssh_policy_decide(map, addr, user, now_usec, &ret->d);
	ret->accepted = ret->d.verdict == SSH_VERDICT_ACCEPT;
}

static json_t *json_rule(const struct outcome *o)
{
	const char *origin = o->d.rule->origin;

	return origin ? json_string(origin) : json_sprintf("ssh_rules[%zu]", o->d.rule_index);
}

/* The account of whom is asked for as such, or as "*". */
static const char *account_shown(const struct outcome *o, const char *user, const char *shown)
{
	return strcmp(o->d.local_user, user) == 0 ? shown : o->d.local_user;
}

static int add_login(json_t *list, const struct outcome *o, const char *user, const char *shown)
{
	return json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "user", shown, "account",
						     account_shown(o, user, shown), "rule",
						     json_rule(o)));
}

static int add_change(json_t *list, const char *user, const char *what, const char *from,
		      const char *to)
{
	if (strcmp(from ? from : "", to ? to : "") == 0)
		return 0;
	return json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "user", user, "what",
						     what, "from", from ? from : "none", "to",
						     to ? to : "none"));
}

static const char *forwarding_text(const struct ssh_forwarding *f, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s%s", f->agent ? "agent " : "", f->local ? "local " : "",
		 f->remote ? "remote " : "");
	if (buf[0] == '\0')
		return "none";
	buf[strlen(buf) - 1] = '\0';
	return buf;
}

static const char *end_text(uint64_t usec, char *buf, size_t size)
{
	return usec == UINT64_MAX ? "never" : format_rfc3339(usec, buf, size);
}

/* The terms of a login that both maps give. */
static int add_changes(json_t *list, const struct outcome *a, const struct outcome *b,
		       const char *user, const char *shown)
{
	char x[32], y[32];
	int r;

	r = add_change(list, shown, "account", account_shown(a, user, shown),
		       account_shown(b, user, shown));
	if (r == 0 && a->d.nonroot != b->d.nonroot)
		r = add_change(list, shown, "an account with uid 0", a->d.nonroot ? "no" : "yes",
			       b->d.nonroot ? "no" : "yes");
	if (r == 0)
		r = add_change(list, shown, "forced command", a->d.rule->force_command,
			       b->d.rule->force_command);
	if (r == 0)
		r = add_change(list, shown, "forwarding",
			       forwarding_text(&a->d.rule->forwarding, x, sizeof(x)),
			       forwarding_text(&b->d.rule->forwarding, y, sizeof(y)));
	if (r == 0)
		r = add_change(list, shown, "end of the rule",
			       end_text(a->d.rule->rule_expires, x, sizeof(x)),
			       end_text(b->d.rule->rule_expires, y, sizeof(y)));
	return r;
}

/* A user in both maps: "*" is tried under a name that no rule has. */
struct trial {
	const char *user, *shown;
	struct outcome from, to;
};

/* Lists of what changes for the addresses of one item. */
struct lists {
	json_t *gained, *lost, *changed;
};

static bool is_treated_as(const struct outcome *o, const char *user, const struct outcome *other,
			  const char *other_user)
{
	bool same_name = strcmp(o->d.local_user, user) == 0;

	if (!o->accepted || !other->accepted)
		return o->accepted == other->accepted;
	return o->d.rule == other->d.rule &&
	       same_name == (strcmp(other->d.local_user, other_user) == 0) &&
	       (same_name || strcmp(o->d.local_user, other->d.local_user) == 0);
}

/* Whom no rule treats in another way than everybody is said with "any other". But root is named. */
static bool is_said_with_any(const struct trial *trial, const struct trial *any)
{
	return strcmp(trial->user, "root") != 0 &&
	       is_treated_as(&trial->from, trial->user, &any->from, any->user) &&
	       is_treated_as(&trial->to, trial->user, &any->to, any->user);
}

static int add_trial(const struct trial *trial, const struct lists *lists)
{
	const struct outcome *a = &trial->from, *b = &trial->to;

	if (a->accepted && b->accepted)
		return add_changes(lists->changed, a, b, trial->user, trial->shown);
	if (a->accepted)
		return add_login(lists->lost, a, trial->user, trial->shown);
	return b->accepted ? add_login(lists->gained, b, trial->user, trial->shown) : 0;
}

static struct trial try_user(struct logins *logins, const struct ip_addr *addr, const char *user,
			     const char *shown)
{
	struct trial trial = { .user = user, .shown = shown };

	if (++logins->tries > MAX_TRIES) {
		logins->cut = true;
		return trial;
	}
	try(logins->from.map, addr, user, logins->now_usec, &trial.from);
	try(logins->to.map, addr, user, logins->now_usec, &trial.to);
	return trial;
}

/* ---- one item ---- */

static int compare_users(struct logins *logins, const struct item *item, const struct ip_addr *addr,
			 const struct lists *lists)
{
	_cleanup_free_ char *nobody = NULL;
	json_auto_t *users = NULL;
	struct trial any;
	const char *user;
	json_t *value;
	int r;

	r = users_to_try(logins, item, &users);
	if (r < 0)
		return r;
	nobody = name_of_nobody(users);
	if (!nobody)
		return -ENOMEM;
	any = try_user(logins, addr, nobody, "*");
	json_object_foreach (users, user, value) {
		struct trial trial = try_user(logins, addr, user, user);

		if (!is_said_with_any(&trial, &any) && add_trial(&trial, lists) < 0)
			return -ENOMEM;
	}
	return add_trial(&any, lists) < 0 ? -ENOMEM : 0;
}

static int change_of(struct logins *logins, const struct item *item, const struct ip_addr *addr,
		     json_t **ret_change)
{
	json_auto_t *gained = json_array(), *lost = json_array(), *changed = json_array();
	const struct lists lists = { gained, lost, changed };
	int r = gained && lost && changed ? 0 : -ENOMEM;

	*ret_change = NULL;
	if (r == 0)
		r = compare_users(logins, item, addr, &lists);
	if (r < 0 ||
	    json_array_size(gained) + json_array_size(lost) + json_array_size(changed) == 0)
		return r;
	*ret_change =
		json_pack("{s:O, s:O, s:O}", "gained", gained, "lost", lost, "changed", changed);
	return *ret_change ? 0 : -ENOMEM;
}

static uint8_t kind_of(const struct diff_address *address, uint64_t now_usec)
{
	return (uint8_t)((address->from != NULL) | (address->to != NULL) << 1 |
			 (address->from && netmap_node_expired(address->from, now_usec)) << 2 |
			 (address->to && netmap_node_expired(address->to, now_usec)) << 3);
}

static int group_items(struct logins *logins, struct item *items, size_t n,
		       struct diff_address *addresses)
{
	size_t group = 0;

	qsort(items, n, sizeof(*items), compare_items);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || compare_items(&items[i - 1], &items[i]) != 0) {
			json_t *change = NULL;
			int r = change_of(logins, &items[i], &addresses[items[i].index].addr,
					  &change);

			if (r == 0)
				r = diff_group_of(&logins->groups, change, &group);
			if (r < 0)
				return r;
		}
		addresses[items[i].index].group = group;
	}
	return 0;
}

static int compare_logins(struct logins *logins)
{
	_cleanup_free_ struct diff_address *addresses = NULL;
	_cleanup_free_ struct item *items = NULL;
	size_t n;
	int r;

	r = diff_addresses(logins->from.map, logins->to.map, &addresses, &n);
	if (r < 0)
		return r;
	items = calloc(n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		items[i] = (struct item){
			.from = find_named(&logins->from, &addresses[i].addr),
			.to = find_named(&logins->to, &addresses[i].addr),
			.kind = kind_of(&addresses[i], logins->now_usec),
			.index = i,
		};
	r = group_items(logins, items, n, addresses);
	return r < 0 ? r : diff_groups_name(&logins->groups, addresses, n);
}

int diff_ssh(const struct netmap *from, const struct netmap *to, uint64_t now_usec,
	     json_t **ret_ssh, bool *ret_cut)
{
	struct logins logins = { .now_usec = now_usec };
	int r;

	r = collect_namings(from, &logins.from);
	if (r == 0)
		r = collect_namings(to, &logins.to);
	if (r == 0)
		r = compare_logins(&logins);
	if (r == 0) {
		*ret_ssh = diff_groups_json(&logins.groups);
		*ret_cut = logins.cut;
		r = *ret_ssh ? 0 : -ENOMEM;
	}
	diff_groups_done(&logins.groups);
	free(logins.from.all);
	free(logins.to.all);
	return r;
}
