#include "sshgw/listener/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/cli/format.h"
#include "sshgw/account.h"
#include "sshgw/ceiling.h"

/* ---- what it means ---- */

static void print_names(FILE *out, char *const *names)
{
	for (size_t i = 0; names[i]; i++)
		fprintf(out, "%s%s", i > 0 ? ", " : " ", names[i]);
	fputs(".\n", out);
}

static void tell_who(const struct ceiling *ceiling, FILE *out)
{
	bool denies = ceiling->deny_users && ceiling->deny_users[0];

	fputs(ceiling->ssh ? "SSH through the mesh is on.\n"
			   : "SSH through the mesh is off (SSH=): nobody is let in, whatever the "
			     "policy says.\n",
	      out);
	fprintf(out, "Accounts with uid 0, such as root, %s log in (PermitRootLogin=).\n",
		ceiling->permit_root ? "may" : "may not");
	if (ceiling->allow_users) {
		fputs("Only these accounts may log in (AllowUsers=):", out);
		print_names(out, ceiling->allow_users);
	} else {
		fputs("No list says who may log in (AllowUsers=): every account that the policy "
		      "gives.\n",
		      out);
	}
	if (denies) {
		fputs("These accounts may not (DenyUsers=):", out);
		print_names(out, ceiling->deny_users);
	}
}

/* ---- limits ---- */

struct limit {
	const char *key;
	size_t offset; /* of a uint64_t */
	bool is_time;
};

#define AT(member) offsetof(struct ceiling, member)
static const struct limit limits[] = {
	{ "LoginGraceTime", AT(login_grace_usec), true },
	{ "MaxAgentAbsence", AT(max_agent_absence_usec), true },
	{ "MaxConnections", AT(max_connections), false },
	{ "MaxConnectionsPerPeer", AT(max_connections_per_peer), false },
	{ "MaxUnauthenticated", AT(max_unauthenticated), false },
	{ "MaxUnauthenticatedPerPeer", AT(max_unauthenticated_per_peer), false },
	{ "MaxSessions", AT(max_sessions), false },
	{ "MaxEnv", AT(max_env), false },
};
#undef AT

static const char *limit_text(const struct limit *limit, const struct ceiling *ceiling, char *buf)
{
	uint64_t value;

	memcpy(&value, (const char *)ceiling + limit->offset, sizeof(value));
	if (limit->is_time)
		return cli_format_span(value, buf);
	snprintf(buf, CLI_FORMAT_LEN, "%" PRIu64, value);
	return buf;
}

static void tell_limits(const struct ceiling *ceiling, FILE *out)
{
	struct ceiling defaults;
	size_t n = 0;

	ceiling_default(&defaults);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		char value[CLI_FORMAT_LEN], usual[CLI_FORMAT_LEN];

		limit_text(&limits[i], ceiling, value);
		limit_text(&limits[i], &defaults, usual);
		if (strcmp(value, usual) == 0)
			continue;
		if (n++ == 0)
			fputs("Limits that are not the default:\n", out);
		fprintf(out, "  %s: %s (default %s)\n", limits[i].key, value, usual);
	}
}

/* ---- the accounts ---- */

static bool contains(char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

/* What keeps an account out that AllowUsers= has; NULL: nothing that can be seen here. */
static const char *why_kept_out(const struct ceiling *ceiling, const struct account *account)
{
	if (contains(ceiling->deny_users, account->name))
		return "DenyUsers= has it as well, and wins";
	if (account->uid == 0 && !ceiling->permit_root)
		return "it has uid 0, and PermitRootLogin= does not let it in";
	if (account_shell_refuses(account->shell))
		return "its shell refuses logins";
	if (!account_shell_exists(account->shell))
		return "its shell does not exist";
	return NULL;
}

static void look_up(const struct ceiling *ceiling, const char *key, const char *name, bool allowed,
		    FILE *out)
{
	_cleanup_(account_freep) struct account *account = NULL;
	const char *why = NULL;
	int r = account_get(name, &account);

	if (r == ACCOUNT_UNKNOWN)
		why = "this host has no such account";
	else if (r < 0)
		why = strerror(-r);
	else if (allowed)
		why = why_kept_out(ceiling, account);
	if (why)
		fprintf(out, "warning: %s: %s: %s\n", key, name, why);
}

static void tell_accounts(const struct ceiling *ceiling, FILE *out)
{
	for (char **name = ceiling->allow_users; name && *name; name++)
		look_up(ceiling, "AllowUsers", *name, true, out);
	for (char **name = ceiling->deny_users; name && *name; name++)
		look_up(ceiling, "DenyUsers", *name, false, out);
}

int ceiling_check_run(const char *path, bool required, FILE *out, FILE *err)
{
	_cleanup_(ceiling_done) struct ceiling ceiling = { 0 };
	bool missing = access(path, F_OK) < 0 && errno == ENOENT;
	_cleanup_free_ char *error = NULL;
	int r;

	if (missing && required) {
		fprintf(err, "%s: no such file\n", path);
		return 1;
	}
	r = ceiling_load(path, &ceiling, &error);
	if (r < 0) {
		fprintf(err, "%s\n", error ? error : strerror(-r));
		return 1;
	}
	fprintf(out, "%s: %s\n", path, missing ? "does not exist, the defaults hold" : "good");
	tell_who(&ceiling, out);
	tell_limits(&ceiling, out);
	tell_accounts(&ceiling, out);
	return 0;
}
