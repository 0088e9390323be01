#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/httpsig.h"
#include "common/replay.h"

#define NOW  1800000000u
#define KEEP (2 * HTTPSIG_WINDOW) /* seconds after which a key may be forgotten */

static struct ed25519_public key_of(unsigned n)
{
	struct ed25519_public key = { { 7 } };

	memcpy(key.bytes + 8, &n, sizeof(n));
	return key;
}

static struct replay *new_replay(size_t max)
{
	struct replay *replay = NULL;

	assert_int_equal(replay_new(max, &replay), 0);
	return replay;
}

/* created: now */
static int accept_at(struct replay *replay, unsigned n, uint64_t nonce, uint64_t now)
{
	struct ed25519_public key = key_of(n);

	return replay_accept(replay, &key, nonce, now, now);
}

static uint64_t highest(const struct replay *replay, unsigned n)
{
	struct ed25519_public key = key_of(n);

	return replay_highest(replay, &key);
}

static void test_once(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(8);

	assert_int_equal(highest(replay, 1), 0);
	assert_int_equal(accept_at(replay, 1, 100, NOW), 0);
	assert_int_equal(accept_at(replay, 1, 100, NOW), -EALREADY);
	assert_int_equal(accept_at(replay, 1, 100, NOW + 1), -EALREADY);
	assert_int_equal(highest(replay, 1), 100);
	/* Another key has numbers of its own. */
	assert_int_equal(accept_at(replay, 2, 100, NOW), 0);
	assert_int_equal(replay_count(replay), 2);
}

/* Out of order, as long as not REPLAY_NONCES others came between. */
static void test_order(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(8);

	for (uint64_t i = REPLAY_NONCES; i > 0; i--)
		assert_int_equal(accept_at(replay, 1, 10 * i, NOW), 0);
	for (uint64_t i = REPLAY_NONCES; i > 0; i--)
		assert_int_equal(accept_at(replay, 1, 10 * i, NOW), -EALREADY);
	assert_int_equal(highest(replay, 1), 10 * REPLAY_NONCES);
	/* The list is full: below its lowest nobody knows; 15 takes the place of 10. */
	assert_int_equal(accept_at(replay, 1, 9, NOW), -ESTALE);
	assert_int_equal(accept_at(replay, 1, 15, NOW), 0);
	assert_int_equal(accept_at(replay, 1, 10, NOW), -ESTALE);
	assert_int_equal(accept_at(replay, 1, 14, NOW), -ESTALE);
	assert_int_equal(accept_at(replay, 1, 15, NOW), -EALREADY);
	assert_int_equal(accept_at(replay, 1, 20, NOW), -EALREADY);
	/* Far ahead, and between. */
	assert_int_equal(accept_at(replay, 1, HTTPSIG_MAX_NONCE, NOW), 0);
	assert_int_equal(accept_at(replay, 1, 15, NOW), -ESTALE);
	assert_int_equal(accept_at(replay, 1, 25, NOW), 0);
	assert_int_equal(accept_at(replay, 1, 25, NOW), -EALREADY);
	assert_int_equal(highest(replay, 1), HTTPSIG_MAX_NONCE);
}

static void test_full(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(3);

	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(accept_at(replay, n, 1, NOW + n), 0);
	assert_int_equal(accept_at(replay, 3, 1, NOW + 3), -ENOBUFS);
	/* Those who are in stay in. */
	assert_int_equal(accept_at(replay, 0, 2, NOW + 3), 0);
	assert_int_equal(accept_at(replay, 3, 1, NOW + KEEP + 1), -ENOBUFS);
	/* The second was seen at NOW + 1: its place is the first that becomes free. */
	assert_int_equal(accept_at(replay, 3, 1, NOW + KEEP + 2), 0);
	assert_int_equal(replay_count(replay), 3);
	assert_int_equal(highest(replay, 1), 0);
	assert_int_equal(highest(replay, 0), 2);
	assert_int_equal(accept_at(replay, 1, 1, NOW + KEEP + 2), -ENOBUFS);
}

/* To check takes nothing down, and needs no room. */
static void test_check(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(1);
	struct ed25519_public one = key_of(1), two = key_of(2);

	assert_int_equal(replay_check(replay, &one, 5, NOW), 0);
	assert_false(replay_knows(replay, &one));
	assert_int_equal(accept_at(replay, 1, 5, NOW), 0);
	assert_true(replay_knows(replay, &one));
	assert_int_equal(replay_check(replay, &one, 5, NOW), -EALREADY);
	for (unsigned i = 0; i < 2 * REPLAY_NONCES; i++)
		assert_int_equal(replay_check(replay, &one, 6 + i, NOW), 0);
	assert_int_equal(replay_check(replay, &two, 5, NOW), 0);
	assert_int_equal(accept_at(replay, 1, 4, NOW), 0);
	for (unsigned i = 0; i < REPLAY_NONCES; i++)
		assert_int_equal(accept_at(replay, 1, 100 + i, NOW), 0);
	assert_int_equal(replay_check(replay, &one, 5, NOW), -ESTALE);
	/* What was forgotten. */
	assert_int_equal(accept_at(replay, 2, 1, NOW + KEEP + 1), 0);
	assert_int_equal(replay_check(replay, &one, 5, NOW), -ESTALE);
	assert_int_equal(replay_check(replay, &one, 5, NOW + 1), 0);
}

