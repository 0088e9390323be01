/*
 * The user process belongs to the user, who may trace it and put anything in its place: what it
 * says about channels that are not its own to speak of, and whatever it hands over that is no pipe
 * or terminal of the user's, ends the connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include <cmocka.h>

#include "common/text.h"
#include "tests/privsep/mute_fs.h"
#include "tests/privsep/stage.h"
#include "tests/privsep/world.h"
#include "tests/unit/lingering.h"

#define CHANNEL		7u
#define STARTED_REFUSED "Message 0x380 of the user process was refused"
#define FAILED_REFUSED	"Message 0x381 of the user process was refused"
#define EXITED_REFUSED	"Message 0x382 of the user process was refused"

/* ---- states of a channel ---- */

enum how {
	UNKNOWN,
	STARTING,
	RUNNING,
	DETACHED,
	ENDED,
};

static void say_exited(struct stage *s, uint32_t channel)
{
	struct chan_writer w = { 0 };

	msg_exited_put(&w, &(struct msg_exited){ .channel = channel });
	stage_send(s->user, USER_EXITED, &w, NULL, 0);
}

static void say_failed(struct stage *s, uint32_t channel)
{
	struct chan_writer w = { 0 };

	chan_put_u32(&w, channel);
	chan_put_string(&w, "no");
	stage_send(s->user, USER_START_FAILED, &w, NULL, 0);
}

static void say_started(struct stage *s, uint32_t channel, const int *fds, size_t n_fds)
{
	struct chan_writer w = { 0 };

	chan_put_u32(&w, channel);
	chan_put_u8(&w, (uint8_t)n_fds);
	stage_send(s->user, USER_STARTED, &w, fds, n_fds);
}

static void say_started_on_pipes(struct stage *s, uint32_t channel)
{
	int fds[3], kept[3];

	stage_pipes(fds, kept);
	say_started(s, channel, fds, 3);
	stage_close(fds, 3);
	stage_close(kept, 3);
}

static void hang_up(struct stage *s)
{
	struct chan_writer w = { 0 };

	chan_put_u32(&w, CHANNEL);
	stage_send(s->net.channel, NET_HANGUP, &w, NULL, 0);
	stage_skip(s->user, USER_HANGUP);
}

/* An open login whose channel is in that state, and a process of the user's that must die. */
static void begin_with(struct stage *s, enum how how)
{
	stage_reach(s, MON_OPEN);
	stage_tell_puppet(&s->leader, PUPPET_FORK);
	if (how != UNKNOWN)
		stage_start_channel(s, CHANNEL);
	if (how == RUNNING || how == DETACHED || how == ENDED)
		stage_run_channel(s, CHANNEL);
	if (how == DETACHED)
		hang_up(s);
	if (how == ENDED) {
		say_exited(s, CHANNEL);
		stage_skip(s->net.channel, NET_EXITED);
	}
}

static void test_started_at_the_wrong_time(void **state)
{
	static const enum how cases[] = { UNKNOWN, RUNNING, ENDED };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		print_message("state %d\n", cases[i]);
		begin_with(&s, cases[i]);
		say_started_on_pipes(&s, CHANNEL);
		stage_end_with_leader(&s, STARTED_REFUSED);
	}
}

static void test_failed_at_the_wrong_time(void **state)
{
	static const enum how cases[] = { UNKNOWN, RUNNING, ENDED };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		print_message("state %d\n", cases[i]);
		begin_with(&s, cases[i]);
		say_failed(&s, CHANNEL);
		stage_end_with_leader(&s, FAILED_REFUSED);
	}
}

static void test_exited_at_the_wrong_time(void **state)
{
	static const enum how cases[] = { UNKNOWN, STARTING, ENDED };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stage s;

		print_message("state %d\n", cases[i]);
		begin_with(&s, cases[i]);
		say_exited(&s, CHANNEL);
		stage_end_with_leader(&s, EXITED_REFUSED);
	}
}

/* A channel that PAM is still being asked about was not given to the user process yet. */
static void test_before_the_session_is_open(void **state)
{
	struct chan_writer w = { 0 };
	struct stage s;

	stage_reach(&s, MON_OPENING);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	msg_start_put(&w, &(struct msg_start){ .channel = CHANNEL, .kind = START_SHELL });
	stage_send(s.net.channel, NET_START, &w, NULL, 0);
	say_started_on_pipes(&s, CHANNEL);
	stage_end_with_leader(&s, "message 0x380, which is not allowed in state opening");
}

