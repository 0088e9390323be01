/* "nodes": hosts that are enrolled. */
#include <errno.h>
#include <string.h>

#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/text.h"
#include "coord/ctl/card.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* ---- list ---- */

static void add_state(struct cli_table *table, const json_t *node, uint64_t now_usec)
{
	char buf[CLI_FORMAT_LEN];
	const char *seen = listed_relative(node, "last_seen", now_usec, buf);

	if (is_true(node, "expired"))
		cli_table_add(table, CLI_BAD, "key expired");
	else if (is_true(node, "online"))
		cli_table_add(table, CLI_GOOD, "online");
	else
		cli_table_add(table, CLI_FAINT, "offline%s%s", seen ? ", seen " : "",
			      seen ? seen : "");
}

static void add_node_row(struct cli_table *table, const json_t *node, uint64_t now_usec)
{
	const json_t *address = json_array_get(json_object_get(node, "addresses"), 0);

	listed_text(table, node, "name");
	listed_text(table, node, "id");
	cli_table_add(table, CLI_PLAIN, "%s",
		      json_is_string(address) ? json_string_value(address) : "-");
	listed_owner(table, node);
	cli_table_add(table, CLI_PLAIN, "%s", is_true(node, "ssh") ? "yes" : "no");
	add_state(table, node, now_usec);
	if (is_true(node, "expired"))
		cli_table_add(table, CLI_FAINT, "-");
	else
		listed_time(table, node, "key_expiry", now_usec, "never");
}

int verb_nodes_list(int argc, char **argv, void *userdata)
{
	static const struct cli_column columns[] = {
		{ "NAME", false }, { "ID", false },    { "ADDRESS", false },	 { "OWNER", false },
		{ "SSH", false },  { "STATE", false }, { "KEY EXPIRES", false },
	};
	static const struct ctl_list list = {
		.path = "nodes",
		.sort = "name",
		.columns = columns,
		.n_columns = ARRAY_SIZE(columns),
		.row = add_node_row,
		.none = "No hosts are enrolled. See \"coordctl authkeys create --help\".",
	};

	return ctl_show_list(userdata, &list);
}

/* ---- show ---- */

static int show_expiry(const struct ctl *ctl, const json_t *node)
{
	_cleanup_free_ char *text = NULL;
	char buf[CLI_FORMAT_LEN];
	const char *when = listed_relative(node, "key_expiry", ctl->now_usec, buf);
	const char *by = json_string_value(json_object_get(node, "expired_by"));

	if (!when)
		return card_line(&ctl->out, "key expires", "never");
	text = text_printf("%s (%s)%s%s", value_text(node, "key_expiry"), when,
			   by ? ", ended by " : "", by ? by : "");
	return text ? card_line(&ctl->out, "key expires", text) : -ENOMEM;
}

