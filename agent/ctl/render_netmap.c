/* What a map would change, in words. Sections without changes are left out. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "agent/ctl/render.h"
#include "agent/mapdiff/mapdiff.h"
#include "common/cli/value.h"
#include "common/text.h"

#define SHOWN_NAMES 6
#define SHOWN_LINES 20	/* of one section, one node or one group */
#define SHOWN_BYTES 100 /* of a value before and after */

enum sign {
	SIGN_MORE,
	SIGN_LESS,
	SIGN_OTHER,
};

static void print_sign(const struct cli_out *out, const char *indent, enum sign sign)
{
	static const struct {
		const char *text;
		enum cli_style style;
	} signs[] = {
		[SIGN_MORE] = { "+", CLI_GOOD },
		[SIGN_LESS] = { "-", CLI_BAD },
		[SIGN_OTHER] = { "~", CLI_WARN },
	};

	fputs(indent, out->file);
	cli_print(out, signs[sign].style, "%s", signs[sign].text);
	fputc(' ', out->file);
}

/* The member, fit for a terminal and not too long; *ret is the caller's. Return: 0, -ENOMEM. */
static int shown(const json_t *object, const char *key, char **ret)
{
	const char *text = value_text(object, key);
	_cleanup_free_ char *clean = text_sanitize(text, SHOWN_BYTES);

	if (!clean)
		return -ENOMEM;
	*ret = text_printf("%s%s", clean, strlen(text) > SHOWN_BYTES ? " ..." : "");
	return *ret ? 0 : -ENOMEM;
}

typedef int (*line_fn)(const struct cli_out *out, const char *indent, const json_t *item);

/* The first lines of a list, and how many more there are. */
static int print_list(const struct cli_out *out, const char *indent, const json_t *list,
		      line_fn line)
{
	size_t n = json_array_size(list);
	int r = 0;

	for (size_t i = 0; i < n && i < SHOWN_LINES && r == 0; i++)
		r = line(out, indent, json_array_get(list, i));
	if (n > SHOWN_LINES)
		fprintf(out->file, "%sand %zu more\n", indent, n - SHOWN_LINES);
	return r;
}

static int print_section(const struct cli_out *out, const char *title, const json_t *list,
			 line_fn line)
{
	if (json_array_size(list) == 0)
		return 0;
	fputc('\n', out->file);
	cli_print(out, CLI_HEADING, "%s\n", title);
	return print_list(out, "  ", list, line);
}

/* "~ key: A -> B" */
static int print_change(const struct cli_out *out, const char *indent, const json_t *change)
{
	_cleanup_free_ char *what = NULL, *from = NULL, *to = NULL;

	if (shown(change, "what", &what) < 0 || shown(change, "from", &from) < 0 ||
	    shown(change, "to", &to) < 0)
		return -ENOMEM;
	print_sign(out, indent, SIGN_OTHER);
	fprintf(out->file, "%s: %s -> %s\n", what, from, to);
	return 0;
}

/* ---- peers ---- */

static int print_peer(const struct cli_out *out, const char *indent, enum sign sign,
		      const json_t *peer)
{
	_cleanup_free_ char *name = NULL, *owner = NULL, *addresses = NULL;

	if (shown(peer, "name", &name) < 0 || shown(peer, "owner", &owner) < 0 ||
	    shown(peer, "addresses", &addresses) < 0)
		return -ENOMEM;
	print_sign(out, indent, sign);
	fprintf(out->file, "%s (%s), %s\n", name, owner, addresses);
	return 0;
}

static int print_added(const struct cli_out *out, const char *indent, const json_t *peer)
{
	return print_peer(out, indent, SIGN_MORE, peer);
}

static int print_removed(const struct cli_out *out, const char *indent, const json_t *peer)
{
	return print_peer(out, indent, SIGN_LESS, peer);
}

static int print_changed(const struct cli_out *out, const char *indent, const json_t *peer)
{
	_cleanup_free_ char *name = NULL;

	if (shown(peer, "name", &name) < 0)
		return -ENOMEM;
	fprintf(out->file, "%s%s\n", indent, name);
	return print_list(out, "    ", json_object_get(peer, "changes"), print_change);
}

