/* Where agentctl itself is called from, and what ending every connection would mean for that. */
#include <systemd/sd-login.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/risk.h"

/* Where logind says that our login comes from: this survives sudo, and needs no rights. */
static void add_login_address(struct risk_scene *scene)
{
	_cleanup_free_ char *session = NULL, *host = NULL;

	if (sd_pid_get_session(0, &session) >= 0 && sd_session_get_remote_host(session, &host) >= 0)
		risk_scene_add_address(scene, host);
}

void risk_scene_here(struct risk_scene *ret_scene)
{
	static const struct risk_places places = { "/proc", "/sys/fs/cgroup" };

	risk_scene_read(&places, getpid(), ret_scene);
	add_login_address(ret_scene);
}

int risk_ask_all(struct ctl *ctl)
{
	enum risk worst = RISK_NONE;
	json_auto_t *reply = NULL;
	const json_t *sessions;
	struct risk_scene scene;
	int r;

	if (ctl->accept_risk)
		return CLI_OK;
	r = ctl_call_parts(ctl, "ListSessions", &reply);
	if (r != CLI_OK)
		return r;
	sessions = json_object_get(reply, "sessions");
	risk_scene_here(&scene);
	for (size_t i = 0; i < json_array_size(sessions); i++) {
		enum risk risk = risk_judge(&scene, sessions, json_array_get(sessions, i));

		if (risk > worst)
			worst = risk;
	}
	return risk_ask(worst, STDIN_FILENO, stderr);
}
