#include "tests/privsep/stage.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/keys/keys.h"
#include "tests/privsep/world.h"

/* The monitor's descriptors are those of its main program, and one for the log. */
#define FIRST_FD 3
#define N_FDS	 6
#define LOG_FD	 8

#define EXIT_LEAK 5

/* ---- the monitor's process ---- */

/* Of the fields, those that tests look for: nobody reads before the end, and a pipe holds so much.
 */
static void write_log(const char *ident, int level, const char *text,
		      const struct log_field *fields, size_t n_fields)
{
	static const char *const shown[] = { "ASKED", "REASON" };

	dprintf(LOG_FD, "<%d>%s\n", level, text);
	for (size_t i = 0; i < n_fields; i++)
		for (size_t j = 0; j < ARRAY_SIZE(shown); j++)
			if (fields[i].value && strcmp(fields[i].name, shown[j]) == 0)
				dprintf(LOG_FD, "\t%s=%s\n", shown[j], fields[i].value);
}

static unsigned count_fds(pid_t pid)
{
	_cleanup_free_ char *path = text_printf("/proc/%d/fd", pid);
	DIR *dir = opendir(path);
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/*
 * What tests hand to the monitor that it must not close (common/passed.h): files. It opens none of
 * these itself.
 */
static bool is_left_open(const char *number)
{
	static const char *const names[] = {
		"/", "/dev/null", "/dev/pts/", "/dev/zero", "/etc/passwd", "/memfd:privsep",
	};
	_cleanup_free_ char *path = text_printf("/proc/self/fd/%s", number);
	char target[256] = "";

	if (readlink(path, target, sizeof(target) - 1) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(target, names[i]) == 0 ||
		    (names[i][1] && strncmp(target, names[i], strlen(names[i])) == 0))
			return true;
	return strstr(target, "/mute/") != NULL;
}

/* In the monitor's own process: what it is answerable for. */
static unsigned count_own_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned n = 0;

	while (dir && (entry = readdir(dir)))
		n += !is_left_open(entry->d_name);
	if (dir)
		closedir(dir);
	return n;
}

/* fds: connection, status, net, session, keys, log. */
static _Noreturn void run_monitor(const int fds[N_FDS])
{
	_cleanup_free_ char *agent = world_path("agent.sock"), *ceiling = world_path("sshgw.conf");
	const struct monitor_config config = {
		.connection_fd = FIRST_FD,
		.status_fd = FIRST_FD + 1,
		.net_exe_fd = FIRST_FD + 2,
		.session_exe_fd = FIRST_FD + 3,
		.agent_socket = agent,
		.ceiling_path = ceiling,
		.keys_fd = FIRST_FD + 4,
	};
	unsigned before, after;
	int high[N_FDS], r;

	for (int i = 0; i < N_FDS; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 100);
	for (int i = 0; i < N_FDS; i++)
		dup3(high[i], FIRST_FD + i, O_CLOEXEC);
	close_range(LOG_FD + 1, ~0u, 0);
	log_set_writer(write_log);
	log_set_level(LOG_DEBUG);
	before = count_own_fds();
	r = monitor_run(&config);
	after = count_own_fds();
	if (after != before - (LOG_FD - FIRST_FD))
		dprintf(LOG_FD, "%d descriptors are left open\n",
			(int)(after - before) + LOG_FD - FIRST_FD);
	if (r == MON_EXIT_MISBEHAVED)
		dprintf(LOG_FD, "the listener is told that the client misbehaved\n");
	free(take_ptr(agent));
	free(take_ptr(ceiling));
	/* exit(), not _exit(): AddressSanitizer looks for what was not freed. */
	exit(after != before - (LOG_FD - FIRST_FD) ? EXIT_LEAK : r == MON_EXIT_FAILED);
}

/* ---- the keys process ---- */

/* The real one, for this monitor alone. Return: the monitor's end of its channel. */
static int start_keys(pid_t *ret_pid)
{
	_cleanup_free_ char *dir = world_path("keys"), *public = world_path("host_keys");
	int control[2], channel[2];
	pid_t pid;

	assert_int_equal(chan_pair(control), 0);
	assert_int_equal(chan_pair(channel), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct keys_config config = { .control_fd = FIRST_FD,
						    .hostkey_dir = dir,
						    .public_path = public };
		int r;

		dup2(control[1], FIRST_FD);
		close_range(FIRST_FD + 1, ~0u, 0);
		r = keys_run(&config);
		free(take_ptr(dir));
		free(take_ptr(public));
		exit(r < 0);
	}
	assert_int_equal(chan_send(control[0], KEYS_SERVE, NULL, &channel[1], 1), 0);
	stage_close(control, 2);
	close(channel[1]);
	*ret_pid = pid;
	return channel[0];
}

