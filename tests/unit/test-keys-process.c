/*
 * The listener's way to the keys process, which is played by this program itself: the first one
 * closes the channel and stays, each later one serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/listener/keys_process.h"
#include "sshgw/msg.h"

#define CONTROL	  3
#define WAIT_USEC 10000000ull

/* In both: there once the first one has closed its channel. */
static char *closed_path(pid_t test)
{
	return text_printf("/tmp/test-keys-process.%d", test);
}

static int play_keys(void)
{
	_cleanup_free_ char *closed = closed_path(getppid());
	struct chan_msg msg = { 0 };

	if (access(closed, F_OK) < 0) {
		close(CONTROL);
		close(open(closed, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		alarm(30);
		pause();
	}
	while (chan_receive_wait(CONTROL, WAIT_USEC, &msg) == 0) {
		chan_send(msg.fds[0], KEYS_PUBLIC, NULL, NULL, 0);
		chan_msg_done(&msg);
	}
	return 0;
}

static void discard_log(void *userdata, int level, const char *text)
{
}

static void expect_service(struct keys_process *keys)
{
	struct chan_msg msg = { 0 };
	int fd = -1;

	assert_int_equal(keys_process_open(keys, &fd), 0);
	assert_int_equal(chan_receive_wait(fd, WAIT_USEC, &msg), 0);
	assert_int_equal(msg.type, KEYS_PUBLIC);
	chan_msg_done(&msg);
	close(fd);
}

static void test_one_that_does_not_listen(void **state)
{
	_cleanup_(keys_process_freep) struct keys_process *keys = NULL;
	_cleanup_close_ int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	_cleanup_free_ char *closed = closed_path(getpid());
	sd_event *event = NULL;
	pid_t first;

	unlink(closed);
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(keys_process_new(event, exe, &keys), 0);
	first = keys_process_pid(keys);
	while (access(closed, F_OK) < 0)
		usleep(1000);
	expect_service(keys);
	assert_int_not_equal(keys_process_pid(keys), first);
	/* It does not know that it is not wanted any more. */
	kill(first, SIGKILL);
	/* That one stays. */
	first = keys_process_pid(keys);
	expect_service(keys);
	assert_int_equal(keys_process_pid(keys), first);
	sd_event_unref(event);
	unlink(closed);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_does_not_listen),
	};

	if (strcmp(argv[0], "peergate-sshgw-keys") == 0)
		return play_keys();
	log_set_sink(discard_log, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
