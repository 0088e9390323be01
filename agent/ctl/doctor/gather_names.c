/* How this host would find a peer by name, and what ssh makes of its configuration for it. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/ctl/doctor/doctor.h"
#include "common/clock.h"
#include "common/file.h"

#define CONFIG_MAX (64u << 10)
/* Of a name server that does not answer; of ssh, which asks nobody but runs what Match exec says.
 */
#define NAME_PATIENCE_USEC (5 * USEC_PER_SEC)
#define SSH_PATIENCE_USEC  (30 * USEC_PER_SEC)
#define SSH		   "/usr/bin/ssh"

extern char **environ;

static bool is_of_mesh(const struct doctor_facts *facts, const struct addrinfo *list)
{
	for (; list; list = list->ai_next) {
		struct ip_endpoint ep;

		if (ip_endpoint_from_sockaddr(list->ai_addr, list->ai_addrlen, &ep) == 0 &&
		    doctor_in_mesh(facts, &ep.addr))
			return true;
	}
	return false;
}

/* The resolver may wait for a server that does not answer: it is left alone then. */
static void resolve(const struct doctor_facts *facts, struct doctor_name *name)
{
	/* Static: a request that was given up on goes on using it. */
	static struct gaicb requests[DOCTOR_MAX_NAMES];
	struct gaicb *request = &requests[name - facts->names];
	const struct timespec patience = { .tv_sec = NAME_PATIENCE_USEC / USEC_PER_SEC };
	int r;

	*request = (struct gaicb){ .ar_name = name->name };
	if (getaddrinfo_a(GAI_NOWAIT, &request, 1, NULL) != 0)
		return;
	(void)gai_suspend((const struct gaicb *const[]){ request }, 1, &patience);
	r = gai_error(request);
	if (r == EAI_INPROGRESS) {
		name->timed_out = true;
		/* Leaked on purpose, with what the request refers to. */
		name->name = strdup(name->name);
		return;
	}
	if (r != 0)
		return;
	name->resolved = is_of_mesh(facts, request->ar_result);
	freeaddrinfo(request->ar_result);
}

/* ---- ssh -G ---- */

/* Its output up to its end, or NULL if that does not come in time. */
static char *read_output(int fd)
{
	uint64_t until = clock_usec(CLOCK_MONOTONIC) + SSH_PATIENCE_USEC;
	char *text = calloc(1, CONFIG_MAX + 1);
	size_t len = 0;

	while (text && len < CONFIG_MAX) {
		uint64_t now = clock_usec(CLOCK_MONOTONIC);
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (now >= until || poll(&pfd, 1, (int)((until - now) / 1000) + 1) == 0)
			break;
		n = read(fd, text + len, CONFIG_MAX - len);
		if (n == 0)
			return text;
		if (n < 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	free(text);
	return NULL;
}

static int spawn_ssh(const char *name, int out, pid_t *ret_pid)
{
	char *const argv[] = { (char *)"ssh", (char *)"-G", (char *)"--", (char *)name, NULL };
	posix_spawn_file_actions_t actions;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawn(ret_pid, SSH, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Nothing is connected to: -G prints the configuration and ends. */
static char *ask_ssh(const char *name)
{
	_cleanup_close_ int in = -1, out = -1;
	char *text;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return NULL;
	in = fds[0];
	out = fds[1];
	if (spawn_ssh(name, out, &pid) < 0)
		return NULL;
	out = close_fd(out);
	text = read_output(in);
	if (!text)
		(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (text && !text[0]) {
		free(text);
		return NULL;
	}
	return text;
}

/* "laptop,laptop.mesh.example,100.64.0.2 ssh-ed25519 ...": the name that people type. */
static bool take_name(struct doctor_facts *facts, const char *line)
{
	size_t len = strcspn(line, ", ");
	struct doctor_name *name = &facts->names[facts->n_names];

	/* Keys of one peer come one after the other. */
	if (len == 0 || (facts->n_names > 0 && strncmp(name[-1].name, line, len) == 0))
		return false;
	name->name = strndup(line, len);
	if (!name->name)
		return false;
	facts->n_names++;
	return true;
}

void doctor_gather_names(struct doctor_facts *facts)
{
	const json_t *lines = json_object_get(facts->known_hosts, "lines");
	const struct passwd *pw = getpwuid(geteuid());
	size_t len;

	facts->user = pw ? strdup(pw->pw_name) : NULL;
	(void)file_read(AT_FDCWD, "/etc/nsswitch.conf", CONFIG_MAX, &facts->nsswitch, &len);
	for (size_t i = 0; i < json_array_size(lines) && facts->n_names < DOCTOR_MAX_NAMES; i++) {
		const char *line = json_string_value(json_array_get(lines, i));

		if (!line || !take_name(facts, line))
			continue;
		resolve(facts, &facts->names[facts->n_names - 1]);
		facts->names[facts->n_names - 1].ssh =
			ask_ssh(facts->names[facts->n_names - 1].name);
	}
}
