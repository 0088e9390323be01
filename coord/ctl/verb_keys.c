/* "authkeys" and "apikeys". */
#include <errno.h>
#include <string.h>

#include "common/cli/value.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

static void add_state(struct cli_table *table, const json_t *key)
{
	const char *state = value_text(key, "state");

	cli_table_add(table, strcmp(state, "valid") == 0 ? CLI_GOOD : CLI_FAINT, "%s", state);
}

/* The key alone goes to standard output: it can be put into a file, and is shown this once. */
static int render_created(const struct ctl *ctl, const json_t *reply)
{
	int r = cli_show(&ctl->out, CLI_PLAIN, "%s", value_text(reply, "key"));

	fputc('\n', ctl->out.file);
	if (r < 0 || !ctl->err.terminal)
		return r;
	r = cli_show(&ctl->err, CLI_FAINT,
		     "This is the only time that the key is shown. Its id is %s.",
		     value_text(reply, "id"));
	fputc('\n', ctl->err.file);
	return r;
}

static int revoke_key(struct ctl *ctl, const char *prefix, const char *id)
{
	json_t *reply;
	int r = ctl_ask_about(ctl, "DELETE", prefix, id, "", NULL, &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	json_decref(reply);
	r = cli_show(&ctl->out, CLI_PLAIN, "%s: revoked", id);
	fputc('\n', ctl->out.file);
	return ctl_rendered(ctl, r);
}

/* ---- auth keys ---- */

static void add_authkey_row(struct cli_table *table, const json_t *key, uint64_t now_usec)
{
	bool reusable = json_is_true(json_object_get(key, "reusable"));
	bool ephemeral = json_is_true(json_object_get(key, "ephemeral"));

	listed_text(table, key, "id");
	add_state(table, key);
	listed_owner(table, key);
	cli_table_add(table, CLI_PLAIN, "%s%s", reusable ? "reusable" : "one host",
		      ephemeral ? ", ephemeral" : "");
	listed_time(table, key, "expires", now_usec, "never");
	cli_table_add(table, CLI_PLAIN, "%llu", (unsigned long long)value_number(key, "used"));
	listed_text(table, key, "created_by");
	listed_text(table, key, "description");
}

int verb_authkeys_list(int argc, char **argv, void *userdata)
{
	static const struct cli_column columns[] = {
		{ "ID", false },   { "STATE", false },	     { "FOR", false },
		{ "KIND", false }, { "EXPIRES", false },     { "USED", true },
		{ "BY", false },   { "DESCRIPTION", false },
	};
	static const struct ctl_list list = {
		.path = "authkeys",
		.sort = "expires",
		.columns = columns,
		.n_columns = ARRAY_SIZE(columns),
		.row = add_authkey_row,
		.none = "There are no auth keys.",
	};

	return ctl_show_list(userdata, &list);
}

int verb_authkeys_create(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *lifetime, *reply, *tags;
	int r;

	if (!ctl->user == (ctl->tags.n == 0))
		return ctl_tell_usage(ctl, "say whose the hosts will be: --user LOGIN, or --tag "
					   "TAG");
	r = ctl_read_lifetime(ctl, "--expires", ctl->expires, &lifetime);
	if (r != CLI_OK)
		return r;
	tags = ctl->tags.n > 0 ? ctl_words_json(&ctl->tags) : NULL;
	r = ctl_ask(ctl, "POST", "authkeys",
		    json_pack("{s:s*, s:o*, s:b, s:b, s:o*, s:s*}", "user", ctl->user, "tags", tags,
			      "reusable", ctl->reusable, "ephemeral", ctl->ephemeral, "expires_in",
			      lifetime, "description", ctl->description),
		    &reply);
	return r == CLI_OK ? ctl_show(ctl, reply, render_created) : r;
}

int verb_authkeys_revoke(int argc, char **argv, void *userdata)
{
	return revoke_key(userdata, "authkeys/", argv[0]);
}

/* ---- API keys ---- */

static void add_apikey_row(struct cli_table *table, const json_t *key, uint64_t now_usec)
{
	listed_text(table, key, "id");
	add_state(table, key);
	listed_words(table, key, "scopes");
	listed_time(table, key, "expires", now_usec, "never");
	listed_text(table, key, "created_by");
	listed_text(table, key, "description");
}

int verb_apikeys_list(int argc, char **argv, void *userdata)
{
	static const struct cli_column columns[] = {
		{ "ID", false },      { "STATE", false }, { "SCOPES", false },
		{ "EXPIRES", false }, { "BY", false },	  { "DESCRIPTION", false },
	};
	static const struct ctl_list list = {
		.path = "apikeys",
		.sort = "expires",
		.columns = columns,
		.n_columns = ARRAY_SIZE(columns),
		.row = add_apikey_row,
		.none = "There are no API keys.",
	};

	return ctl_show_list(userdata, &list);
}

int verb_apikeys_create(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *lifetime, *reply;
	int r;

	if (ctl->scopes.n == 0)
		return ctl_tell_usage(ctl, "say what the key is for: --scope policy:write");
	r = ctl_read_lifetime(ctl, "--expires", ctl->expires, &lifetime);
	if (r != CLI_OK)
		return r;
	r = ctl_ask(ctl, "POST", "apikeys",
		    json_pack("{s:o, s:o*, s:s*}", "scopes", ctl_words_json(&ctl->scopes),
			      "expires_in", lifetime, "description", ctl->description),
		    &reply);
	return r == CLI_OK ? ctl_show(ctl, reply, render_created) : r;
}

int verb_apikeys_revoke(int argc, char **argv, void *userdata)
{
	return revoke_key(userdata, "apikeys/", argv[0]);
}
