/* "users": one person, and how they sign in. */
#include <errno.h>
#include <string.h>

#include "common/cli/format.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/text.h"
#include "coord/ctl/card.h"
#include "coord/ctl/ctl.h"
#include "coord/ctl/listed.h"

#define SHOWN_GROUPS 8u /* of what a provider says */

/* ---- show ---- */

/* Those of the parts that are there, with ", " between. title: "" from the second line on. */
static int show_parts(const struct ctl *ctl, const char *title, const char *const *parts, size_t n)
{
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < n; i++) {
		char *longer;

		if (!parts[i])
			continue;
		longer = text_printf("%s%s%s", text ? text : "", text ? ", " : "", parts[i]);
		free(text);
		text = longer;
		if (!text)
			return -ENOMEM;
	}
	return card_line(&ctl->out, title, text ? text : "-");
}

/* "2 h ago, password+totp, 192.0.2.1, Mozilla/5.0 (X11; ...), ends in 10 h" */
static int show_session(const struct ctl *ctl, const char *title, const json_t *session)
{
	char since[CLI_FORMAT_LEN], until[CLI_FORMAT_LEN];
	const char *when = listed_relative(session, "created", ctl->now_usec, since);
	const char *end = listed_relative(session, "expires", ctl->now_usec, until);
	_cleanup_free_ char *ends = text_printf("ends %s", end ? end : "-");
	const char *const parts[] = {
		when,
		value_text(session, "method"),
		json_string_value(json_object_get(session, "from")),
		json_string_value(json_object_get(session, "agent")),
		ends,
	};

	return ends ? show_parts(ctl, title, parts, ARRAY_SIZE(parts)) : -ENOMEM;
}

static int show_node(const struct ctl *ctl, const char *title, const json_t *node)
{
	char buf[CLI_FORMAT_LEN];
	const char *when = listed_relative(node, "key_expiry", ctl->now_usec, buf);
	bool expired = json_is_true(json_object_get(node, "expired"));
	bool online = json_is_true(json_object_get(node, "online"));
	_cleanup_free_ char *key = text_printf("key expires %s", when ? when : "never");
	const char *const parts[] = {
		value_text(node, "name"),
		value_text(node, "id"),
		expired	 ? "key expired"
		: online ? "online"
			 : "offline",
		expired ? NULL : key,
	};

	return key ? show_parts(ctl, title, parts, ARRAY_SIZE(parts)) : -ENOMEM;
}

/* "https://id.example, 248289761001, says: in engineering-team, all staff and 4 more" */
static int show_identity(const struct ctl *ctl, const char *title, const json_t *identity)
{
	const json_t *groups = json_object_get(identity, "groups");
	_cleanup_free_ char *list = value_list(groups, SHOWN_GROUPS);
	_cleanup_free_ char *says = list ? text_printf("says: in %s", list) : NULL;
	uint64_t seconds = value_number(identity, "noticed_within");
	char within[CLI_FORMAT_LEN];
	_cleanup_free_ char *noticed =
		seconds ? text_printf("leaving it is noticed within %s",
				      cli_format_span(seconds * USEC_PER_SEC, within))
			: text_printf("leaving it is noticed when keys expire");
	const char *const parts[] = { value_text(identity, "issuer"),
				      value_text(identity, "subject"),
				      json_array_size(groups) > 0 ? says : NULL, noticed };

	if (!says)
		return -ENOMEM;

	return noticed ? show_parts(ctl, title, parts, ARRAY_SIZE(parts)) : -ENOMEM;
}

/* sort: the member that they are put in order by. */
static int show_each(const struct ctl *ctl, const char *title, const json_t *list, const char *sort,
		     int (*show)(const struct ctl *ctl, const char *title, const json_t *item))
{
	size_t n;
	_cleanup_free_ const json_t **items = listed_sort(list, sort, &n);
	int r = 0;

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		r |= show(ctl, i == 0 ? title : "", items[i]);
	return n == 0 ? card_line(&ctl->out, title, "-") : r;
}

static const char *state_of(const json_t *user)
{
	if (json_is_string(json_object_get(user, "gone_from")))
		return "gone";
	return json_is_string(json_object_get(user, "suspended")) ? "suspended" : "active";
}

static const char *password_of(const json_t *user)
{
	bool password = json_is_true(json_object_get(user, "password"));
	bool totp = json_is_true(json_object_get(user, "totp"));

	return !password ? "none" : totp ? "set, with a code from an app" : "set";
}

