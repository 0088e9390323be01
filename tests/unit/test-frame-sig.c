#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/frame_sig.h"
#include "tests/unit/known-keys.h"

#define BODY                                                  \
	"{\"type\":\"hello\",\"for\":\"n1\",\"ephemeral\":\"" \
	"EMJPls42o7VEQQE7VPwCBzYpDi0HhTujUiijW8QYrS8\"}"

/*
 * Made with python3-cryptography from known-keys.h: Ed25519PrivateKey.sign() of
 *
 *	peergate-hello-v1
 *	pgm:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg
 *	1800000000123
 *	0
 *	(base64url of BODY's SHA-256)
 *
 * with a newline behind each; in the answer "peergate-answer-v1" and 200.
 */
#define HELLO_SIG                                  \
	"STLcJgazXwvNHII7Hcj7wHDPvlmIS1IYuMMI3Fdq" \
	"Sod0sguEY8Tv3WJ2CyFwLW8y0bbHKwiwhLSeYRHYJVFhAg"
#define ANSWER_SIG                                 \
	"Qb3ncWuK0SC9vIHsGVY0GAV1NMB3EHm3-BsuLDCA" \
	"TH-bMsoa-wE07NINY4SfgPmEAjcJPOkjH5gaKQIRG47YAg"

struct fixture {
	struct ed25519_key *machine, *coordinator;
	struct frame_id hello, answer;
	const struct ed25519_public *public; /* of the coordinator */
};

static int setup(void **state)
{
	static struct fixture fx;

	fx.machine = known_key(KNOWN_MACHINE);
	fx.coordinator = known_key(KNOWN_COORDINATOR);
	fx.public = ed25519_key_public(fx.coordinator);
	fx.hello =
		(struct frame_id){ FRAME_HELLO, *ed25519_key_public(fx.machine), 1800000000123, 0 };
	fx.answer = fx.hello;
	fx.answer.purpose = FRAME_ANSWER;
	fx.answer.number = 200;
	*state = &fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;

	ed25519_key_free(fx->machine);
	ed25519_key_free(fx->coordinator);
	return 0;
}

static void expect_sig(struct fixture *fx, const struct frame_id *id, const char *want)
{
	char sig[FRAME_SIG_CHARS + 1];
	uint8_t digest[SHA256_LEN];

	assert_int_equal(sha256(BODY, strlen(BODY), digest), 0);
	assert_int_equal(frame_sign(fx->coordinator, id, digest, sig), 0);
	assert_string_equal(sig, want);
	assert_int_equal(frame_verify(fx->public, id, sig, strlen(sig), BODY, strlen(BODY)), 0);
}

static void test_known(void **state)
{
	struct fixture *fx = *state;

	expect_sig(fx, &fx->hello, HELLO_SIG);
	expect_sig(fx, &fx->answer, ANSWER_SIG);
}

static void test_line(void **state)
{
	static const char line[] = HELLO_SIG " " BODY;
	struct fixture *fx = *state;
	const char *body = NULL;
	size_t len = 0;

	assert_int_equal(frame_verify_line(fx->public, &fx->hello, line, strlen(line), &body, &len),
			 0);
	assert_ptr_equal(body, line + FRAME_SIG_CHARS + 1);
	assert_int_equal(len, strlen(BODY));
}

/* Right for one place, and one thing about the place is not so. */
static void test_other_places(void **state)
{
	struct fixture *fx = *state;
	struct frame_id other[] = { fx->hello, fx->hello, fx->hello, fx->hello };

	other[0].purpose = FRAME_ANSWER;
	other[1].machine = *fx->public;
	other[2].nonce++;
	other[3].number++;
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		assert_int_equal(frame_verify(fx->public, &other[i], HELLO_SIG, FRAME_SIG_CHARS,
					      BODY, strlen(BODY)),
				 -EKEYREJECTED);
	assert_int_equal(frame_verify(ed25519_key_public(fx->machine), &fx->hello, HELLO_SIG,
				      FRAME_SIG_CHARS, BODY, strlen(BODY)),
			 -EKEYREJECTED);
}