/* What may cross a hangup on its way is taken without a word, and closed. */
static void test_answers_that_cross_a_hangup(void **state)
{
	unsigned before;
	struct stage s;

	begin_with(&s, STARTING);
	hang_up(&s);
	before = stage_monitor_fds(&s);
	for (int i = 0; i < 3; i++)
		say_started_on_pipes(&s, CHANNEL);
	say_exited(&s, CHANNEL);
	stage_expect_silence(s.net.channel, 50000);
	assert_int_equal(stage_monitor_fds(&s), before);
	stage_start_channel(&s, CHANNEL);
	hang_up(&s);
	say_failed(&s, CHANNEL);
	stage_skip(s.net.channel, NET_START_FAILED);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"end\"}");
	stage_end_with_leader(&s, "Revoked the login");
}

/* What is no pipe is refused then as well: the monitor has to leave it open. */
static void test_no_pipes_that_cross_a_hangup(void **state)
{
	int fds[3], kept[3];
	struct stage s;

	begin_with(&s, STARTING);
	hang_up(&s);
	stage_pipes(fds, kept);
	close(fds[2]);
	fds[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	say_started(&s, CHANNEL, fds, 3);
	stage_close(fds, 3);
	stage_close(kept, 3);
	stage_end_with_leader(&s, STARTED_REFUSED);
}

static void test_failure_is_passed_on(void **state)
{
	_cleanup_free_ char *reason = NULL;
	struct chan_msg msg;
	uint32_t channel;
	struct stage s;

	begin_with(&s, STARTING);
	say_failed(&s, CHANNEL);
	msg = stage_expect(s.net.channel, NET_START_FAILED);
	assert_int_equal(msg_channel_text_get(&msg, &channel, &reason), 0);
	assert_int_equal(channel, CHANNEL);
	assert_string_equal(reason, "no");
	chan_msg_done(&msg);
	say_failed(&s, CHANNEL);
	stage_end_with_leader(&s, FAILED_REFUSED);
}

/* ---- what is no pipe ---- */

static int open_memfd(void)
{
	return memfd_create("privsep", MFD_CLOEXEC);
}

static int open_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int open_zero(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_tcp(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

/* A FIFO that can be read and written at once goes both ways. */
static int open_both_ways(void)
{
	_cleanup_free_ char *path = world_path("fifo");
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	return fd;
}

static int open_terminal_master(void)
{
	return posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static const struct {
	const char *name;
	int (*open)(void);
} no_pipes[] = {
	{ "memfd", open_memfd },
	{ "/dev/null", open_null },
	{ "/dev/zero", open_zero },
	{ "unix socket", open_socket },
	{ "TCP socket", open_tcp },
	{ "directory", open_directory },
	{ "file", open_file },
	{ "FIFO that goes both ways", open_both_ways },
	{ "terminal", open_terminal_master },
};

static void test_no_pipes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_pipes); i++) {
		for (int place = 0; place < 3; place++) {
			int fds[3], kept[3];
			struct stage s;

			print_message("%s as descriptor %d\n", no_pipes[i].name, place);
			begin_with(&s, STARTING);
			stage_pipes(fds, kept);
			close(fds[place]);
			fds[place] = no_pipes[i].open();
			assert_true(fds[place] >= 0);
			say_started(&s, CHANNEL, fds, 3);
			stage_close(fds, 3);
			stage_close(kept, 3);
			stage_end_with_leader(&s, STARTED_REFUSED);
		}
	}
}

/* ---- what takes for ever to close, or to look at ---- */

#define LINGER_SEC 300

static int open_lingering(void)
{
	return lingering_open(LINGER_SEC);
}

static int open_on_mute_fs(void)
{
	_cleanup_free_ char *dir = world_path("mute");

	return mute_fs_open(dir);
}

static const struct {
	const char *name;
	int (*open)(void);
} endless[] = {
	{ "TCP connection that lingers", open_lingering },
	{ "file of a filesystem that does not answer", open_on_mute_fs },
};

static void say_endless(struct stage *s, int (*open_it)(void))
{
	int fds[3], kept[3];

	stage_pipes(fds, kept);
	close(fds[1]);
	fds[1] = open_it();
	say_started(s, CHANNEL, fds, 3);
	stage_close(kept, 3);
	stage_close(fds, 1);
	stage_close(fds + 2, 1);
	/* The monitor's is the last one. Of the filesystem's file, any close would wait. */
	if (open_it == open_lingering)
		close(fds[1]);
	else
		mute_fs_join(s->leader.hello.pid);
}

static void test_endless_descriptor(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(endless); i++) {
		struct stage s;

		print_message("%s\n", endless[i].name);
		begin_with(&s, STARTING);
		/* Were it done with it before we have closed ours, it is we who would wait. */
		stage_stop_monitor(&s);
		say_endless(&s, endless[i].open);
		stage_continue_monitor(&s);
		stage_end_with_leader(&s, STARTED_REFUSED);
		mute_fs_end();
		lingering_end();
	}
}

