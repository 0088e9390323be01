#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "common/chan.h"
#include "common/clock.h"

#define TYPE 0x01020304u

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Each test runs on a pair; whatever it opens must be closed at its end. */
struct pair {
	int fds[2];
	unsigned n_open;
};

static int setup(void **state)
{
	static struct pair pair;

	pair.n_open = count_fds();
	*state = &pair;
	return chan_pair(pair.fds);
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	close_fd(pair->fds[0]);
	close_fd(pair->fds[1]);
	return count_fds() == pair->n_open ? 0 : -1;
}

/* ---- payloads ---- */

static void test_bytes_on_the_wire(void **state)
{
	static const uint8_t wire[] = { 0xab, 0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x13, 0x14, 0x15,
					0x16, 0x17, 0x18, 0,	0,    0,    2,	  'h',	'i',  0,
					0,    0,    0,	  0,	0,    0,    1,	  0xff };
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };

	chan_put_u8(&w, 0xab);
	chan_put_u32(&w, 0x01020304);
	chan_put_u64(&w, 0x1112131415161718);
	chan_put_string(&w, "hi");
	chan_put_string(&w, NULL);
	chan_put_bytes(&w, "\xff", 1);
	assert_int_equal(w.error, 0);
	assert_int_equal(w.len, sizeof(wire));
	assert_memory_equal(w.data, wire, sizeof(wire));
}

static void test_reader(void **state)
{
	static const uint8_t wire[] = { 7, 0, 0, 1, 0, 1,   2,	 3, 4, 5, 6, 7,
					8, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 0 };
	struct chan_reader r = { .data = wire, .len = sizeof(wire) };
	_cleanup_free_ char *text = NULL;
	size_t len = 99;

	assert_int_equal(chan_get_u8(&r), 7);
	assert_int_equal(chan_get_u32(&r), 256);
	assert_true(chan_get_u64(&r) == 0x0102030405060708);
	text = chan_get_string(&r, 2);
	assert_string_equal(text, "hi");
	assert_non_null(chan_get_bytes(&r, 0, &len));
	assert_int_equal(len, 0);
	assert_int_equal(chan_reader_end(&r), 0);
}

static void read_all(const uint8_t *wire, size_t len, int want)
{
	struct chan_reader r = { .data = wire, .len = len };
	_cleanup_free_ char *text = NULL;
	uint8_t first;
	size_t n;

	first = chan_get_u8(&r);
	chan_get_u32(&r);
	text = chan_get_string(&r, 2);
	chan_get_bytes(&r, 2, &n);
	assert_int_equal(chan_reader_end(&r), want);
	/* After the first failure everything reads as zero. */
	if (want < 0) {
		assert_int_equal(chan_get_u8(&r), 0);
		assert_int_equal(chan_get_u32(&r), 0);
		assert_true(chan_get_u64(&r) == 0);
		assert_null(chan_get_bytes(&r, 100, &n));
		assert_int_equal(n, 0);
		assert_null(chan_get_string(&r, 100));
		assert_int_equal(chan_reader_end(&r), want);
	} else {
		assert_int_equal(first, 7);
	}
}

static void test_reader_refuses(void **state)
{
	static const uint8_t wire[] = {
		7, 0, 0, 1, 0, 0, 0, 0, 2, 'h', 'i', 0, 0, 0, 2, 0xfe, 0xff
	};
	uint8_t copy[sizeof(wire) + 1] = { 0 };

	memcpy(copy, wire, sizeof(wire));
	read_all(copy, sizeof(wire), 0);
	read_all(copy, sizeof(wire) + 1, -EBADMSG);
	for (size_t len = 0; len < sizeof(wire); len++) {
		_cleanup_free_ uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, wire, len);
		read_all(exact, len, -EBADMSG);
	}
	copy[9] = '\0'; /* NUL in the string */
	read_all(copy, sizeof(wire), -EBADMSG);
}

static void test_reader_limits(void **state)
{
	static const struct {
		uint32_t claimed;
		size_t max;
	} cases[] = { { 3, 2 }, { 0xffffffff, 2 }, { 0xffffffff, SIZE_MAX }, { 4, SIZE_MAX } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
		struct chan_reader r;
		size_t n = 99;

		chan_put_u32(&w, cases[i].claimed);
		chan_put_u8(&w, 'a');
		chan_put_u8(&w, 'b');
		chan_put_u8(&w, 'c');
		r = (struct chan_reader){ .data = w.data, .len = w.len };
		assert_null(chan_get_bytes(&r, cases[i].max, &n));
		assert_int_equal(n, 0);
		assert_int_equal(chan_reader_end(&r), -EBADMSG);
	}
}