static int print_peers(const struct cli_out *out, const json_t *peers)
{
	int r;

	r = print_section(out, "Peers that are new", json_object_get(peers, "added"), print_added);
	if (r == 0)
		r = print_section(out, "Peers that are gone", json_object_get(peers, "removed"),
				  print_removed);
	if (r == 0)
		r = print_section(out, "Peers that change", json_object_get(peers, "changed"),
				  print_changed);
	return r;
}

/* ---- groups: who, then what ---- */

static int print_who(const struct cli_out *out, const char *indent, const json_t *group)
{
	_cleanup_free_ char *who = value_list(json_object_get(group, "who"), SHOWN_NAMES);

	if (!who)
		return -ENOMEM;
	fprintf(out->file, "%s%s\n", indent, who);
	return 0;
}

static void print_ports(FILE *f, const json_t *right)
{
	uint64_t first = value_number(right, "firstPort"), last = value_number(right, "lastPort");

	if (!json_object_get(right, "firstPort"))
		return;
	if (first == 0 && last == UINT16_MAX)
		fputs(", all ports", f);
	else if (first == last)
		fprintf(f, " %" PRIu64, first);
	else
		fprintf(f, " %" PRIu64 "-%" PRIu64, first, last);
}

/* "+ tcp 8000-8099 to 100.64.0.1 (acls[1] line 15)" */
static int print_right(const struct cli_out *out, const char *indent, enum sign sign,
		       const json_t *right)
{
	_cleanup_free_ char *protocol = NULL, *to = NULL, *rule = NULL;

	if (shown(right, "protocol", &protocol) < 0 || shown(right, "destinations", &to) < 0 ||
	    shown(right, "rule", &rule) < 0)
		return -ENOMEM;
	print_sign(out, indent, sign);
	fputs(protocol, out->file);
	print_ports(out->file, right);
	if (json_object_get(right, "destinations"))
		fprintf(out->file, " to %s", to);
	fprintf(out->file, " (%s)\n", rule);
	return 0;
}

static int print_right_gained(const struct cli_out *out, const char *indent, const json_t *right)
{
	return print_right(out, indent, SIGN_MORE, right);
}

static int print_right_lost(const struct cli_out *out, const char *indent, const json_t *right)
{
	return print_right(out, indent, SIGN_LESS, right);
}

static int print_reach(const struct cli_out *out, const char *indent, const json_t *group)
{
	int r = print_who(out, indent, group);

	if (r == 0)
		r = print_list(out, "    ", json_object_get(group, "gained"), print_right_gained);
	if (r == 0)
		r = print_list(out, "    ", json_object_get(group, "lost"), print_right_lost);
	return r;
}

/* "root", "alice as al", "any other user" */
static int print_login(const struct cli_out *out, const char *indent, enum sign sign,
		       const json_t *login)
{
	_cleanup_free_ char *user = NULL, *account = NULL, *rule = NULL;
	bool any;

	if (shown(login, "user", &user) < 0 || shown(login, "account", &account) < 0 ||
	    shown(login, "rule", &rule) < 0)
		return -ENOMEM;
	any = strcmp(user, "*") == 0;
	print_sign(out, indent, sign);
	fputs(any ? "any other user" : user, out->file);
	if (strcmp(account, user) != 0)
		fprintf(out->file, " as %s", account);
	fprintf(out->file, " (%s)\n", rule);
	return 0;
}

static int print_login_gained(const struct cli_out *out, const char *indent, const json_t *login)
{
	return print_login(out, indent, SIGN_MORE, login);
}

static int print_login_lost(const struct cli_out *out, const char *indent, const json_t *login)
{
	return print_login(out, indent, SIGN_LESS, login);
}

static int print_terms(const struct cli_out *out, const char *indent, const json_t *change)
{
	_cleanup_free_ char *user = NULL, *what = NULL, *from = NULL, *to = NULL;

	if (shown(change, "user", &user) < 0 || shown(change, "what", &what) < 0 ||
	    shown(change, "from", &from) < 0 || shown(change, "to", &to) < 0)
		return -ENOMEM;
	print_sign(out, indent, SIGN_OTHER);
	fprintf(out->file, "%s: %s: %s -> %s\n", strcmp(user, "*") == 0 ? "any other user" : user,
		what, from, to);
	return 0;
}