/* Whichever the monitor sees first, what is on the channel when it is closed holds nothing up. */
static void test_endless_descriptors_and_the_end(void **state)
{
	struct stage s;

	begin_with(&s, STARTING);
	stage_stop_monitor(&s);
	stage_tell_agent(&s, "notify {\"state\":\"revoked\",\"message\":\"end\"}");
	for (int i = 0; i < 3; i++)
		say_endless(&s, open_lingering);
	stage_continue_monitor(&s);
	stage_end_with_leader(&s, NULL);
	lingering_end();
}

/* The reading end where the writing one should be, and the other way round. */
static void test_pipes_the_wrong_way(void **state)
{
	for (int place = 0; place < 3; place++) {
		int fds[3], kept[3], swapped;
		struct stage s;

		print_message("descriptor %d\n", place);
		begin_with(&s, STARTING);
		stage_pipes(fds, kept);
		swapped = fds[place];
		fds[place] = kept[place];
		kept[place] = swapped;
		say_started(&s, CHANNEL, fds, 3);
		stage_close(fds, 3);
		stage_close(kept, 3);
		stage_end_with_leader(&s, STARTED_REFUSED);
	}
}

static void test_wrong_number(void **state)
{
	static const struct {
		uint8_t says;
		size_t sends;
	} cases[] = { { 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 2 }, { 3, 0 }, { 1, 3 }, { 255, 3 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chan_writer w = { 0 };
		int fds[3], kept[3];
		struct stage s;

		print_message("says %u, sends %zu\n", cases[i].says, cases[i].sends);
		begin_with(&s, STARTING);
		stage_pipes(fds, kept);
		chan_put_u32(&w, CHANNEL);
		chan_put_u8(&w, cases[i].says);
		stage_send(s.user, USER_STARTED, &w, fds, cases[i].sends);
		stage_close(fds, 3);
		stage_close(kept, 3);
		stage_end_with_leader(&s, STARTED_REFUSED);
	}
}

/* ---- terminals ---- */

static void begin_with_terminal(struct stage *s)
{
	struct chan_writer w = { 0 };
	static char term[] = "xterm";

	stage_reach(s, MON_OPEN);
	stage_tell_puppet(&s->leader, PUPPET_FORK);
	msg_start_put(&w, &(struct msg_start){ .channel = CHANNEL,
					       .kind = START_SHELL,
					       .has_pty = true,
					       .pty = { .term = term } });
	stage_send(s->net.channel, NET_START, &w, NULL, 0);
	stage_skip(s->user, USER_START);
}

static void unlock(int master)
{
	int no = 0;

	assert_int_equal(ioctl(master, TIOCSPTLCK, &no), 0);
}

static void give_slave_to(int master, uid_t owner)
{
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(slave >= 0);
	assert_int_equal(fchown(slave, owner, (gid_t)-1), 0);
	close(slave);
}

static void test_terminal_of_others(void **state)
{
	static const uid_t owners[] = { 0, STAGE_OTHER_UID };

	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		_cleanup_close_ int master = open_terminal_master();
		struct stage s;

		print_message("owner %u\n", owners[i]);
		unlock(master);
		give_slave_to(master, owners[i]);
		begin_with_terminal(&s);
		say_started(&s, CHANNEL, &master, 1);
		stage_end_with_leader(&s, STARTED_REFUSED);
	}
}