/* ---- the connection ---- */

static socklen_t make_address(const char *text, uint16_t port, struct sockaddr_storage *ret_ss)
{
	struct ip_endpoint ep = { .port = port };

	assert_int_equal(ip_addr_parse(text, &ep.addr), 0);
	return ip_endpoint_to_sockaddr(&ep, ret_ss);
}

/* Return: the client's end; *ret_server: as accept() gave it. */
static int make_connection(const struct stage_options *options, int *ret_server)
{
	const char *local = options->local ? options->local : AGENT_SELF;
	const char *peer = options->peer ? options->peer : AGENT_PEER;
	struct sockaddr_storage ss;
	socklen_t len = make_address(local, options->port ? options->port : 22, &ss);
	int listener = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	int client = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage from;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(listener, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	len = make_address(peer, 0, &from);
	assert_int_equal(bind(client, (struct sockaddr *)&from, len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&ss, len), 0);
	if (options->resets) {
		setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
			   sizeof(struct linger));
		close(client);
		client = -1;
	}
	*ret_server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(*ret_server >= 0);
	close(listener);
	return client;
}

/* ---- puppets ---- */

static int puppet_listener = -1;

static void listen_for_puppets(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (puppet_listener >= 0)
		return;
	puppet_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(sun.sun_path + 1, PUPPET_SOCKET, sizeof(PUPPET_SOCKET) - 1);
	assert_int_equal(bind(puppet_listener, (struct sockaddr *)&sun, PUPPET_SOCKET_LEN), 0);
	assert_int_equal(listen(puppet_listener, 8), 0);
}

static bool wait_readable(int fd, uint64_t usec)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, (int)(usec / 1000)) > 0;
}

static struct puppet receive_puppet(enum puppet_role role)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space = { 0 };
	struct puppet puppet = { .channel = -1 };
	struct iovec iov = { &puppet.hello, sizeof(puppet.hello) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = space.buf,
			     .msg_controllen = sizeof(space.buf) };

	if (!wait_readable(puppet_listener, STAGE_TIMEOUT_USEC))
		fail_msg("no %s process was started", role == PUPPET_NET ? "net" : "session");
	puppet.control = accept4(puppet_listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(puppet.control >= 0);
	assert_int_equal(recvmsg(puppet.control, &mh, MSG_CMSG_CLOEXEC), sizeof(puppet.hello));
	memcpy(&puppet.channel, CMSG_DATA(&space.align), sizeof(int));
	assert_int_equal(puppet.hello.role, role);
	assert_int_equal(puppet.hello.extra_fds, 0);
	return puppet;
}

void stage_tell_puppet(struct puppet *puppet, char order)
{
	assert_int_equal(send(puppet->control, &order, 1, MSG_NOSIGNAL), 1);
	if (order == PUPPET_FORK)
		assert_int_equal(recv(puppet->control, &order, 1, 0), 1);
	else if (order == PUPPET_EXIT || order == PUPPET_FAIL || order == PUPPET_BREAK)
		puppet->control = close_fd(puppet->control);
}

void stage_stop_monitor(const struct stage *s)
{
	int status;

	assert_int_equal(kill(s->monitor, SIGSTOP), 0);
	/* The signal is under way until then, and the monitor goes on. */
	assert_int_equal(waitpid(s->monitor, &status, WUNTRACED), s->monitor);
	assert_true(WIFSTOPPED(status));
}

void stage_continue_monitor(const struct stage *s)
{
	assert_int_equal(kill(s->monitor, SIGCONT), 0);
}

/* ---- the beginning ---- */

static int open_puppet(void)
{
	int fd = open(getenv("PUPPET"), O_PATH | O_CLOEXEC);

	if (fd < 0)
		fail_msg("$PUPPET is to name the program of the puppets");
	return fd;
}

char *stage_agent_path(void)
{
	return world_path("agent.sock");
}

static void write_ceiling(const char *content)
{
	_cleanup_free_ char *path = world_path("sshgw.conf");

	content = content ? content : "SSH=yes\nPermitRootLogin=yes\n";
	assert_int_equal(file_write_atomic(AT_FDCWD, path, content, strlen(content), 0644), 0);
}

