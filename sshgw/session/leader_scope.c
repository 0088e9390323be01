#include "sshgw/session/leader_scope.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "sshgw/scope.h"

int leader_scope_init(struct leader_scope *scope)
{
	int r = scope_find_made(&scope->made, &scope->above);

	return r == -ENOENT ? 0 : r;
}

void leader_scope_done(struct leader_scope *scope)
{
	free(scope->made);
	free(scope->above);
	free(scope->session);
}

/* The monitor may have taken us out of our group, into its own: that is not the login's. */
static void find_session(struct leader_scope *scope)
{
	char *own = NULL;
	int r = scope_own(&own);

	if (r < 0)
		log_warning_errno(r, "Could not find out our control group, continuing");
	if (r < 0 || strcmp(own, scope->made) == 0 || strcmp(own, scope->above) == 0) {
		free(own);
		return;
	}
	free(scope->session);
	scope->session = own;
}

/*
 * The monitor freezes a group to kill around us. We cannot from within, so we step out of it for as
 * long as it takes to kill it whole.
 */
void leader_scope_kill(struct leader_scope *scope)
{
	int left;

	if (!scope->made) {
		log_error("The login has no control group of its own; what it started may go on");
		return;
	}
	find_session(scope);
	left = scope_enter(scope->above);
	if (left < 0)
		log_error_errno(left, "Could not leave the login's control group, ending with it");
	scope_kill_logged(scope->made);
	if (scope->session) {
		scope_kill_logged(scope->session);
		scope_remove(scope->made);
	}
	if (left == 0 && scope_enter(scope->session ? scope->session : scope->made) < 0)
		log_debug("The login's control group is gone");
}
