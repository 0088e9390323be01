#include "tests/bench/coord/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "peergate-config.h"
#include "tests/bench/coord/admin.h"
#include "tests/bench/coord/bench.h"
#include "tests/bench/coord/sim.h"

#define START_USEC (30 * USEC_PER_SEC)
#define STOP_USEC  (30 * USEC_PER_SEC)

static pid_t server;

static _Noreturn void run(const char *program, const struct passwd *user, const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || setgroups(0, NULL) < 0 ||
	    setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0)
		_exit(126);
	/* It must not outlive this program, however that ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl(program, program, (char *)NULL);
	_exit(127);
}

static bool has_ended(void)
{
	if (server > 0 && waitpid(server, NULL, WNOHANG) == server)
		server = 0;
	return server == 0;
}

void server_start(const char *program, const char *log)
{
	const struct passwd *user = getpwnam(PEERGATE_COORD_USER);
	uint64_t until = bench_now() + START_USEC;

	if (!user)
		die("there is no account " PEERGATE_COORD_USER);
	fflush(NULL);
	server = fork();
	if (server == 0)
		run(program, user, log);
	if (server < 0)
		die("fork: %s", strerror(errno));
	while (!admin_is_there()) {
		if (has_ended() || bench_now() > until)
			die("the coordinator does not start; see %s", log);
		usleep(10000);
	}
}

void server_stop(void)
{
	uint64_t until = bench_now() + STOP_USEC;

	sims.ending = true;
	kill(server, SIGTERM);
	while (!has_ended()) {
		if (bench_now() > until)
			die("the coordinator does not stop");
		conn_poll(bench_now() + 10000);
	}
	for (unsigned i = 0; i < sims.n; i++)
		if (sims.items[i].stream)
			sim_disconnect(&sims.items[i]);
	sims.ending = false;
	admin_forget();
}

double server_cpu(void)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(server, &clock) != 0 || clock_gettime(clock, &ts) < 0)
		die("the coordinator's CPU time");
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double server_pss(void)
{
	char path[64], line[128];
	unsigned long kb = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", server);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pss: %lu", &kb) == 1)
			break;
	if (file)
		fclose(file);
	if (kb == 0)
		die("%s: no PSS", path);
	return (double)kb * 1.024;
}
