#include "sshgw/monitor/env.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "common/cleanup.h"

/* No rule can let these in: they run code in, or take over, what the user or root starts. */
static const char *const never[] = {
	/* what loaders and interpreters read */
	"LD_*",
	"DYLD_*",
	"GOTRACEBACK",
	"OPENSSL_*",
	"GCONV_PATH",
	"GLIBC_TUNABLES",
	"MALLOC_*",
	"LOCPATH",
	"NLSPATH",
	"TZDIR",
	"PERL5*",
	"PERLLIB",
	"PYTHON*",
	"RUBY*",
	"NODE_OPTIONS",
	"JAVA_TOOL_OPTIONS",
	"_JAVA_OPTIONS",
	"JDK_JAVA_OPTIONS",
	"DOTNET_STARTUP_HOOKS",
	"LUA_INIT*",
	"PHPRC",
	"PHP_INI_SCAN_DIR",
	/* what shells run */
	"BASH_ENV",
	"ZDOTDIR",
	"FPATH",
	"ENV",
	"BASH_FUNC_*",
	"SHELLOPTS",
	"BASHOPTS",
	"IFS",
	"PS4",
	"PROMPT_COMMAND",
	/* what makes tools run something else, or ask somebody else */
	"LESSOPEN",
	"LESSCLOSE",
	"GIT_SSH*",
	"GIT_EXEC_PATH",
	"GIT_CONFIG*",
	"GIT_EXTERNAL_DIFF",
	"GIT_ASKPASS",
	"GIT_PROXY_COMMAND",
	"HOSTALIASES",
	"LOCALDOMAIN",
	"RES_OPTIONS",
	"KRB5*",
	/* what the login itself sets, or systemd */
	"SHELL",
	"HOME",
	"USER",
	"LOGNAME",
	"PATH",
	"MAIL",
	"SSH_*",
	"XDG_*",
	"DBUS_*",
	"TMPDIR",
	"NOTIFY_SOCKET",
	"LISTEN_*",
	"INVOCATION_ID",
	"JOURNAL_STREAM",
};
static const char *const always[] = { "LANG", "LC_*" };

static bool is_name(const char *s)
{
	if (!*s || (*s >= '0' && *s <= '9'))
		return false;
	for (; *s; s++)
		if (!((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') ||
		      (*s >= '0' && *s <= '9') || *s == '_'))
			return false;
	return true;
}

static bool matches(const char *name, const char *const *patterns, size_t n, int flags)
{
	for (size_t i = 0; i < n; i++)
		if (fnmatch(patterns[i], name, flags) == 0)
			return true;
	return false;
}

bool env_is_allowed(const char *name, char *const *patterns, bool forced)
{
	/* Brackets are no part of the language: a pattern with one matches nothing. */
	const char *barred = forced ? "[\\*?" : "[\\";

	if (!is_name(name) || matches(name, never, ARRAY_SIZE(never), FNM_CASEFOLD))
		return false;
	if (matches(name, always, ARRAY_SIZE(always), 0))
		return true;
	for (; patterns && *patterns; patterns++)
		if (!strpbrk(*patterns, barred) && fnmatch(*patterns, name, 0) == 0)
			return true;
	return false;
}
