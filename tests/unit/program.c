#include "tests/unit/program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"

/* Caddy takes half a minute on a machine that has more to do. */
#define PATIENCE_USEC 180000000u

static struct sockaddr_in address_of(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

bool program_is_installed(const char *name)
{
	const char *dirs[] = { "/usr/sbin", "/usr/bin" };
	char path[64];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

uint16_t program_free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = address_of(0);
	socklen_t len = sizeof(address);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	return ntohs(address.sin_port);
}

/* In its directory. */
#define OUTPUT "output"

static void run(const char *dir, const char *const *argv)
{
	int log;

	if (chdir(dir) < 0)
		_exit(126);
	log = open(OUTPUT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(126);
	setenv("HOME", dir, 1);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static bool listens(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = address_of(port);
	bool connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;

	close(fd);
	return connected;
}

static void fail_with_output(const char *dir, const char *name, const char *what)
{
	_cleanup_free_ char *path = text_printf("%s/" OUTPUT, dir), *output = NULL;
	size_t len;

	if (file_read(AT_FDCWD, path, 1 << 20, &output, &len) < 0)
		len = 0;
	fail_msg("%s %s; its output:\n%s", name, what, len > 0 ? output : "(none)");
}

void program_start(const char *dir, const char *const *argv, uint16_t port, pid_t *ret_pid)
{
	uint64_t late = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		run(dir, argv);
	*ret_pid = pid;
	while (!listens(port)) {
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			*ret_pid = 0;
			fail_with_output(dir, argv[0], "has ended");
		}
		if (clock_usec(CLOCK_MONOTONIC) > late)
			fail_with_output(dir, argv[0], "does not listen");
		usleep(20000);
	}
}

void program_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}
