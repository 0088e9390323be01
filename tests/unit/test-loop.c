/* The small event loop: what is called, how often, and what is not called any more. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/loop.h"

#define LONG_USEC 10000000u

struct fixture {
	struct loop *loop;
	struct loop_source *a, *b, *limit;
	int pipes[2][2];
	unsigned n_a, n_b;
	bool late;
};

static void on_limit(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct fixture *f = userdata;

	f->late = true;
	loop_exit(f->loop);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	for (int i = 0; i < 2; i++)
		if (pipe2(f->pipes[i], O_CLOEXEC) < 0)
			return -1;
	if (loop_new(&f->loop) < 0 ||
	    loop_add_time(f->loop, CLOCK_MONOTONIC, on_limit, f, &f->limit) < 0)
		return -1;
	loop_time_set_relative(f->limit, LONG_USEC);
	loop_time_enable(f->limit, LOOP_ONESHOT);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_source_free(f->a);
	loop_source_free(f->b);
	loop_source_free(f->limit);
	loop_free(f->loop);
	for (int i = 0; i < 4; i++)
		close(f->pipes[i / 2][i % 2]);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	assert_int_equal(loop_run(f->loop), 0);
	assert_false(f->late);
}

/* ---- descriptors ---- */

static void on_input(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	struct fixture *f = userdata;
	char c;

	assert_int_equal(fd, f->pipes[0][0]);
	if (!(revents & EPOLLIN)) {
		assert_true(revents & EPOLLHUP);
		loop_exit(f->loop);
		return;
	}
	assert_int_equal(read(fd, &c, 1), 1);
	f->n_a++;
}

static void descriptor_is_level_triggered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_io(f->loop, f->pipes[0][0], EPOLLIN, on_input, f, &f->a), 0);
	assert_int_equal(write(f->pipes[0][1], "xyz", 3), 3);
	close(f->pipes[0][1]);
	f->pipes[0][1] = -1;
	run(f);
	assert_int_equal(f->n_a, 3);
}

static void descriptor_that_cannot_be_watched(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_io(f->loop, -1, EPOLLIN, on_input, f, &f->a), -EBADF);
	assert_null(f->a);
}

/* Both are readable: whichever comes first takes the other away, and itself. */
static void on_either(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	struct fixture *f = userdata;

	f->n_a++;
	f->a = loop_source_free(f->a);
	f->b = loop_source_free(f->b);
	loop_time_set_relative(f->limit, 20000);
}

static void source_that_is_freed_is_not_called(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_io(f->loop, f->pipes[0][0], EPOLLIN, on_either, f, &f->a), 0);
	assert_int_equal(loop_add_io(f->loop, f->pipes[1][0], EPOLLIN, on_either, f, &f->b), 0);
	assert_int_equal(write(f->pipes[0][1], "x", 1), 1);
	assert_int_equal(write(f->pipes[1][1], "x", 1), 1);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->n_a, 1);
}

/* ---- times ---- */

static void on_time(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct fixture *f = userdata;

	f->n_a++;
	if (f->n_a == 3)
		loop_exit(f->loop);
	else
		loop_time_enable(source, LOOP_ONESHOT); /* it is in the past: at once again */
}

static void on_past(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct fixture *f = userdata;

	if (++f->n_a == 3)
		loop_exit(f->loop);
}

static void times_in_the_past(void **state)
{
	static const uint64_t times[] = { 0, 1, 1000000 };
	struct loop_source *sources[ARRAY_SIZE(times)] = { 0 };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		assert_int_equal(loop_add_time(f->loop, CLOCK_REALTIME, on_past, f, &sources[i]),
				 0);
		loop_time_set(sources[i], times[i]);
		loop_time_enable(sources[i], LOOP_ONESHOT);
	}
	run(f);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		loop_source_free(sources[i]);
}

static void oneshot_comes_once_and_can_be_set_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_time(f->loop, CLOCK_MONOTONIC, on_time, f, &f->a), 0);
	loop_time_set(f->a, 1);
	loop_time_enable(f->a, LOOP_ONESHOT);
	run(f);
	assert_int_equal(f->n_a, 3);
}

static void on_once(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct fixture *f = userdata;

	f->n_a++;
	loop_time_set_relative(f->limit, 20000);
}

/* Its time has come once: turned off it is by itself; off, moved to "never" it does not come. */
static void time_that_is_off_or_never(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_time(f->loop, CLOCK_MONOTONIC, on_once, f, &f->a), 0);
	assert_int_equal(loop_add_time(f->loop, CLOCK_MONOTONIC, on_time, f, &f->b), 0);
	loop_time_set(f->a, 1);
	loop_time_enable(f->a, LOOP_ONESHOT);
	loop_time_set(f->b, 1);
	loop_time_enable(f->b, LOOP_ONESHOT);
	loop_time_set(f->b, UINT64_MAX);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->n_a, 1);
}

static void relative_time_waits(void **state)
{
	struct fixture *f = *state;
	uint64_t began = clock_usec(CLOCK_MONOTONIC);

	loop_time_set_relative(f->limit, 30000);
	assert_int_equal(loop_run(f->loop), 0);
	assert_true(clock_usec(CLOCK_MONOTONIC) - began >= 30000);
	/* Longer than there is time: never. */
	loop_time_set_relative(f->limit, UINT64_MAX - 1);
}

/* ---- signals ---- */

static void on_signal(struct loop_source *source, const struct signalfd_siginfo *info,
		      void *userdata)
{
	struct fixture *f = userdata;

	assert_int_equal(info->ssi_signo, SIGUSR1);
	f->n_a++;
	loop_exit(f->loop);
}

static void signal_is_blocked_and_handled(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_signal(f->loop, SIGUSR1, on_signal, f, &f->a), 0);
	kill(getpid(), SIGUSR1);
	run(f);
	assert_int_equal(f->n_a, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(descriptor_is_level_triggered, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptor_that_cannot_be_watched, setup, teardown),
		cmocka_unit_test_setup_teardown(source_that_is_freed_is_not_called, setup,
						teardown),
		cmocka_unit_test_setup_teardown(times_in_the_past, setup, teardown),
		cmocka_unit_test_setup_teardown(oneshot_comes_once_and_can_be_set_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(time_that_is_off_or_never, setup, teardown),
		cmocka_unit_test_setup_teardown(relative_time_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(signal_is_blocked_and_handled, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
