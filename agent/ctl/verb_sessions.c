/* ssh-sessions list, kill, watch. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/render_sessions.h"
#include "agent/ctl/risk.h"
#include "common/cli/value.h"
#include "common/clock.h"

/* ---- list ---- */

int verb_sessions_list(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_auto_t *reply = NULL;
	int r;

	r = ctl_call_parts(ctl, "ListSessions", &reply);
	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	return ctl_rendered(render_sessions(json_object_get(reply, "sessions"),
					    clock_usec(CLOCK_REALTIME), &ctl->out));
}

/* ---- kill ---- */

/* What is to be ended. The JSON is borrowed from the list. */
struct chosen {
	const json_t *sessions;		       /* all there are */
	const json_t *items[CTL_MAX_SESSIONS]; /* those that were named, each once */
	enum risk risks[CTL_MAX_SESSIONS];
	size_t n;
	enum risk worst;
};

/* The beginning of an id, or of the gateway's name for the connection. */
static bool is_meant(const json_t *session, const char *text)
{
	size_t len = strlen(text);

	return len > 0 && (strncmp(value_text(session, "leaseId"), text, len) == 0 ||
			   strncmp(value_text(session, "connection"), text, len) == 0);
}

static bool is_chosen(const struct chosen *chosen, const json_t *session)
{
	for (size_t i = 0; i < chosen->n; i++)
		if (chosen->items[i] == session)
			return true;
	return false;
}

static int choose(struct chosen *chosen, const char *text)
{
	const json_t *found = NULL;

	for (size_t i = 0; i < json_array_size(chosen->sessions); i++) {
		const json_t *session = json_array_get(chosen->sessions, i);

		if (!is_meant(session, text))
			continue;
		if (found)
			return ctl_tell(CLI_NO,
					"'%s' is the beginning of more than one id; write more of "
					"it",
					text);
		found = session;
	}
	if (!found)
		return ctl_tell(CLI_NO,
				"no SSH connection has the id '%s'; see 'agentctl "
				"ssh-sessions list'",
				text);
	if (!is_chosen(chosen, found))
		chosen->items[chosen->n++] = found;
	return CLI_OK;
}

static void judge_risks(struct chosen *chosen)
{
	struct risk_scene scene;

	risk_scene_here(&scene);
	for (size_t i = 0; i < chosen->n; i++) {
		chosen->risks[i] = risk_judge(&scene, chosen->sessions, chosen->items[i]);
		if (chosen->risks[i] > chosen->worst)
			chosen->worst = chosen->risks[i];
	}
}

static int kill_one(struct ctl *ctl, const json_t *session, size_t id_len, json_t *killed)
{
	struct ctl_error gone = { .name = "io.peergate.Agent.NoSuchSession" };
	_cleanup_free_ char *who = session_words(session);
	const char *id = value_text(session, "leaseId");
	json_auto_t *reply = NULL;
	int r;

	if (!who)
		return ctl_rendered(-ENOMEM);
	r = ctl_call(ctl, "KillSession",
		     json_pack("{s:s, s:s*}", "leaseId", id, "message", ctl->message), &gone,
		     &reply);
	json_decref(gone.params);
	if (r != CLI_OK && !gone.occurred)
		return r;
	if (!ctl->json)
		fprintf(ctl->out.file, "%.*s  %s  %s\n", (int)id_len, id, who,
			gone.occurred ? "had ended already" : "ended");
	else if (reply && json_array_append(killed, json_object_get(reply, "session")) < 0)
		return ctl_rendered(-ENOMEM);
	/* It may be the last that we are able to say. */
	fflush(ctl->out.file);
	return CLI_OK;
}

/* Those that may be our own come last. */
static int kill_all(struct ctl *ctl, const struct chosen *chosen)
{
	json_auto_t *killed = json_array(), *reply = NULL;
	size_t id_len = session_id_len(chosen->sessions);
	int r = CLI_OK;

	for (int risk = RISK_NONE; risk <= RISK_CERTAIN && r == CLI_OK; risk++)
		for (size_t i = 0; i < chosen->n && r == CLI_OK; i++)
			if (chosen->risks[i] == (enum risk)risk)
				r = kill_one(ctl, chosen->items[i], id_len, killed);
	if (!ctl->json || r != CLI_OK)
		return r;
	reply = json_pack("{s:O}", "sessions", killed);
	return ctl_print_json(ctl, reply);
}

int verb_sessions_kill(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	struct chosen chosen = { 0 };
	json_auto_t *reply = NULL;
	int r;

	r = ctl_call_parts(ctl, "ListSessions", &reply);
	chosen.sessions = json_object_get(reply, "sessions");
	for (int i = 0; i < argc && r == CLI_OK; i++)
		r = choose(&chosen, argv[i]);
	if (r != CLI_OK)
		return r;
	judge_risks(&chosen);
	if (!ctl->accept_risk)
		r = risk_ask(chosen.worst, STDIN_FILENO, stderr);
	return r == CLI_OK ? kill_all(ctl, &chosen) : r;
}

/* ---- watch ---- */

static int show_event(struct ctl *ctl, const json_t *event)
{
	int r;

	if (ctl->json)
		r = ctl_print_json_line(ctl, event);
	else
		r = ctl_rendered(render_event(event, &ctl->out));
	/* Each when it happens, also into a pipe. */
	if (r == CLI_OK && fflush(ctl->out.file) != 0)
		r = ctl_tell(CLI_NO, "standard output: %s", strerror(errno));
	return r;
}

int verb_sessions_watch(int argc, char **argv, void *userdata)
{
	return ctl_stream(userdata, "Subscribe", NULL, show_event);
}
