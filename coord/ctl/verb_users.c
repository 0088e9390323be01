/* "users": people. */
#include <errno.h>

#include "common/cli/value.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

static void add_user_row(struct cli_table *table, const json_t *user, uint64_t now_usec)
{
	listed_text(table, user, "login");
	listed_text(table, user, "name");
	listed_words(table, user, "roles");
	if (json_is_string(json_object_get(user, "gone_from")))
		cli_table_add(table, CLI_BAD, "gone");
	else if (json_is_string(json_object_get(user, "suspended")))
		cli_table_add(table, CLI_BAD, "suspended");
	else
		cli_table_add(table, CLI_GOOD, "active");
	listed_time(table, user, "last_sign_in", now_usec, "-");
	listed_time(table, user, "created", now_usec, "-");
}

int verb_users_list(int argc, char **argv, void *userdata)
{
	static const struct cli_column columns[] = {
		{ "LOGIN", false }, { "NAME", false },	       { "ROLES", false },
		{ "STATE", false }, { "LAST SIGN-IN", false }, { "ADDED", false },
	};
	static const struct ctl_list list = {
		.path = "users",
		.sort = "login",
		.columns = columns,
		.n_columns = ARRAY_SIZE(columns),
		.row = add_user_row,
		.none = "There are no users. Add one: coordctl users add alice@example.com",
	};

	return ctl_show_list(userdata, &list);
}

static void add_group_row(struct cli_table *table, const json_t *mapping, uint64_t now_usec)
{
	listed_text(table, mapping, "group");
	listed_text(table, mapping, "issuer");
	listed_text(table, mapping, "value");
}

int verb_users_groups(int argc, char **argv, void *userdata)
{
	static const struct cli_column columns[] = {
		{ "GROUP", false },
		{ "PROVIDER", false },
		{ "ITS GROUP", false },
	};
	static const struct ctl_list list = {
		.path = "groups",
		.sort = "group",
		.columns = columns,
		.n_columns = ARRAY_SIZE(columns),
		.row = add_group_row,
		.none = "No provider's groups are groups of the policy: see Group= in "
			"peergate-coord.conf(5)",
	};

	return ctl_show_list(userdata, &list);
}

static int render_user(const struct ctl *ctl, const json_t *reply)
{
	_cleanup_free_ char *roles = value_list(json_object_get(reply, "roles"), LISTED_WORDS);
	int r = cli_show(&ctl->out, CLI_PLAIN, "%s: roles: %s", value_text(reply, "login"),
			 roles ? roles : "-");

	fputc('\n', ctl->out.file);
	return r;
}

/* roles: of --role; set: also if there are none. */
static json_t *user_body(const struct ctl *ctl, const char *login, bool set_roles)
{
	json_t *roles = ctl->roles.n > 0 || set_roles ? ctl_words_json(&ctl->roles) : NULL;

	return json_pack("{s:s*, s:s*, s:o*}", "login", login, "name", ctl->name, "roles", roles);
}

int verb_users_add(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask(ctl, "POST", "users", user_body(ctl, argv[0], false), &reply);

	if (r != CLI_OK)
		return r;
	if (!ctl->set_password_link)
		return ctl_show(ctl, reply, render_user);
	json_decref(reply);
	return ctl_password_link(ctl, argv[0]);
}

int verb_users_set(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r;

	if (!ctl->name && ctl->roles.n == 0 && !ctl->no_roles)
		return ctl_tell_usage(ctl, "say what to set: --name, --role or --no-roles");
	if (ctl->roles.n > 0 && ctl->no_roles)
		return ctl_tell_usage(ctl, "--role and --no-roles do not go together");
	r = ctl_ask_about(ctl, "PATCH", "users/", argv[0], "", user_body(ctl, NULL, ctl->no_roles),
			  &reply);
	return r == CLI_OK ? ctl_show(ctl, reply, render_user) : r;
}

int verb_users_delete(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask_about(ctl, "DELETE", "users/", argv[0], "", NULL, &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	json_decref(reply);
	r = cli_show(&ctl->out, CLI_PLAIN, "%s: deleted, auth keys of theirs included", argv[0]);
	fputc('\n', ctl->out.file);
	return ctl_rendered(ctl, r);
}
