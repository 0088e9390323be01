#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/frame_stream.h"
#include "tests/unit/known-keys.h"

#define HELLO                                                 \
	"{\"type\":\"hello\",\"for\":\"n1\",\"ephemeral\":\"" \
	"EMJPls42o7VEQQE7VPwCBzYpDi0HhTujUiijW8QYrS8\"}"
#define BODY "{\"type\":\"keepalive\"}"

/*
 * The first three lines, were each of them BODY. Made with python3-cryptography and hmac from
 * known-keys.h: HKDF(SHA256(), 32, None, info).derive(agent.exchange(coordinator)), where info is
 *
 *	peergate-stream-v1
 *	pgm:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg
 *	1800000000123
 *	(base64url of HELLO's SHA-256)
 *
 * with a newline behind each; then HMAC-SHA256 of number (8 bytes) and BODY's SHA-256.
 */
static const char *const macs[] = {
	"XNw_0jmGcH8cY50d6jZsqw",
	"9YBS9jm3ZUbiJU_UpVe-pg",
	"Jm0FFtqcKbGQgBsuQSX96A",
};

struct fixture {
	struct wg_key agent, coordinator, agent_public, coordinator_public;
	struct frame_id id;
	uint8_t hello[SHA256_LEN], body[SHA256_LEN];
};

static int setup(void **state)
{
	static struct fixture fx;
	struct ed25519_key *machine = known_key(KNOWN_MACHINE);

	known_bytes(KNOWN_AGENT_EPHEMERAL, fx.agent.bytes, WG_KEY_LEN);
	known_bytes(KNOWN_COORDINATOR_EPHEMERAL, fx.coordinator.bytes, WG_KEY_LEN);
	assert_int_equal(wg_key_public(&fx.agent, &fx.agent_public), 0);
	assert_int_equal(wg_key_public(&fx.coordinator, &fx.coordinator_public), 0);
	fx.id = (struct frame_id){ FRAME_HELLO, *ed25519_key_public(machine), 1800000000123, 0 };
	ed25519_key_free(machine);
	assert_int_equal(sha256(HELLO, strlen(HELLO), fx.hello), 0);
	assert_int_equal(sha256(BODY, strlen(BODY), fx.body), 0);
	*state = &fx;
	return 0;
}

static void begin_both(struct fixture *fx, struct frame_stream *sender,
		       struct frame_stream *receiver)
{
	assert_int_equal(
		frame_stream_begin(&fx->coordinator, &fx->agent_public, &fx->id, fx->hello, sender),
		0);
	assert_int_equal(frame_stream_begin(&fx->agent, &fx->coordinator_public, &fx->id, fx->hello,
					    receiver),
			 0);
}

static void make_line(const char *mac, const char *body, char *line)
{
	strcpy(line, mac);
	strcat(line, " ");
	strcat(line, body);
}

static void test_known(void **state)
{
	struct frame_stream sender, receiver;

	begin_both(*state, &sender, &receiver);
	assert_memory_equal(&sender, &receiver, sizeof(sender));
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++) {
		char mac[FRAME_MAC_CHARS + 1], line[64];
		const char *body = NULL;
		size_t len = 0;

		assert_int_equal(frame_stream_seal(&sender, ((struct fixture *)*state)->body, mac),
				 0);
		assert_string_equal(mac, macs[i]);
		make_line(mac, BODY, line);
		assert_int_equal(frame_stream_open(&receiver, line, strlen(line), &body, &len), 0);
		assert_ptr_equal(body, line + FRAME_MAC_CHARS + 1);
		assert_int_equal(len, strlen(BODY));
	}
	assert_int_equal(receiver.next, 4);
}

/* Refused, and the stream is where it was. */
static void expect_refused(struct frame_stream *receiver, const char *line, size_t len, int want)
{
	struct frame_stream before = *receiver;
	const char *body = NULL;
	size_t body_len = 0;
	int r = frame_stream_open(receiver, line, len, &body, &body_len);

	/* 1: one way or the other. */
	if (want == 1)
		assert_true(r == -EINVAL || r == -EKEYREJECTED);
	else
		assert_int_equal(r, want);
	assert_null(body);
	assert_memory_equal(receiver, &before, sizeof(before));
}

/* Repeated, left out, moved. */
static void test_order(void **state)
{
	struct frame_stream sender, receiver;
	const char *body = NULL;
	char lines[ARRAY_SIZE(macs)][64];
	size_t len = strlen(macs[0]) + 1 + strlen(BODY), body_len = 0;

	begin_both(*state, &sender, &receiver);
	for (size_t i = 0; i < ARRAY_SIZE(macs); i++)
		make_line(macs[i], BODY, lines[i]);
	expect_refused(&receiver, lines[1], len, -EKEYREJECTED);
	assert_int_equal(frame_stream_open(&receiver, lines[0], len, &body, &body_len), 0);
	expect_refused(&receiver, lines[0], len, -EKEYREJECTED);
	expect_refused(&receiver, lines[2], len, -EKEYREJECTED);
	assert_int_equal(frame_stream_open(&receiver, lines[1], len, &body, &body_len), 0);
	assert_int_equal(frame_stream_open(&receiver, lines[2], len, &body, &body_len), 0);
}