static int show_time(const struct ctl *ctl, const char *title, const json_t *user, const char *key)
{
	char buf[CLI_FORMAT_LEN];
	const char *when = listed_relative(user, key, ctl->now_usec, buf);
	_cleanup_free_ char *text = NULL;

	if (!when)
		return card_line(&ctl->out, title, "never");
	text = text_printf("%s (%s)", value_text(user, key), when);
	return text ? card_line(&ctl->out, title, text) : -ENOMEM;
}

static int render_all(const struct ctl *ctl, const json_t *user)
{
	const struct cli_out *out = &ctl->out;
	int r = card_line(out, "login", value_text(user, "login"));

	if (json_is_string(json_object_get(user, "name")))
		r |= card_line(out, "name", value_text(user, "name"));
	r |= card_list(out, "roles", user, "roles");
	r |= card_line(out, "state", state_of(user));
	if (json_is_string(json_object_get(user, "suspended")))
		r |= show_time(ctl, "suspended", user, "suspended");
	if (json_is_string(json_object_get(user, "gone_from")))
		r |= card_line(out, "gone from", value_text(user, "gone_from"));
	r |= card_line(out, "added", value_text(user, "created"));
	r |= card_line(out, "password", password_of(user));
	r |= show_each(ctl, "identities", json_object_get(user, "identities"), "issuer",
		       show_identity);
	r |= card_list(out, "groups", user, "groups");
	r |= show_time(ctl, "last sign-in", user, "last_sign_in");
	r |= show_each(ctl, "browsers", json_object_get(user, "sessions"), "created", show_session);
	r |= show_each(ctl, "hosts", json_object_get(user, "nodes"), "name", show_node);
	return r ? -ENOMEM : 0;
}

int verb_users_show(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *reply;
	int r = ctl_ask_about(ctl, "GET", "users/", argv[0], "", NULL, &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_all) : r;
}

/* ---- links ---- */

/* The link alone goes to standard output, as keys do. */
static int render_link(const struct ctl *ctl, const json_t *reply)
{
	char buf[CLI_FORMAT_LEN];
	const char *when = listed_relative(reply, "expires", ctl->now_usec, buf);
	int r = cli_show(&ctl->out, CLI_PLAIN, "%s", value_text(reply, "url"));

	fputc('\n', ctl->out.file);
	if (ctl->err.terminal)
		cli_print(&ctl->err, CLI_FAINT,
			  "Hand it to %s alone: whoever opens it sets the password. It works once, "
			  "and runs out %s.\n",
			  value_text(reply, "login"), when ? when : "soon");
	return r;
}

int ctl_password_link(struct ctl *ctl, const char *login)
{
	json_t *reply;
	int r = ctl_ask_about(ctl, "POST", "users/", login, "/password-link", json_object(),
			      &reply);

	return r == CLI_OK ? ctl_show(ctl, reply, render_link) : r;
}

int verb_users_password_link(int argc, char **argv, void *userdata)
{
	return ctl_password_link(userdata, argv[0]);
}

/* ---- changes ---- */

/* What is asked of somebody, and what is said when it is done. */
static int change_by(struct ctl *ctl, const char *login, const char *suffix, json_t *body,
		     const char *said)
{
	json_t *reply;
	int r = ctl_ask_about(ctl, "POST", "users/", login, suffix, body, &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	json_decref(reply);
	r = cli_show(&ctl->out, CLI_PLAIN, "%s: %s", login, said);
	fputc('\n', ctl->out.file);
	return ctl_rendered(ctl, r);
}

static int change(struct ctl *ctl, const char *login, const char *suffix, const char *said)
{
	return change_by(ctl, login, suffix, json_object(), said);
}

int verb_users_suspend(int argc, char **argv, void *userdata)
{
	return change(userdata, argv[0], "/suspend",
		      "suspended; signed out everywhere, and the keys of their hosts have expired");
}

int verb_users_resume(int argc, char **argv, void *userdata)
{
	return change(
		userdata, argv[0], "/resume",
		"may sign in again; on each of their hosts, \"agentctl login\" renews its key");
}

int verb_users_sign_out(int argc, char **argv, void *userdata)
{
	return change(userdata, argv[0], "/sign-out", "signed out in all browsers");
}

int verb_users_totp_reset(int argc, char **argv, void *userdata)
{
	return change(userdata, argv[0], "/totp-reset",
		      "no code is asked for any more, until they set one up anew");
}

int verb_users_unbind(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;

	if (argc == 2)
		return ctl_tell_usage(ctl, "name the issuer and the subject, or neither: "
					   "LOGIN [ISSUER SUBJECT]");
	return change_by(ctl, argv[0], "/unbind",
			 argc == 3 ? json_pack("{s:s, s:s}", "issuer", argv[1], "subject", argv[2])
				   : json_object(),
			 "not known by that account of the provider any more; signed out in all "
			 "browsers that signed in with one");
}