void stage_begin(struct stage *s, const struct stage_options *options, bool expect_net)
{
	static const struct stage_options none;
	_cleanup_free_ char *agent = world_path("agent.sock");
	int fds[N_FDS], status[2], log[2];

	options = options ? options : &none;
	*s = (struct stage){
		.net = { .control = -1, .channel = -1 },
		.leader = { .control = -1, .channel = -1 },
		.user = -1,
	};
	listen_for_puppets();
	if (options->no_agent)
		unlink(agent);
	else
		assert_int_equal(fake_agent_start(agent, options->agent_uid, &s->agent), 0);
	write_ceiling(options->ceiling);
	s->client = make_connection(options, &fds[0]);
	assert_int_equal(pipe2(status, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	s->status = status[0];
	s->log = log[0];
	fds[1] = status[1];
	fds[2] = open_puppet();
	fds[3] = open_puppet();
	fds[4] = start_keys(&s->keys);
	fds[5] = log[1];
	fflush(NULL);
	s->monitor = fork();
	assert_true(s->monitor >= 0);
	if (s->monitor == 0)
		run_monitor(fds);
	stage_close(fds, N_FDS);
	if (expect_net) {
		s->net = receive_puppet(PUPPET_NET);
		assert_false(s->net.hello.has_environment);
		stage_skip(s->net.channel, NET_INIT);
	}
}

/* ---- messages ---- */

void stage_send(int channel, uint32_t type, struct chan_writer *w, const int *fds, size_t n_fds)
{
	assert_int_equal(chan_send_wait(channel, STAGE_TIMEOUT_USEC, type, w, fds, n_fds), 0);
	if (w)
		chan_writer_done(w);
}

struct chan_msg stage_expect(int channel, uint32_t type)
{
	struct chan_msg msg = { 0 };
	int r = chan_receive_wait(channel, STAGE_TIMEOUT_USEC, &msg);

	if (r < 0)
		fail_msg("message 0x%x did not come: %s", type, strerror(-r));
	if (msg.type != type)
		fail_msg("message 0x%x came, not 0x%x", msg.type, type);
	return msg;
}

void stage_skip(int channel, uint32_t type)
{
	struct chan_msg msg = stage_expect(channel, type);

	chan_msg_done(&msg);
}

void stage_expect_silence(int channel, uint64_t usec)
{
	struct chan_msg msg = { 0 };
	int r = chan_receive_wait(channel, usec, &msg);

	if (r == 0)
		fail_msg("message 0x%x came, unexpected", msg.type);
	assert_int_equal(r, -ETIME);
}

void stage_close(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fds[i] = close_fd(fds[i]);
}

void stage_pipes(int fds[3], int kept[3])
{
	for (int i = 0; i < 3; i++) {
		int ends[2];

		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		fds[i] = ends[i == 0];
		kept[i] = ends[i != 0];
	}
}

void stage_tell_agent(struct stage *s, const char *order)
{
	assert_int_equal(send(s->agent.control, order, strlen(order), MSG_NOSIGNAL), strlen(order));
}

char *stage_hear_agent(struct stage *s)
{
	char *text = calloc(1, 8192);

	if (!wait_readable(s->agent.control, STAGE_TIMEOUT_USEC))
		fail_msg("the agent was not called");
	assert_true(recv(s->agent.control, text, 8191, 0) > 0);
	return text;
}

unsigned stage_monitor_fds(const struct stage *s)
{
	return count_fds(s->monitor);
}

unsigned stage_monitor_children(const struct stage *s)
{
	_cleanup_free_ char *path =
		text_printf("/proc/%d/task/%d/children", s->monitor, s->monitor);
	FILE *f = fopen(path, "re");
	unsigned n = 0;
	int pid;

	assert_non_null(f);
	while (fscanf(f, "%d", &pid) == 1)
		n++;
	fclose(f);
	return n;
}

/* ---- ways through a login ---- */

void stage_ready(struct stage *s)
{
	stage_send(s->net.channel, NET_READY, NULL, NULL, 0);
}

void stage_authorize(struct stage *s)
{
	struct chan_writer w = { 0 };

	chan_put_string(&w, "alice");
	stage_send(s->net.channel, NET_AUTHORIZE, &w, NULL, 0);
	free(stage_hear_agent(s));
}

void stage_agent_accepts(struct stage *s, const char *local_user, const char *more)
{
	_cleanup_free_ char *order = text_printf(
		"notify {\"state\":\"accept\",\"leaseId\":\"l1\",\"nodeId\":\"n2\","
		"\"nodeName\":\"laptop\",\"nodeKey\":\"k\",\"user\":\"alice@example.com\","
		"\"localUser\":\"%s\",\"nonroot\":true,\"rule\":\"ssh[0]\"%s}",
		local_user ? local_user : "alice",
		more ? more
		     : ",\"options\":{\"forwarding\":{\"agent\":false,\"local\":false,"
		       "\"remote\":false},\"acceptEnv\":[\"GIT_*\"]}");

	stage_tell_agent(s, order);
}

void stage_check(struct stage *s)
{
	stage_tell_agent(s, "notify {\"state\":\"check\",\"check\":{\"message\":\"needed\","
			    "\"url\":\"https://coord.example/check/1\",\"code\":\"1\"}}");
	stage_skip(s->net.channel, NET_CHECK);
}

void stage_account(struct stage *s)
{
	_cleanup_(msg_account_done) struct msg_account account = { 0 };
	struct chan_msg msg;

	s->leader = receive_puppet(PUPPET_LEADER);
	msg = stage_expect(s->leader.channel, LEADER_ACCOUNT);
	assert_int_equal(msg_account_get(&msg, &account), 0);
	chan_msg_done(&msg);
	/* By which its records are found with the monitor's. */
	assert_int_equal(strncmp(account.connection, "ssh-", 4), 0);
	assert_string_equal(account.person, "alice@example.com");
}

void stage_agreed(struct stage *s)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, 1);
	chan_put_string(&w, "");
	stage_send(s->leader.channel, LEADER_ACCOUNT_RESULT, &w, NULL, 0);
	stage_skip(s->net.channel, NET_AUTH_RESULT);
}