/* One thing that went into the key is another one. */
static void test_other_streams(void **state)
{
	struct fixture *fx = *state, other[5];
	struct frame_stream sender, receiver;
	char line[64];

	make_line(macs[0], BODY, line);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		other[i] = *fx;
	other[0].agent.bytes[5] ^= 1;
	assert_int_equal(wg_key_public(&other[1].agent, &other[1].coordinator_public), 0);
	other[2].id.machine.bytes[0] ^= 1;
	other[3].id.nonce++;
	other[4].hello[31] ^= 1;
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		print_message("%zu\n", i);
		begin_both(&other[i], &sender, &receiver);
		expect_refused(&receiver, line, strlen(line), -EKEYREJECTED);
	}
}

static void test_mutations(void **state)
{
	struct frame_stream sender, receiver;
	char line[64];
	size_t len;

	begin_both(*state, &sender, &receiver);
	make_line(macs[0], BODY, line);
	len = strlen(line);
	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			line[i] = (char)(line[i] ^ 1 << bit);
			expect_refused(&receiver, line, len, 1);
			line[i] = (char)(line[i] ^ 1 << bit);
		}
		expect_refused(&receiver, line, i, 1);
	}
}

static void test_refused_lines(void **state)
{
#define MAC "XNw_0jmGcH8cY50d6jZsqw"
	static const struct {
		const char *line;
		int r;
	} cases[] = {
		{ "", -EINVAL },
		{ BODY, -EINVAL },
		{ MAC, -EINVAL },
		{ MAC " ", -EINVAL },
		{ MAC " {", -EINVAL },
		{ MAC "  " BODY, -EINVAL },
		{ MAC " []", -EINVAL },
		{ MAC " " BODY "\n", -EINVAL },
		{ MAC " {\n}", -EINVAL },
		{ MAC " {}", -EKEYREJECTED },
		/* Stray bits, padding, and a signature in place of it. */
		{ "XNw_0jmGcH8cY50d6jZsqx " BODY, -EINVAL },
		{ MAC "== " BODY, -EINVAL },
		{ MAC MAC MAC MAC " " BODY, -EINVAL },
	};
	static const char nul[] = MAC " {\0}";
	struct frame_stream sender, receiver;

	begin_both(*state, &sender, &receiver);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("%zu\n", i);
		expect_refused(&receiver, cases[i].line, strlen(cases[i].line), cases[i].r);
	}
	expect_refused(&receiver, nul, sizeof(nul) - 1, -EINVAL);
}

static void test_size(void **state)
{
	size_t len = FRAME_MAC_CHARS + 1 + FRAME_MAX_BODY, body_len = 0;
	char *line = malloc(len + 1), mac[FRAME_MAC_CHARS + 1];
	struct frame_stream sender, receiver;
	uint8_t digest[SHA256_LEN];
	const char *body = NULL;

	assert_non_null(line);
	begin_both(*state, &sender, &receiver);
	memset(line, 'x', len + 1);
	line[FRAME_MAC_CHARS] = ' ';
	line[FRAME_MAC_CHARS + 1] = '{';
	line[len - 1] = line[len] = '}';
	assert_int_equal(sha256(line + FRAME_MAC_CHARS + 1, FRAME_MAX_BODY, digest), 0);
	assert_int_equal(frame_stream_seal(&sender, digest, mac), 0);
	memcpy(line, mac, FRAME_MAC_CHARS);
	expect_refused(&receiver, line, len + 1, -EMSGSIZE);
	assert_int_equal(frame_stream_open(&receiver, line, len, &body, &body_len), 0);
	assert_int_equal(body_len, FRAME_MAX_BODY);
	free(line);
}

static void test_weak_key(void **state)
{
	struct frame_stream untouched = { .next = 7 }, stream = untouched;
	struct wg_key weak = { 0 };
	struct fixture *fx = *state;

	assert_int_equal(frame_stream_begin(&fx->agent, &weak, &fx->id, fx->hello, &stream),
			 -EINVAL);
	assert_memory_equal(&stream, &untouched, sizeof(stream));
}

static void test_wipe(void **state)
{
	struct frame_stream sender, receiver, zero = { 0 };

	begin_both(*state, &sender, &receiver);
	frame_stream_done(&sender);
	assert_memory_equal(&sender, &zero, sizeof(zero));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),	      cmocka_unit_test(test_order),
		cmocka_unit_test(test_other_streams), cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_refused_lines), cmocka_unit_test(test_size),
		cmocka_unit_test(test_weak_key),      cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
