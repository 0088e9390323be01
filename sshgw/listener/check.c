#include "sshgw/listener/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/cli/format.h"
#include "common/login_check.h"

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
	{ "KeepaliveInterval", AT(keepalive_usec), true },
	{ "MaxPeerAbsence", AT(max_peer_absence_usec), true },
	{ "MaxConnections", AT(max_connections), false },
	{ "MaxConnectionsPerPeer", AT(max_connections_per_peer), false },
	{ "MaxUnauthenticated", AT(max_unauthenticated), false },
	{ "MaxUnauthenticatedPerPeer", AT(max_unauthenticated_per_peer), false },
	{ "PenaltyAfter", AT(penalty_after), false },
	{ "PenaltyTime", AT(penalty_usec), true },
	{ "MaxPenaltyTime", AT(max_penalty_usec), true },
	{ "MaxHeldLogins", AT(max_held), false },
	{ "MaxHeldLoginsPerPeer", AT(max_held_per_peer), false },
	{ "CheckTimeout", AT(check_timeout_usec), true },
	{ "MaxLeftRunning", AT(max_left_running), false },
	{ "MaxLeftRunningPerPeer", AT(max_left_running_per_peer), false },
	{ "MaxSessions", AT(max_sessions), false },
	{ "MaxEnv", AT(max_env), false },
	{ "MaxForwards", AT(max_forwards), false },
	{ "MaxListens", AT(max_listens), false },
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

static void print_rekey(const struct rekey_limit *rekey, FILE *out)
{
	char bytes[CLI_FORMAT_LEN], span[CLI_FORMAT_LEN];

	fprintf(out, "New keys are exchanged after %s%s%s (RekeyLimit=).\n",
		rekey->bytes ? cli_format_bytes(rekey->bytes, bytes) : "what the cipher allows",
		rekey->usec ? ", and after " : "",
		rekey->usec ? cli_format_span(rekey->usec, span) : "");
}

static void tell_sftp(const char *server, FILE *out)
{
	if (strcmp(server, "none") == 0) {
		fputs("There is no sftp, and no scp (SftpServer=).\n", out);
		return;
	}
	fprintf(out, "sftp is served by %s (SftpServer=).\n", server);
	if (access(server, X_OK) < 0)
		fprintf(out, "warning: SftpServer: %s: %s\n", server, strerror(errno));
}

static void tell_forwarding(const struct ceiling *ceiling, FILE *out)
{
	static const char *const words[] = {
		[GATEWAY_PORTS_CLIENT] =
			"Forwarded ports are bound where the client says (GatewayPorts=).\n",
		[GATEWAY_PORTS_YES] = "Forwarded ports are bound on all addresses "
				      "(GatewayPorts=).\n",
	};

	if (words[ceiling->gateway_ports])
		fputs(words[ceiling->gateway_ports], out);
	if (!ceiling->x11_forwarding)
		fputs("X11 is not forwarded (X11Forwarding=).\n", out);
}

static void tell_rest(const struct ceiling *ceiling, FILE *out)
{
	struct ceiling defaults;

	ceiling_default(&defaults);
	if (ceiling->rekey.bytes != defaults.rekey.bytes ||
	    ceiling->rekey.usec != defaults.rekey.usec)
		print_rekey(&ceiling->rekey, out);
	tell_forwarding(ceiling, out);
	if (ceiling->sftp_server)
		tell_sftp(ceiling->sftp_server, out);
}

/* ---- the accounts ---- */

/* What keeps an account out that AllowUsers= has, as far as it can be seen here. */
static void warn_if_kept_out(const struct ceiling *ceiling, const char *name, FILE *out)
{
	_cleanup_(account_freep) struct account *account = NULL;
	const struct login_grant grant = { .account = name };
	/* Whether SSH is on was said before. */
	struct ceiling on = *ceiling;
	struct login_refusal refusal;
	bool sftp;

	on.ssh = true;
	if (login_check(&grant, &on, &account, &refusal) != LOGIN_REFUSED)
		return;
	sftp = strcmp(refusal.reason, "shell") == 0 && account_shell_refuses(account->shell);
	fprintf(out, "warning: AllowUsers: %s: %s%s\n", name, refusal.text,
		sftp ? ", unless a rule is for sftp only" : "");
}

static void warn_if_pointless(const char *name, FILE *out)
{
	_cleanup_(account_freep) struct account *account = NULL;

	if (account_get(name, &account) == ACCOUNT_UNKNOWN)
		fprintf(out, "warning: DenyUsers: %s: there is no such account on this host\n",
			name);
}

static void tell_accounts(const struct ceiling *ceiling, FILE *out)
{
	for (char **name = ceiling->allow_users; name && *name; name++)
		warn_if_kept_out(ceiling, *name, out);
	for (char **name = ceiling->deny_users; name && *name; name++)
		warn_if_pointless(*name, out);
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
	tell_rest(&ceiling, out);
	tell_accounts(&ceiling, out);
	return 0;
}