static void test_writer_limit(void **state)
{
	_cleanup_free_ char *big = calloc(1, CHAN_MAX_PAYLOAD + 1);
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 }, too_long = { 0 };

	chan_put_bytes(&w, big, CHAN_MAX_PAYLOAD - 5);
	chan_put_u8(&w, 1);
	assert_int_equal(w.error, 0);
	assert_int_equal(w.len, CHAN_MAX_PAYLOAD);
	chan_put_u8(&w, 1);
	assert_int_equal(w.error, -EMSGSIZE);
	/* The first failure stays, and so does what was written. */
	chan_put_u32(&w, 1);
	assert_int_equal(w.error, -EMSGSIZE);
	assert_int_equal(w.len, CHAN_MAX_PAYLOAD);

	chan_put_bytes(&too_long, big, CHAN_MAX_PAYLOAD + 1);
	assert_int_equal(too_long.error, -EMSGSIZE);
	chan_put_u8(&too_long, 1);
	assert_int_equal(too_long.len, 0);
}

/* ---- the channel ---- */

static void test_pair(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(p->fds[i], F_GETFD), FD_CLOEXEC);
		assert_true(fcntl(p->fds[i], F_GETFL) & O_NONBLOCK);
	}
}

static void test_round_trip(void **state)
{
	struct pair *p = *state;
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	struct chan_msg msg;

	chan_put_string(&w, "hello");
	assert_int_equal(chan_send(p->fds[0], TYPE, &w, NULL, 0), 0);
	assert_int_equal(chan_send(p->fds[0], TYPE + 1, NULL, NULL, 0), 0);
	assert_int_equal(chan_receive(p->fds[1], &msg), 0);
	assert_int_equal(msg.type, TYPE);
	assert_int_equal(msg.len, w.len);
	assert_memory_equal(msg.data, w.data, w.len);
	assert_int_equal(msg.n_fds, 0);
	chan_msg_done(&msg);
	assert_int_equal(chan_receive(p->fds[1], &msg), 0);
	assert_int_equal(msg.type, TYPE + 1);
	assert_int_equal(msg.len, 0);
	assert_int_equal(chan_msg_reader(&msg).len, 0);
	chan_msg_done(&msg);
	assert_int_equal(chan_receive(p->fds[1], &msg), -EAGAIN);
}

static void test_largest_message(void **state)
{
	struct pair *p = *state;
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	_cleanup_free_ char *big = calloc(1, CHAN_MAX_PAYLOAD);
	struct chan_msg msg;

	chan_put_bytes(&w, big, CHAN_MAX_PAYLOAD - 4);
	assert_int_equal(chan_send(p->fds[0], TYPE, &w, NULL, 0), 0);
	assert_int_equal(chan_receive(p->fds[1], &msg), 0);
	assert_int_equal(msg.len, CHAN_MAX_PAYLOAD);
	chan_msg_done(&msg);
}

static void test_writers_failure_is_not_sent(void **state)
{
	struct pair *p = *state;
	struct chan_writer w = { .error = -ENOMEM };
	struct chan_msg msg;

	assert_int_equal(chan_send(p->fds[0], TYPE, &w, NULL, 0), -ENOMEM);
	assert_int_equal(chan_receive(p->fds[1], &msg), -EAGAIN);
}

/* A message with fewer bytes than a type, or more than the limit. */
static void test_bad_lengths(void **state)
{
	static const size_t lengths[] = { 1, 3, 4 + CHAN_MAX_PAYLOAD + 1,
					  4 + CHAN_MAX_PAYLOAD + 64 };
	_cleanup_free_ char *raw = calloc(1, 4 + CHAN_MAX_PAYLOAD + 64);

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct chan_msg msg = { .type = 77 };
		int fds[2];

		assert_int_equal(chan_pair(fds), 0);
		assert_int_equal(send(fds[0], raw, lengths[i], 0), lengths[i]);
		assert_int_equal(chan_receive(fds[1], &msg), -EBADMSG);
		assert_int_equal(msg.type, 77);
		close_fd(fds[0]);
		close_fd(fds[1]);
	}
}

static void test_end_of_channel(void **state)
{
	struct pair *p = *state;
	struct chan_msg msg;

	assert_int_equal(chan_send(p->fds[0], TYPE, NULL, NULL, 0), 0);
	p->fds[0] = close_fd(p->fds[0]);
	assert_int_equal(chan_receive(p->fds[1], &msg), 0);
	chan_msg_done(&msg);
	assert_int_equal(chan_receive(p->fds[1], &msg), -ECONNRESET);
	/* No SIGPIPE: this process would be dead. */
	assert_int_equal(chan_send(p->fds[1], TYPE, NULL, NULL, 0), -EPIPE);
}

/* What it has said is there, although it left without reading what it was told. */
static void test_end_with_something_unread(void **state)
{
	struct pair *p = *state;
	struct chan_msg msg;

	assert_int_equal(chan_send(p->fds[0], TYPE, NULL, NULL, 0), 0);
	assert_int_equal(chan_send(p->fds[0], TYPE, NULL, NULL, 0), 0);
	assert_int_equal(chan_send(p->fds[1], TYPE, NULL, NULL, 0), 0);
	p->fds[0] = close_fd(p->fds[0]);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(chan_receive(p->fds[1], &msg), 0);
		chan_msg_done(&msg);
	}
	assert_int_equal(chan_receive(p->fds[1], &msg), -ECONNRESET);
}