/* Numbers stand on lines of their own: 1, 23 and 12, 3 are different places. */
static void test_numbers_do_not_run_together(void **state)
{
	struct fixture *fx = *state;
	struct frame_id a = fx->hello, b = fx->hello;
	uint8_t digest[SHA256_LEN];
	char sig[FRAME_SIG_CHARS + 1];

	a.nonce = 1;
	a.number = 23;
	b.nonce = 12;
	b.number = 3;
	assert_int_equal(sha256("{}", 2, digest), 0);
	assert_int_equal(frame_sign(fx->coordinator, &a, digest, sig), 0);
	assert_int_equal(frame_verify(fx->public, &a, sig, FRAME_SIG_CHARS, "{}", 2), 0);
	assert_int_equal(frame_verify(fx->public, &b, sig, FRAME_SIG_CHARS, "{}", 2),
			 -EKEYREJECTED);
	a.nonce = a.number = UINT64_MAX;
	assert_int_equal(frame_sign(fx->coordinator, &a, digest, sig), 0);
	assert_int_equal(frame_verify(fx->public, &a, sig, FRAME_SIG_CHARS, "{}", 2), 0);
}

static void expect_line(struct fixture *fx, const char *line, size_t len, int want)
{
	const char *body = NULL;
	size_t body_len = 0;
	int r = frame_verify_line(fx->public, &fx->hello, line, len, &body, &body_len);

	/* 1: refused, one way or the other. */
	if (want == 1)
		assert_true(r == -EINVAL || r == -EKEYREJECTED);
	else
		assert_int_equal(r, want);
	assert_null(body);
	assert_int_equal(body_len, 0);
}

static void test_mutations(void **state)
{
	struct fixture *fx = *state;
	char line[] = HELLO_SIG " " BODY;
	size_t len = strlen(line);

	for (size_t i = 0; i < len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			line[i] = (char)(line[i] ^ 1 << bit);
			expect_line(fx, line, len, 1);
			line[i] = (char)(line[i] ^ 1 << bit);
		}
		expect_line(fx, line, i, 1);
	}
}

static void test_refused_lines(void **state)
{
	static const struct {
		const char *line;
		int r;
	} cases[] = {
		{ "", -EINVAL },
		{ BODY, -EINVAL },
		{ HELLO_SIG, -EINVAL },
		{ HELLO_SIG " ", -EINVAL },
		{ HELLO_SIG " {", -EINVAL },
		{ HELLO_SIG "  " BODY, -EINVAL },
		{ HELLO_SIG " []", -EINVAL },
		{ HELLO_SIG " " BODY "\n", -EINVAL },
		{ HELLO_SIG " " BODY "\r", -EINVAL },
		{ HELLO_SIG " {\n}", -EINVAL },
		{ HELLO_SIG "\t" BODY, -EINVAL },
		{ HELLO_SIG "= " BODY, -EINVAL },
		{ HELLO_SIG " {}", -EKEYREJECTED },
		{ HELLO_SIG " {} ", -EINVAL },
		{ ANSWER_SIG " " BODY, -EKEYREJECTED },
		{ " " HELLO_SIG " " BODY, -EINVAL },
	};
	static const char nul[] = HELLO_SIG " {\0}";
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		print_message("%zu\n", i);
		expect_line(fx, cases[i].line, strlen(cases[i].line), cases[i].r);
	}
	expect_line(fx, nul, sizeof(nul) - 1, -EINVAL);
	/* Stray bits in the last character: another text of the same signature. */
	assert_int_equal(frame_verify(fx->public, &fx->hello, HELLO_SIG "A", FRAME_SIG_CHARS + 1,
				      BODY, strlen(BODY)),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_other_places),
		cmocka_unit_test(test_numbers_do_not_run_together),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_refused_lines),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