void stage_opening(struct stage *s)
{
	struct chan_msg msg;

	stage_send(s->net.channel, NET_LOGGED_IN, NULL, NULL, 0);
	msg = stage_expect(s->leader.channel, LEADER_OPEN);
	assert_int_equal(msg.n_fds, 1);
	s->user = take_fd(&msg.fds[0]);
	chan_msg_done(&msg);
}

void stage_leader_opens(struct stage *s, const char *text)
{
	struct chan_writer w = { 0 };

	chan_put_u8(&w, 1);
	chan_put_string(&w, text);
	stage_send(s->leader.channel, LEADER_OPENED, &w, NULL, 0);
}

void stage_open(struct stage *s)
{
	stage_leader_opens(s, "Welcome\n");
	stage_skip(s->net.channel, NET_OPENED);
}

void stage_reach(struct stage *s, enum mon_state state)
{
	stage_reach_with(s, NULL, NULL, state);
}

void stage_reach_with(struct stage *s, const struct stage_options *options, const char *more,
		      enum mon_state state)
{
	stage_begin(s, options, true);
	if (state >= MON_KEX)
		stage_ready(s);
	if (state >= MON_ASKING)
		stage_authorize(s);
	if (state == MON_CHECK)
		stage_check(s);
	if (state >= MON_ACCOUNT) {
		stage_agent_accepts(s, NULL, more);
		stage_account(s);
	}
	if (state >= MON_AGREED)
		stage_agreed(s);
	if (state >= MON_OPENING)
		stage_opening(s);
	if (state >= MON_OPEN)
		stage_open(s);
}

void stage_log_in(struct stage *s, const char *ceiling, const char *more)
{
	const struct stage_options options = { .ceiling = ceiling };

	stage_reach_with(s, &options, more, MON_OPEN);
}

void stage_log_out(struct stage *s, const char *log)
{
	stage_tell_puppet(&s->net, PUPPET_EXIT);
	stage_end_with_leader(s, log);
}

struct msg_start stage_start(struct stage *s, const struct msg_start *start)
{
	struct chan_writer w = { 0 };
	struct msg_start seen;
	struct chan_msg msg;

	msg_start_put(&w, start);
	stage_send(s->net.channel, NET_START, &w, NULL, 0);
	msg = stage_expect(s->user, USER_START);
	assert_int_equal(msg_start_get(&msg, &seen), 0);
	chan_msg_done(&msg);
	return seen;
}

void stage_start_channel(struct stage *s, uint32_t channel)
{
	static char command[] = "true";
	struct msg_start start = { .channel = channel, .kind = START_EXEC, .command = command };
	struct chan_writer w = { 0 };

	msg_start_put(&w, &start);
	stage_send(s->net.channel, NET_START, &w, NULL, 0);
	stage_skip(s->user, USER_START);
}

void stage_run_channel(struct stage *s, uint32_t channel)
{
	struct chan_writer w = { 0 };
	int fds[3], kept[3];

	stage_pipes(fds, kept);
	chan_put_u32(&w, channel);
	chan_put_u8(&w, 3);
	stage_send(s->user, USER_STARTED, &w, fds, 3);
	stage_skip(s->net.channel, NET_STARTED);
	stage_close(fds, 3);
	stage_close(kept, 3);
}

void stage_leader_closes(struct stage *s)
{
	uint32_t type = 0;

	/* What came before the order to close is of no interest any more. */
	while (type != LEADER_CLOSE) {
		struct chan_msg msg = { 0 };
		int r = chan_receive_wait(s->leader.channel, STAGE_TIMEOUT_USEC, &msg);

		if (r == -ECONNRESET)
			break;
		if (r < 0)
			fail_msg("the leader is not asked to close: %s", strerror(-r));
		type = msg.type;
		chan_msg_done(&msg);
	}
	stage_tell_puppet(&s->leader, PUPPET_EXIT);
}