/* Not the master: bytes written to a slave come out at whoever holds the other side. */
static void test_slave_of_a_terminal(void **state)
{
	_cleanup_close_ int master = open_terminal_master(), slave = -1;
	struct stage s;

	unlock(master);
	give_slave_to(master, STAGE_UID);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	begin_with_terminal(&s);
	say_started(&s, CHANNEL, &slave, 1);
	stage_end_with_leader(&s, STARTED_REFUSED);
}

static void test_no_terminals(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_pipes) - 1; i++) {
		_cleanup_close_ int fd = no_pipes[i].open();
		struct stage s;

		print_message("%s as a terminal\n", no_pipes[i].name);
		begin_with_terminal(&s);
		say_started(&s, CHANNEL, &fd, 1);
		stage_end_with_leader(&s, STARTED_REFUSED);
	}
}

static void test_pipes_for_a_terminal(void **state)
{
	struct stage s;

	begin_with_terminal(&s);
	say_started_on_pipes(&s, CHANNEL);
	stage_end_with_leader(&s, STARTED_REFUSED);
}

/* ---- flooding ---- */

static void test_flood_of_exits(void **state)
{
	struct stage s;
	int r = 0;

	begin_with(&s, RUNNING);
	for (int i = 0; i < 1000 && r == 0; i++) {
		struct chan_writer w = { 0 };

		msg_exited_put(&w, &(struct msg_exited){ .channel = CHANNEL });
		r = chan_send(s.user, USER_EXITED, &w, NULL, 0);
		chan_writer_done(&w);
	}
	stage_end_with_leader(&s, EXITED_REFUSED);
}

/* It hears nothing: the monitor's messages to it pile up, which must not block the monitor. */
static void test_user_does_not_read(void **state)
{
	struct stage s;

	stage_reach(&s, MON_OPEN);
	stage_tell_puppet(&s.leader, PUPPET_FORK);
	/* Each pair of start and hangup is two messages to the user process. */
	for (uint32_t channel = 0; channel < 2000; channel++) {
		_cleanup_free_ char *command = calloc(1, 4097);
		struct chan_writer w = { 0 };

		memset(command, 'x', 4096);
		msg_start_put(&w, &(struct msg_start){ .channel = channel,
						       .kind = START_EXEC,
						       .command = command });
		if (chan_send_wait(s.net.channel, 1000000, NET_START, &w, NULL, 0) < 0)
			break;
		chan_writer_done(&w);
		chan_put_u32(&w, channel);
		if (chan_send_wait(s.net.channel, 1000000, NET_HANGUP, &w, NULL, 0) < 0)
			break;
		chan_writer_done(&w);
	}
	stage_end_with_leader(&s, "The user process does not take its messages");
}

/* ---- the end of the user process ---- */

static void test_user_hangs_up(void **state)
{
	for (enum mon_state at = MON_OPENING; at <= MON_OPEN; at++) {
		struct stage s;

		stage_reach(&s, at);
		s.user = close_fd(s.user);
		stage_end_with_leader(&s, "ending: the session ended");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_STAGE(test_started_at_the_wrong_time),
		ON_STAGE(test_failed_at_the_wrong_time),
		ON_STAGE(test_exited_at_the_wrong_time),
		ON_STAGE(test_before_the_session_is_open),
		ON_STAGE(test_answers_that_cross_a_hangup),
		ON_STAGE(test_no_pipes_that_cross_a_hangup),
		ON_STAGE(test_failure_is_passed_on),
		ON_STAGE(test_no_pipes),
		ON_STAGE(test_endless_descriptor),
		ON_STAGE(test_endless_descriptors_and_the_end),
		ON_STAGE(test_pipes_the_wrong_way),
		ON_STAGE(test_wrong_number),
		ON_STAGE(test_terminal_of_others),
		ON_STAGE(test_slave_of_a_terminal),
		ON_STAGE(test_no_terminals),
		ON_STAGE(test_pipes_for_a_terminal),
		ON_STAGE(test_flood_of_exits),
		ON_STAGE(test_user_does_not_read),
		ON_STAGE(test_user_hangs_up),
	};

	if (!stage_world_is_possible())
		return 77;
	return cmocka_run_group_tests(tests, stage_world_make, stage_world_unmake);
}