static int print_ssh(const struct cli_out *out, const char *indent, const json_t *group)
{
	int r = print_who(out, indent, group);

	if (r == 0)
		r = print_list(out, "    ", json_object_get(group, "gained"), print_login_gained);
	if (r == 0)
		r = print_list(out, "    ", json_object_get(group, "lost"), print_login_lost);
	if (r == 0)
		r = print_list(out, "    ", json_object_get(group, "changed"), print_terms);
	return r;
}

static int print_session(const struct cli_out *out, const char *indent, const json_t *session)
{
	_cleanup_free_ char *user = NULL, *node = NULL, *as = NULL, *message = NULL;

	if (shown(session, "user", &user) < 0 || shown(session, "node", &node) < 0 ||
	    shown(session, "sshUser", &as) < 0 || shown(session, "message", &message) < 0)
		return -ENOMEM;
	print_sign(out, indent, SIGN_LESS);
	fprintf(out->file, "%s (%s) as %s: %s\n", user, node, as, message);
	return 0;
}

/* ---- the whole ---- */

static void print_count(FILE *f, uint64_t n, const char *what)
{
	fprintf(f, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

static int print_summary(const struct cli_out *out, const json_t *check)
{
	_cleanup_free_ char *file = value_shown(check, "file");

	if (!file)
		return -ENOMEM;
	fprintf(out->file, "%s: ", file);
	cli_print(out, CLI_GOOD, "good");
	fprintf(out->file, "\n  generation %" PRIu64 ", ", value_number(check, "generation"));
	print_count(out->file, value_number(check, "peers"), "peer");
	fputs(", ", out->file);
	print_count(out->file, value_number(check, "filterRules"), "filter rule");
	fputs(", ", out->file);
	print_count(out->file, value_number(check, "sshRules"), "SSH rule");
	fprintf(out->file, ", SSH %s\n",
		json_is_true(json_object_get(check, "ssh")) ? "on" : "off");
	return 0;
}

static void print_compared_with(const struct cli_out *out, const json_t *check)
{
	const json_t *changes = json_object_get(check, "changes");

	if (!json_object_get(check, "inForce"))
		fputs("\nNo map is in force here: all of it is new.\n", out->file);
	else
		fprintf(out->file, "\n%s generation %" PRIu64 ", which is in force%s\n",
			mapdiff_empty(changes) ? "It says the same as" : "Compared with",
			value_number(check, "inForce"), mapdiff_empty(changes) ? "." : ":");
}

static int print_changes(const struct cli_out *out, const json_t *changes)
{
	int r;

	r = print_section(out, "This node", json_object_get(changes, "self"), print_change);
	if (r == 0)
		r = print_peers(out, json_object_get(changes, "peers"));
	if (r == 0)
		r = print_section(out, "What peers may send here (packet filter)",
				  json_object_get(changes, "reach"), print_reach);
	if (r == 0)
		r = print_section(out, "Who may log in here (SSH rules)",
				  json_object_get(changes, "ssh"), print_ssh);
	if (json_is_true(json_object_get(changes, "cut")))
		fputs("  There are more rules and users than could be tried.\n", out->file);
	return r;
}

static int print_warnings(const struct cli_out *out, const json_t *warnings)
{
	for (size_t i = 0; i < json_array_size(warnings); i++) {
		_cleanup_free_ char *message = value_shown(json_array_get(warnings, i), "message");

		if (!message)
			return -ENOMEM;
		fputs(i == 0 ? "\n" : "", out->file);
		cli_print(out, CLI_WARN, "warning:");
		fprintf(out->file, " %s\n", message);
	}
	return 0;
}

int ctl_render_netmap_check(const json_t *check, const struct cli_out *out)
{
	int r = print_summary(out, check);

	if (r < 0)
		return r;
	print_compared_with(out, check);
	r = print_changes(out, json_object_get(check, "changes"));
	if (r == 0)
		r = print_section(out, "SSH sessions that would end",
				  json_object_get(check, "sessionsEnded"), print_session);
	return r < 0 ? r : print_warnings(out, json_object_get(check, "warnings"));
}
