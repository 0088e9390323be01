/* Signing out. */
#include "coord/web/internal.h"

static void on_closed(const struct registry_result *result, void *userdata)
{
	struct web_call *call = userdata;

	if (web_refused(call, result) == 0)
		return;
	call->new_session = "";
	web_redirect(call, "/login");
}

int web_logout(struct web_call *call)
{
	if (web_check_form(call, "logout") != 0)
		return 0;
	registry_close_session(call->web->registry, &call->actor, call->session, on_closed, call);
	return 0;
}

int web_logout_everywhere(struct web_call *call)
{
	if (web_check_form(call, "logout-everywhere") != 0)
		return 0;
	registry_close_sessions(call->web->registry, &call->actor, call->login, on_closed, call);
	return 0;
}
