#include "sshgw/session/environment.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "common/text.h"

void environment_done(struct environment *env)
{
	for (size_t i = 0; i < env->n; i++)
		free(env->vars[i]);
	free(env->vars);
	*env = (struct environment){ 0 };
}

static bool var_is(const char *var, const char *name, size_t len)
{
	return strncmp(var, name, len) == 0 && var[len] == '=';
}

int environment_set(struct environment *env, const char *name, const char *value)
{
	size_t len = strlen(name);
	_cleanup_free_ char *var = NULL;
	char **vars;

	if (len == 0 || strchr(name, '='))
		return -EINVAL;
	var = text_printf("%s=%s", name, value);
	if (!var)
		return -ENOMEM;
	for (size_t i = 0; i < env->n; i++) {
		if (var_is(env->vars[i], name, len)) {
			free(env->vars[i]);
			env->vars[i] = take_ptr(var);
			return 0;
		}
	}
	vars = reallocarray(env->vars, env->n + 2, sizeof(*vars));
	if (!vars)
		return -ENOMEM;
	env->vars = vars;
	vars[env->n++] = take_ptr(var);
	vars[env->n] = NULL;
	return 0;
}

const char *environment_get(char *const *vars, const char *name)
{
	size_t len = strlen(name);

	for (; vars && *vars; vars++)
		if (var_is(*vars, name, len))
			return *vars + len + 1;
	return NULL;
}

/* ---- the login ---- */

/* What the account and the connection are, no module may say otherwise. */
static bool pam_may_set(const char *name)
{
	static const char *const ours[] = { "USER",  "LOGNAME",	   "HOME",
					    "SHELL", "SSH_CLIENT", "SSH_CONNECTION" };

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (strcmp(name, ours[i]) == 0)
			return false;
	return strncmp(name, "LD_", 3) != 0;
}

static int add_pam_variables(struct environment *env, char *const *pam)
{
	for (; pam && *pam; pam++) {
		const char *equals = strchr(*pam, '=');
		_cleanup_free_ char *name = NULL;
		int r;

		if (!equals || equals == *pam)
			continue;
		name = strndup(*pam, (size_t)(equals - *pam));
		if (!name)
			return -ENOMEM;
		if (!pam_may_set(name))
			continue;
		r = environment_set(env, name, equals + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int login_environment_build(const struct login_environment *in, struct environment *ret_env)
{
	_cleanup_(environment_done) struct environment env = { 0 };
	const struct {
		const char *name, *value;
	} fixed[] = {
		{ "USER", in->user },
		{ "LOGNAME", in->user },
		{ "HOME", in->home },
		{ "SHELL", in->shell },
		{ "PATH", in->path },
		{ "TZ", in->tz },
		{ "SSH_CLIENT", in->ssh_client },
		{ "SSH_CONNECTION", in->ssh_connection },
	};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		r = fixed[i].value ? environment_set(&env, fixed[i].name, fixed[i].value) : 0;
		if (r < 0)
			return r;
	}
	r = add_pam_variables(&env, in->pam);
	if (r < 0)
		return r;
	*ret_env = env;
	env = (struct environment){ 0 };
	return 0;
}

/* ---- one session ---- */

static int add_login_variables(struct environment *env, char *const *login)
{
	for (; login && *login; login++) {
		const char *equals = strchr(*login, '=');
		_cleanup_free_ char *name = NULL;
		int r;

		if (!equals || equals == *login)
			continue;
		name = strndup(*login, (size_t)(equals - *login));
		r = name ? environment_set(env, name, equals + 1) : -ENOMEM;
		if (r < 0)
			return r;
	}
	return 0;
}

int session_environment_build(char *const *login, const struct msg_start *start, const char *tty,
			      struct environment *ret_env)
{
	_cleanup_(environment_done) struct environment env = { 0 };
	int r = 0;

	for (size_t i = 0; i < start->n_env && r == 0; i++)
		r = environment_set(&env, start->env[i].name, start->env[i].value);
	if (r == 0 && start->has_pty && start->pty.term[0])
		r = environment_set(&env, "TERM", start->pty.term);
	if (r == 0)
		r = add_login_variables(&env, login);
	if (r == 0 && tty)
		r = environment_set(&env, "SSH_TTY", tty);
	if (r < 0)
		return r;
	*ret_env = env;
	env = (struct environment){ 0 };
	return 0;
}