/* An empty packet is not one of ours: it counts as the end, and does not make the reader spin. */
static void test_empty_packet(void **state)
{
	struct pair *p = *state;
	struct chan_msg msg;

	assert_int_equal(send(p->fds[0], "", 0, 0), 0);
	assert_int_equal(chan_receive(p->fds[1], &msg), -ECONNRESET);
}

static void test_fds(void **state)
{
	struct pair *p = *state;
	int sent[CHAN_MAX_FDS] = { 0, 1, 2 };
	unsigned before = count_fds();

	for (size_t n = 1; n <= CHAN_MAX_FDS; n++) {
		struct chan_msg msg;
		int taken;

		assert_int_equal(chan_send(p->fds[0], TYPE, NULL, sent, n), 0);
		assert_int_equal(chan_receive(p->fds[1], &msg), 0);
		assert_int_equal(msg.n_fds, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(fcntl(msg.fds[i], F_GETFD), FD_CLOEXEC);
		taken = take_fd(&msg.fds[0]);
		chan_msg_done(&msg);
		/* What was taken stays open, the rest is closed. */
		assert_int_equal(count_fds(), before + 1);
		close_fd(taken);
	}
	assert_int_equal(chan_send(p->fds[0], TYPE, NULL, sent, CHAN_MAX_FDS + 1), -EINVAL);
}

/* By hand: what chan_send() never does. */
static void send_fds(int fd, const void *data, size_t len, int passed, size_t n_fds)
{
	char space[CMSG_SPACE(sizeof(int) * 253)] = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = space,
			     .msg_controllen = CMSG_SPACE(sizeof(int) * n_fds) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&mh);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	for (size_t i = 0; i < n_fds; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &passed, sizeof(int));
	assert_int_equal(sendmsg(fd, &mh, 0), len);
}

static void test_too_many_fds(void **state)
{
	struct pair *p = *state;
	/* 253: what the kernel lets through at most. */
	static const size_t counts[] = { CHAN_MAX_FDS + 1, CHAN_MAX_FDS + 2, 32, 253 };
	unsigned before;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	before = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct chan_msg msg;

		send_fds(p->fds[0], "\1\2\3\4", 4, ends[0], counts[i]);
		assert_int_equal(chan_receive(p->fds[1], &msg), -EBADMSG);
		assert_int_equal(count_fds(), before);
	}
	close_fd(ends[0]);
	close_fd(ends[1]);
}

static void test_send_to_one_who_does_not_read(void **state)
{
	struct pair *p = *state;
	struct chan_msg msg;
	int r = 0, n = 0;

	for (; r == 0 && n < 1000000; n++)
		r = chan_send(p->fds[0], TYPE, NULL, NULL, 0);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(chan_send_wait(p->fds[0], 20000, TYPE, NULL, NULL, 0), -ETIME);
	while (chan_receive(p->fds[1], &msg) == 0)
		chan_msg_done(&msg);
	assert_int_equal(chan_send_wait(p->fds[0], 20000, TYPE, NULL, NULL, 0), 0);
}

static void test_receive_waits(void **state)
{
	struct pair *p = *state;
	struct chan_msg msg;
	uint64_t begin = clock_usec(CLOCK_MONOTONIC);

	assert_int_equal(chan_receive_wait(p->fds[1], 30000, &msg), -ETIME);
	assert_in_range(clock_usec(CLOCK_MONOTONIC) - begin, 30000, 10000000);
	assert_int_equal(chan_send(p->fds[0], TYPE, NULL, NULL, 0), 0);
	assert_int_equal(chan_receive_wait(p->fds[1], 0, &msg), 0);
	chan_msg_done(&msg);
	p->fds[0] = close_fd(p->fds[0]);
	assert_int_equal(chan_receive_wait(p->fds[1], 10000000, &msg), -ECONNRESET);
}

#define ON_PAIR(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_on_the_wire),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_reader_refuses),
		cmocka_unit_test(test_reader_limits),
		cmocka_unit_test(test_writer_limit),
		ON_PAIR(test_pair),
		ON_PAIR(test_round_trip),
		ON_PAIR(test_largest_message),
		ON_PAIR(test_writers_failure_is_not_sent),
		ON_PAIR(test_bad_lengths),
		ON_PAIR(test_end_of_channel),
		ON_PAIR(test_end_with_something_unread),
		ON_PAIR(test_empty_packet),
		ON_PAIR(test_fds),
		ON_PAIR(test_too_many_fds),
		ON_PAIR(test_send_to_one_who_does_not_read),
		ON_PAIR(test_receive_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
