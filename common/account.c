#include "common/account.h"

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <pwd.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "common/text.h"

#define MAX_PASSWD_LINE (1u << 20)

static struct account *account_new(const struct passwd *pw)
{
	_cleanup_(account_freep) struct account *account = calloc(1, sizeof(*account));

	if (!account)
		return NULL;
	account->name = strdup(pw->pw_name);
	account->home = strdup(pw->pw_dir && *pw->pw_dir ? pw->pw_dir : "/");
	account->shell = strdup(pw->pw_shell && *pw->pw_shell ? pw->pw_shell : _PATH_BSHELL);
	account->uid = pw->pw_uid;
	account->gid = pw->pw_gid;
	if (!account->name || !account->home || !account->shell)
		return NULL;
	return take_ptr(account);
}

int account_get(const char *name, struct account **ret_account)
{
	_cleanup_free_ char *buf = NULL;
	struct passwd pw, *found = NULL;
	struct account *account;
	int r = ERANGE;

	for (size_t len = 4096; r == ERANGE && len <= MAX_PASSWD_LINE; len *= 2) {
		free(buf);
		buf = malloc(len);
		if (!buf)
			return -ENOMEM;
		r = getpwnam_r(name, &pw, buf, len, &found);
	}
	if (!found && (r == 0 || r == ENOENT || r == ESRCH))
		return ACCOUNT_UNKNOWN;
	if (!found)
		return -r;
	/* What was authorised is this very name; a database that answers with another is refused.
	 */
	if (strcmp(pw.pw_name, name) != 0)
		return ACCOUNT_UNKNOWN;
	account = account_new(&pw);
	if (!account)
		return -ENOMEM;
	*ret_account = account;
	return 0;
}

struct account *account_free(struct account *account)
{
	if (!account)
		return NULL;
	free(account->name);
	free(account->home);
	free(account->shell);
	free(account);
	return NULL;
}

bool account_shell_refuses(const char *shell)
{
	const char *slash = strrchr(shell, '/');
	const char *base = slash ? slash + 1 : shell;

	return strcmp(base, "nologin") == 0 || strcmp(base, "false") == 0;
}

bool account_shell_exists(const char *shell)
{
	struct stat st;

	return shell[0] == '/' && stat(shell, &st) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 0111) != 0;
}

bool account_is_quiet(const struct account *account)
{
	_cleanup_free_ char *path = text_printf("%s/.hushlogin", account->home);
	struct stat st;
	bool quiet;

	if (!path)
		return false;
	setfsgid(account->gid);
	setfsuid(account->uid);
	quiet = lstat(path, &st) == 0;
	setfsuid(geteuid());
	setfsgid(getegid());
	return quiet;
}
