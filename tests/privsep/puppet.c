/*
 * Stands in for peergate-sshgw-net and peergate-sshgw-session in the tests of the monitor: started
 * by the real monitor like those, it hands its end of the channel to the test, which says and
 * hears everything on it. The process itself does what the test orders: fork, exit. It ends by
 * _exit(): what AddressSanitizer does on the way out takes another process, which the monitor may
 * be about to kill.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "sshgw/steps.h"
#include "tests/privsep/puppet.h"

/* Descriptors beyond those that the role is given. */
static unsigned count_extra_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned n = 0;

	while (dir && (entry = readdir(dir)))
		n += atoi(entry->d_name) > PUPPET_LAST_FD && atoi(entry->d_name) != dirfd(dir);
	closedir(dir);
	return n;
}

static int connect_to_test(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path + 1, PUPPET_SOCKET, strlen(PUPPET_SOCKET));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, PUPPET_SOCKET_LEN) < 0)
		_exit(3);
	return fd;
}

static void say_hello(int control, const struct puppet_hello *hello, int channel)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space = { 0 };
	struct iovec iov = { (void *)hello, sizeof(*hello) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = space.buf,
			     .msg_controllen = sizeof(space.buf) };

	space.align.cmsg_level = SOL_SOCKET;
	space.align.cmsg_type = SCM_RIGHTS;
	space.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&space.align), &channel, sizeof(int));
	if (sendmsg(control, &mh, 0) < 0)
		_exit(4);
}

/* A process that nobody waits for, in a session of its own: what nohup and setsid leave behind. */
static void leave_process_behind(int control)
{
	char done = 'f';

	if (fork() == 0) {
		setsid();
		if (fork() > 0)
			_exit(0);
		close(control);
		alarm(60);
		for (;;)
			pause();
	}
	if (write(control, &done, 1) != 1)
		_exit(5);
}

/* It does not come back from that, and cannot be killed. */
static void hang(int control)
{
	char path[256] = "";
	struct stat st;

	if (read(control, path, sizeof(path) - 1) < 0 || stat(path, &st) < 0)
		_exit(6);
}

int main(int argc, char *argv[])
{
	struct puppet_hello hello = {
		.role = argc == 3 && strcmp(argv[2], "leader") == 0 ? PUPPET_LEADER : PUPPET_NET,
		.pid = getpid(),
		.extra_fds = count_extra_fds(),
		.has_environment = environ && environ[0],
	};
	int channel = hello.role == PUPPET_LEADER ? PUPPET_LEADER_CHANNEL : PUPPET_NET_CHANNEL;
	int control = connect_to_test();
	char order;

	say_hello(control, &hello, channel);
	/* The test has the only copy now: when it closes that, the channel is at its end. */
	close(channel);
	while (read(control, &order, 1) == 1) {
		if (order == PUPPET_FORK)
			leave_process_behind(control);
		else if (order == PUPPET_HANG)
			hang(control);
		else if (order == PUPPET_FAIL)
			_exit(NET_EXIT_FAILED);
		else if (order == PUPPET_BREAK)
			_exit(NET_EXIT_BROKEN);
		else
			_exit(0);
	}
	_exit(0);
}
