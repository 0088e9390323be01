#include "common/login_check.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peergate-config.h"

#define LOCAL_ACCOUNTS "/etc/passwd"
#define MAX_LINE       (64u << 10)

enum {
	OWN_ACCOUNT = 1,
};

static bool is_own_name(const char *name)
{
	return strcmp(name, PEERGATE_SSHGW_USER) == 0 || strcmp(name, PEERGATE_AGENT_USER) == 0 ||
	       strcmp(name, PEERGATE_COORD_USER) == 0;
}

/*
 * The accounts that run Peergate itself are nobody's login, under any name: another account may
 * have the same uid. systemd-sysusers makes them on this host, so no directory is asked: one that
 * cannot be reached would keep everybody out, root as well.
 *
 * Return: 0, OWN_ACCOUNT, negative errno when that cannot be told.
 */
static int find_own(const struct account *account)
{
	_cleanup_fclose_ FILE *file = NULL;
	_cleanup_free_ char *line = NULL;
	struct passwd pw, *found;
	int r;

	if (is_own_name(account->name))
		return OWN_ACCOUNT;
	file = fopen(LOCAL_ACCOUNTS, "re");
	line = malloc(MAX_LINE);
	if (!file || !line)
		return file ? -ENOMEM : -errno;
	while ((r = fgetpwent_r(file, &pw, line, MAX_LINE, &found)) == 0)
		if (pw.pw_uid == account->uid && is_own_name(pw.pw_name))
			return OWN_ACCOUNT;
	return r == ENOENT ? 0 : -r;
}

_printf_(4, 5) static int refuse(struct login_refusal *ret_refusal, const char *reason, int error,
				 const char *format, ...)
{
	va_list args;

	*ret_refusal = (struct login_refusal){ .reason = reason, .error = error };
	va_start(args, format);
	(void)vsnprintf(ret_refusal->text, sizeof(ret_refusal->text), format, args);
	va_end(args);
	return LOGIN_REFUSED;
}

/* Whose the account is. */
static int check_owner(const struct login_grant *grant, const struct account *account,
		       struct login_refusal *ret_refusal)
{
	int r = find_own(account);

	if (r == OWN_ACCOUNT)
		return refuse(ret_refusal, "account", 0, "this account belongs to Peergate itself");
	if (r < 0)
		return refuse(ret_refusal, "account-error", r,
			      "whether the account is one of Peergate's own cannot be looked up "
			      "now; try again");
	if (grant->nonroot && account->uid == 0)
		return refuse(ret_refusal, "nonroot", 0,
			      "the SSH rule is for other users than root, and this account is "
			      "root");
	return 0;
}

static int check_shell(const struct login_grant *grant, const struct account *account,
		       struct login_refusal *ret_refusal)
{
	if (account_shell_refuses(account->shell) && grant->sftp_only)
		return 0;
	if (account_shell_refuses(account->shell))
		return refuse(ret_refusal, "shell", 0,
			      "the account '%s' is not for logging in (its shell is %s)",
			      account->name, account->shell);
	if (!account_shell_exists(account->shell))
		return refuse(ret_refusal, "shell", 0,
			      "the account '%s' cannot log in: its shell %s is no executable file",
			      account->name, account->shell);
	return 0;
}

int login_check(const struct login_grant *grant, const struct ceiling *ceiling,
		struct account **ret_account, struct login_refusal *ret_refusal)
{
	const char *text;
	int r;

	r = account_get(grant->account, ret_account);
	if (r == ACCOUNT_UNKNOWN)
		return refuse(ret_refusal, "account", 0, "there is no such account on this host");
	if (r < 0)
		return refuse(ret_refusal, "account-error", r,
			      "the account cannot be looked up now; try again");
	r = check_owner(grant, *ret_account, ret_refusal);
	if (r != 0)
		return r;
	text = ceiling_refuses(ceiling, (*ret_account)->name, (*ret_account)->uid);
	if (text)
		return refuse(ret_refusal, "ceiling", 0, "%s", text);
	return check_shell(grant, *ret_account, ret_refusal);
}
