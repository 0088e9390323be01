#include "sshgw/monitor/account.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

#define MAX_BUFFER (1u << 20)

/* getpwnam_r(3) with a buffer that grows. *ret_buf holds what *ret_pw points to. */
static int lookup(const char *name, struct passwd *ret_pw, char **ret_buf)
{
	_cleanup_free_ char *buf = NULL;
	struct passwd *found = NULL;

	for (size_t size = 1024; size <= MAX_BUFFER; size *= 4) {
		int r;

		free(buf);
		buf = malloc(size);
		if (!buf)
			return -ENOMEM;
		r = getpwnam_r(name, ret_pw, buf, size, &found);
		if (r == ERANGE)
			continue;
		if (!found)
			return r == 0 || r == ENOENT || r == ESRCH ? -ENOENT : -r;
		*ret_buf = take_ptr(buf);
		return 0;
	}
	return -ENOBUFS;
}

int account_lookup(const char *name, struct account *ret_account)
{
	_cleanup_free_ char *buf = NULL;
	struct account account;
	struct passwd pw;
	int r;

	r = lookup(name, &pw, &buf);
	if (r < 0)
		return r;
	/* Some services fold case or take numbers: a rule for one name is not one for another. */
	if (strcmp(pw.pw_name, name) != 0)
		return -ENOENT;
	account = (struct account){
		.name = strdup(pw.pw_name),
		.uid = pw.pw_uid,
		.gid = pw.pw_gid,
		/* passwd(5): an empty field means /bin/sh. */
		.shell = strdup(pw.pw_shell && pw.pw_shell[0] ? pw.pw_shell : "/bin/sh"),
	};
	if (!account.name || !account.shell) {
		account_done(&account);
		return -ENOMEM;
	}
	*ret_account = account;
	return 0;
}

void account_done(struct account *account)
{
	free(account->name);
	free(account->shell);
	*account = (struct account){ 0 };
}

const char *account_shell_problem(const struct account *account)
{
	const char *base = strrchr(account->shell, '/');
	struct stat st;

	base = base ? base + 1 : account->shell;
	if (strcmp(base, "nologin") == 0 || strcmp(base, "false") == 0)
		return "the account is not for logging in (its shell says so)";
	if (account->shell[0] != '/' || stat(account->shell, &st) < 0)
		return "the account's shell does not exist";
	if (!S_ISREG(st.st_mode) || !(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
		return "the account's shell cannot be executed";
	return NULL;
}