/* A clock ahead by all that is allowed: its replay is refused as long as it is not too old. */
static void test_ahead(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(8);
	struct ed25519_public key = key_of(1);
	uint64_t created = NOW + HTTPSIG_WINDOW;

	assert_int_equal(replay_accept(replay, &key, 5, created, NOW), 0);
	for (uint64_t now = NOW; now <= created + HTTPSIG_WINDOW; now++)
		assert_int_equal(replay_accept(replay, &key, 5, created, now), -EALREADY);
	/* Too old for httpsig_verify() from here on. */
	assert_int_equal(accept_at(replay, 2, 1, created + HTTPSIG_WINDOW + 1), 0);
	assert_int_equal(replay_count(replay), 1);
}

/* The clock goes on, keys are forgotten, and it is set back to where requests were young. */
static void test_clock_set_back(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(8);
	struct ed25519_public one = key_of(1), two = key_of(2);

	assert_int_equal(accept_at(replay, 1, 5, NOW), 0);
	assert_int_equal(accept_at(replay, 2, 5, NOW + KEEP + 1), 0);
	assert_int_equal(replay_count(replay), 1);
	assert_int_equal(replay_accept(replay, &one, 5, NOW, NOW), -ESTALE);
	assert_int_equal(replay_accept(replay, &one, 5, NOW, NOW - HTTPSIG_WINDOW), -ESTALE);
	/* What was created later is nobody's replay, whatever the clock says. */
	assert_int_equal(replay_accept(replay, &two, 6, NOW + 1, NOW), 0);
	assert_int_equal(replay_accept(replay, &two, 5, NOW + KEEP + 1, NOW + KEEP + 1), -EALREADY);
	assert_int_equal(replay_accept(replay, &one, 6, NOW + 1, NOW + 1), 0);
	/* To be back does not bring back what was forgotten. */
	assert_int_equal(replay_accept(replay, &one, 5, NOW, NOW), -ESTALE);
	/* They are kept by the time that was, not by the one that is. */
	assert_int_equal(accept_at(replay, 3, 1, NOW + 2 * KEEP + 1), 0);
	assert_int_equal(replay_count(replay), 3);
	assert_int_equal(accept_at(replay, 3, 2, NOW + 2 * KEEP + 2), 0);
	assert_int_equal(replay_count(replay), 1);
}

/* The latest thing a key signed is what counts, whatever came last. */
static void test_latest_created(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(8);
	struct ed25519_public key = key_of(1);

	assert_int_equal(replay_accept(replay, &key, 5, NOW + 200, NOW), 0);
	assert_int_equal(replay_accept(replay, &key, 6, NOW - 200, NOW), 0);
	assert_int_equal(accept_at(replay, 2, 1, NOW + KEEP + 1), 0);
	assert_int_equal(replay_count(replay), 1);
	assert_int_equal(replay_accept(replay, &key, 5, NOW + 200, NOW), -ESTALE);
}

/* Honest clocks never meet the bound on what was forgotten. */
static void test_no_false_refusal(void **state)
{
	_cleanup_(replay_freep) struct replay *replay = new_replay(64);
	uint64_t now = NOW;

	for (unsigned n = 0; n < 4000; n++) {
		struct ed25519_public key = key_of(n % 97);
		uint64_t created = now - HTTPSIG_WINDOW + n * 31 % (2 * HTTPSIG_WINDOW + 1);

		assert_int_equal(replay_accept(replay, &key, n + 1, created, now), 0);
		now += n % 40;
	}
}

struct request {
	unsigned n;
	uint64_t nonce, created;
};

/*
 * Requests in any order, replayed at any time, under a clock that jumps: none is accepted twice, as
 * long as httpsig_verify() would let it pass.
 */
static void test_never_twice(void **state)
{
	static struct request sent[20000];
	static bool accepted[ARRAY_SIZE(sent)];
	_cleanup_(replay_freep) struct replay *replay = new_replay(40);
	size_t n_sent = 0, n_accepted = 0, n_replays = 0;
	uint64_t now = NOW;

	srandom(1);
	while (n_sent < ARRAY_SIZE(sent)) {
		struct ed25519_public key;
		struct request *r;
		size_t i = n_sent;
		int64_t skew;

		now = (uint64_t)((int64_t)now +
				 (random() % 1000 ? random() % 3 : random() % 2000 - 1000));
		if (n_sent > 0 && random() % 2)
			i -= (size_t)random() % (n_sent < 500 ? n_sent : 500) + 1;
		else
			sent[n_sent++] = (struct request){
				.n = (unsigned)random() % 60,
				.nonce = i + 1 + (uint64_t)random() % 50,
				.created = now - HTTPSIG_WINDOW +
					   (uint64_t)random() % (2 * HTTPSIG_WINDOW + 1),
			};
		r = &sent[i];
		/* The same number of the same key is the same request here. */
		for (size_t k = i > 50 ? i - 50 : 0; k < i; k++)
			if (sent[k].n == r->n && sent[k].nonce == r->nonce)
				r = &sent[k];
		skew = (int64_t)(r->created - now);
		if (skew < -HTTPSIG_WINDOW || skew > HTTPSIG_WINDOW)
			continue;
		key = key_of(r->n);
		n_replays += accepted[r - sent];
		if (replay_accept(replay, &key, r->nonce, r->created, now) == 0) {
			assert_false(accepted[r - sent]);
			accepted[r - sent] = true;
			n_accepted++;
		}
		assert_true(replay_count(replay) <= 40);
	}
	print_message("%zu accepted, %zu replays refused\n", n_accepted, n_replays);
	assert_true(n_accepted > 5000 && n_replays > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),	       cmocka_unit_test(test_order),
		cmocka_unit_test(test_full),	       cmocka_unit_test(test_check),
		cmocka_unit_test(test_ahead),	       cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_latest_created), cmocka_unit_test(test_no_false_refusal),
		cmocka_unit_test(test_never_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
