#include "tests/privsep/fake_agent.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/text.h"
#include "common/varlink.h"

#define INTERFACE "io.peergate.Agent"
#define MAX_ORDER (64u << 10)

struct agent {
	sd_event *event;
	struct varlink_call *held;
	int control;
};

/* ---- methods ---- */

static int who_is(struct varlink_call *call, const json_t *params, void *userdata)
{
	const char *addr = json_string_value(json_object_get(params, "address"));
	bool self, peer;

	if (!addr)
		return varlink_call_invalid_parameter(call, "address");
	self = strcmp(addr, AGENT_SELF) == 0 || strcmp(addr, AGENT_SELF6) == 0;
	peer = strcmp(addr, AGENT_PEER) == 0 || strcmp(addr, AGENT_PEER6) == 0;
	if (peer)
		return varlink_call_reply(call, json_pack("{s:s}", "id", "n2"));
	return varlink_call_error(call, INTERFACE ".NotAPeer", json_pack("{s:b}", "self", self));
}

static int hold(struct agent *agent, struct varlink_call *call, const char *method,
		const json_t *params)
{
	_cleanup_free_ char *json = json_dumps(params, JSON_COMPACT);
	_cleanup_free_ char *line = text_printf("%s %s", method, json);

	varlink_call_unref(agent->held);
	agent->held = varlink_call_ref(call);
	return send(agent->control, line, strlen(line), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int authorize(struct varlink_call *call, const json_t *params, void *userdata)
{
	return hold(userdata, call, "AuthorizeSSH", params);
}

static int resume(struct varlink_call *call, const json_t *params, void *userdata)
{
	return hold(userdata, call, "ResumeSSH", params);
}

static const struct varlink_method methods[] = {
	{ "WhoIs", who_is, false },
	{ "AuthorizeSSH", authorize, true },
	{ "ResumeSSH", resume, true },
};
static const struct varlink_interface interface = {
	.name = INTERFACE,
	.description = "interface io.peergate.Agent\n",
	.methods = methods,
	.n_methods = ARRAY_SIZE(methods),
};
static const struct varlink_info info = { "test", "test", "0", "https://example.org" };
static const struct varlink_limits limits = { 8, 8, 8, 1u << 20 };

/* ---- orders ---- */

static void obey(struct agent *agent, const char *order, const char *argument)
{
	struct varlink_call *call = agent->held;

	if (strcmp(order, "error") == 0) {
		varlink_call_error(call, argument, NULL);
	} else if (strcmp(order, "notify") == 0) {
		varlink_call_notify(call, json_loads(argument, 0, NULL));
	} else {
		varlink_call_reply(call, json_loads(argument, 0, NULL));
		agent->held = varlink_call_unref(agent->held);
	}
}

static int on_order(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct agent *agent = userdata;
	_cleanup_free_ char *text = calloc(1, MAX_ORDER + 1);
	ssize_t n = recv(fd, text, MAX_ORDER, 0);
	char *argument;

	if (n <= 0)
		return sd_event_exit(agent->event, 0);
	argument = strchr(text, ' ');
	*argument++ = '\0';
	if (agent->held)
		obey(agent, text, argument);
	return 0;
}

/* ---- the process ---- */

static int listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	unlink(path);
	memcpy(sun.sun_path, path, strlen(path));
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 8) < 0)
		return -errno;
	return fd;
}

static int serve(const char *path, uid_t uid, int control)
{
	struct agent agent = { .control = control };
	struct varlink_server *server = NULL;
	sd_event_source *source = NULL;
	int fd;

	if (setresuid(uid, uid, uid) < 0 || sd_event_new(&agent.event) < 0)
		return 1;
	fd = listen_at(path);
	if (fd < 0 || sd_event_add_io(agent.event, &source, control, EPOLLIN, on_order, &agent) < 0)
		return 2;
	if (varlink_server_new(agent.event, &info, &interface, &limits, &agent, &server) < 0 ||
	    varlink_server_listen(server, fd) < 0)
		return 3;
	if (send(control, "ready", 5, 0) != 5)
		return 4;
	sd_event_loop(agent.event);
	return 0;
}

int fake_agent_start(const char *path, uid_t uid, struct fake_agent *ret_agent)
{
	int pair[2];
	char ready[8];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(pair[0]);
		_exit(serve(path, uid, pair[1]));
	}
	close(pair[1]);
	if (recv(pair[0], ready, sizeof(ready), 0) != 5) {
		close(pair[0]);
		return -EIO;
	}
	*ret_agent = (struct fake_agent){ pid, pair[0] };
	return 0;
}

void fake_agent_stop(struct fake_agent *agent)
{
	if (agent->pid <= 0)
		return;
	kill(agent->pid, SIGKILL);
	waitpid(agent->pid, NULL, 0);
	agent->control = close_fd(agent->control);
	agent->pid = 0;
}