static int render_node(const struct ctl *ctl, const json_t *node)
{
	static const struct {
		const char *title, *key;
	} texts[] = {
		{ "name", "name" },	      { "id", "id" },
		{ "user", "user" },	      { "hostname", "hostname" },
		{ "system", "os" },	      { "agent", "agent" },
		{ "enrolled", "created" },    { "auth key", "auth_key" },
		{ "last seen", "last_seen" }, { "seen at", "seen" },
		{ "node key", "node_key" },   { "machine key", "machine" },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (json_is_string(json_object_get(node, texts[i].key)))
			r |= card_line(&ctl->out, texts[i].title, value_text(node, texts[i].key));
	r |= card_list(&ctl->out, "tags", node, "tags");
	r |= card_list(&ctl->out, "addresses", node, "addresses");
	r |= card_list(&ctl->out, "endpoints", node, "endpoints");
	r |= card_list(&ctl->out, "configured", node, "configured_endpoints");
	r |= card_line(&ctl->out, "state",
		       is_true(node, "expired")	 ? "key expired"
		       : is_true(node, "online") ? "online"
						 : "offline");
	r |= show_expiry(ctl, node);
	r |= card_line(&ctl->out, "takes SSH", is_true(node, "ssh") ? "yes" : "no");
	if (is_true(node, "behind_nat"))
		r |= card_line(&ctl->out, "behind NAT", "yes");
	if (is_true(node, "ephemeral"))
		r |= card_line(&ctl->out, "ephemeral", "yes");
	return r ? -ENOMEM : 0;
}

int verb_nodes_show(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask_about(ctl, "GET", "nodes/", argv[0], "", NULL, &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_node) : r;
}

/* ---- changes ---- */

/* "web (n...): 100.64.0.7, tag:prod, key expires in 180 d" */
static int render_changed(const struct ctl *ctl, const json_t *node)
{
	_cleanup_free_ char *tags = value_list(json_object_get(node, "tags"), LISTED_WORDS);
	const json_t *address = json_array_get(json_object_get(node, "addresses"), 0);
	const char *user = json_string_value(json_object_get(node, "user"));
	const char *owner = user ? user : tags ? tags : "-";
	char buf[CLI_FORMAT_LEN];
	const char *when = listed_relative(node, "key_expiry", ctl->now_usec, buf);
	int r = cli_show(&ctl->out, CLI_PLAIN, "%s (%s): %s, %s, %s%s", value_text(node, "name"),
			 value_text(node, "id"),
			 json_is_string(address) ? json_string_value(address) : "-", owner,
			 is_true(node, "expired") ? "key expired"
			 : when			  ? "key expires "
						  : "key does not expire",
			 when && !is_true(node, "expired") ? when : "");

	fputc('\n', ctl->out.file);
	return r;
}

/* What is asked of a node and answered with it. */
static int change(struct ctl *ctl, const char *method, const char *word, const char *suffix,
		  json_t *body)
{
	json_t *reply;
	int r = ctl_ask_about(ctl, method, "nodes/", word, suffix, body, &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_changed) : r;
}

int verb_nodes_expire(int argc, char **argv, void *userdata)
{
	return change(userdata, "POST", argv[0], "/expire", json_object());
}

int verb_nodes_rename(int argc, char **argv, void *userdata)
{
	return change(userdata, "PATCH", argv[0], "", json_pack("{s:s}", "name", argv[1]));
}

int verb_nodes_tag(int argc, char **argv, void *userdata)
{
	struct ctl_words tags = { .n = (size_t)argc - 1 };

	for (int i = 1; i < argc; i++)
		tags.items[i - 1] = argv[i];
	return change(userdata, "PATCH", argv[0], "",
		      json_pack("{s:o}", "tags", ctl_words_json(&tags)));
}

int verb_nodes_assign(int argc, char **argv, void *userdata)
{
	return change(userdata, "PATCH", argv[0], "", json_pack("{s:s}", "user", argv[1]));
}

int verb_nodes_disable_expiry(int argc, char **argv, void *userdata)
{
	return change(userdata, "PATCH", argv[0], "", json_pack("{s:n}", "key_expiry"));
}

/* "90d", a time, "never" */
static json_t *read_expiry(const struct ctl *ctl, const char *text)
{
	uint64_t usec;
	char buf[32];

	if (strcmp(text, "never") == 0)
		return json_pack("{s:n}", "key_expiry");
	if (parse_rfc3339(text, &usec) == 0)
		return json_pack("{s:s}", "key_expiry", text);
	/* Seconds, or days? Nobody means the former. */
	if (!text[strspn(text, "0123456789")] || parse_duration(text, &usec) < 0)
		return NULL;
	return json_pack("{s:s}", "key_expiry",
			 format_rfc3339(ctl->now_usec + usec, buf, sizeof(buf)));
}

int verb_nodes_set_expiry(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *body = read_expiry(ctl, argv[1]);

	if (!body)
		return ctl_tell_usage(ctl,
				      "%s: expected a time from now on (90d), a time "
				      "(2027-01-31T00:00:00Z), or never",
				      argv[1]);
	return change(ctl, "PATCH", argv[0], "", body);
}

int verb_nodes_delete(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask_about(ctl, "DELETE", "nodes/", argv[0], "", NULL, &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	json_decref(reply);
	r = cli_show(&ctl->out, CLI_PLAIN,
		     "%s: deleted; its peers do not know it any more, and it has to enrol anew to "
		     "come back",
		     argv[0]);
	fputc('\n', ctl->out.file);
	return ctl_rendered(ctl, r);
}

/* ---- machines that wait ---- */

static void add_waiting_row(struct cli_table *table, const json_t *one, uint64_t now_usec)
{
	listed_text(table, one, "code");
	listed_text(table, one, "hostname");
	listed_text(table, one, "from");
	listed_text(table, one, "os");
	listed_words(table, one, "tags");
	listed_text(table, one, "state");
	listed_time(table, one, "expires", now_usec, "-");
}

int verb_auth_list(int argc, char **argv, void *userdata)
{
	static const struct cli_column columns[] = {
		{ "CODE", false },     { "HOST", false },     { "FROM", false },
		{ "SYSTEM", false },   { "ASKS FOR", false }, { "STATE", false },
		{ "RUNS OUT", false },
	};
	static const struct ctl_list list = {
		.path = "auth",
		.sort = "expires",
		.columns = columns,
		.n_columns = ARRAY_SIZE(columns),
		.row = add_waiting_row,
		.none = "No machine waits to be let in.",
	};

	return ctl_show_list(userdata, &list);
}

int verb_nodes_approve(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *tags = ctl->tags.n > 0 ? ctl_words_json(&ctl->tags) : NULL, *reply;
	int r = ctl_ask_about(ctl, "POST", "auth/", argv[0], "/approve",
			      json_pack("{s:s*, s:o*}", "user", ctl->user, "tags", tags), &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_changed) : r;
}

int verb_nodes_reject(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask_about(ctl, "POST", "auth/", argv[0], "/reject", json_object(), &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	json_decref(reply);
	r = cli_show(&ctl->out, CLI_PLAIN, "%s: rejected", argv[0]);
	fputc('\n', ctl->out.file);
	return ctl_rendered(ctl, r);
}
