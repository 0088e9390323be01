/* Signed requests and what answers to them are worth, with both ends in one process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/signer.h"
#include "common/clock.h"
#include "common/frame_sig.h"
#include "common/text.h"
#include "tests/unit/known-keys.h"

#define NOW_SEC	 UINT64_C(1800000000)
#define NOW_USEC (NOW_SEC * USEC_PER_SEC)
#define PATH	 "/v1/node"
#define EPOCH	 "QEFCQ0RFRkdISUpLTE1OTw" /* KNOWN_EPOCH */

struct fixture {
	struct ed25519_key *machine, *coordinator;
	struct link_signer signer;
	struct link_asking asking;
	struct httpsig_request request;
	struct httpsig_signed fields;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){
		.machine = known_key(KNOWN_MACHINE),
		.coordinator = known_key(KNOWN_COORDINATOR),
		.request = { .method = "POST", .path = PATH, .body = "{}", .body_len = 2 },
	};
	link_signer_init(&f.signer, f.machine, ed25519_key_public(f.coordinator));
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ed25519_key_free(f->machine);
	ed25519_key_free(f->coordinator);
	return 0;
}

static void sign(struct fixture *f)
{
	assert_int_equal(link_sign(&f->signer, &f->asking, &f->request, NOW_USEC, &f->fields), 0);
}

/* What the coordinator thinks of the request, by a clock of its own. */
static int verify(struct fixture *f, uint64_t now_sec)
{
	struct httpsig_audience audience = known_audience(f->coordinator);
	struct httpsig_headers headers = { 0 };
	_cleanup_free_ char *error = NULL;
	struct httpsig sig;

	for (int i = 0; i < HTTPSIG_N_FIELDS; i++)
		httpsig_collect(&headers, httpsig_field_name(i), f->fields.field[i]);
	assert_int_equal(httpsig_parse(&headers, &sig, &error), 0);
	return httpsig_verify(&sig, &f->request, &audience, now_sec, &error);
}

static void sign_answer(struct fixture *f, const char *body, unsigned status, char *sig)
{
	const struct frame_id id = { FRAME_ANSWER, *ed25519_key_public(f->machine), f->asking.nonce,
				     status };
	uint8_t digest[SHA256_LEN];

	assert_int_equal(sha256(body, strlen(body), digest), 0);
	assert_int_equal(frame_sign(f->coordinator, &id, digest, sig), 0);
}

/* Judge an answer; how: "signed", "unsigned", or "another" (the signature of another status). */
static struct link_verdict judge(struct fixture *f, unsigned status, const char *how,
				 const char *body, const char *retry_after)
{
	struct link_verdict verdict = { 0 };
	char sig[FRAME_SIG_CHARS + 1];
	struct fetch_answer answer = {
		.status = status,
		.epoch = EPOCH,
		.retry_after = retry_after,
		.body = body,
		.body_len = strlen(body),
	};

	sign_answer(f, body, strcmp(how, "another") == 0 ? status + 1 : status, sig);
	if (strcmp(how, "unsigned") != 0)
		answer.signature = sig;
	assert_int_equal(link_answer_judge(&f->signer, &f->asking, &answer, NOW_USEC, &verdict), 0);
	assert_true(verdict.kind == LINK_ANSWER_GOOD || verdict.message);
	return verdict;
}

#define ERROR(code, more) "{\"error\":{\"code\":\"" code "\",\"message\":\"so it is\"" more "}}"

static void test_verdicts(void **state)
{
	static const struct {
		unsigned status;
		const char *how, *body;
		enum link_verdict_kind kind;
		const char *code, *message;
	} cases[] = {
		{ 200, "signed", "{\"generation\":1}", LINK_ANSWER_GOOD, "", NULL },
		{ 202, "signed", "{}", LINK_ANSWER_GOOD, "", NULL },
		{ 200, "unsigned", "{}", LINK_ANSWER_LATER, "", "not signed" },
		{ 200, "another", "{}", LINK_ANSWER_LATER, "", "not signed" },
		{ 200, "signed", "[]", LINK_ANSWER_LATER, "", "something else" },
		{ 200, "signed", "", LINK_ANSWER_LATER, "", "something else" },
		{ 403, "signed", ERROR("rejected", ""), LINK_ANSWER_NO, "rejected", "so it is" },
		{ 404, "signed", ERROR("not-found", ""), LINK_ANSWER_NO, "not-found", "so it is" },
		/* No proxy makes a host forget its enrolment. */
		{ 404, "unsigned", ERROR("not-found", ""), LINK_ANSWER_LATER, "not-found",
		  "(not signed)" },
		{ 404, "another", ERROR("not-found", ""), LINK_ANSWER_LATER, "not-found",
		  "(not signed)" },
		{ 401, "signed", ERROR("bad-signature", ""), LINK_ANSWER_LATER, "bad-signature",
		  "so it is" },
		{ 401, "unsigned", ERROR("other-coordinator", ""), LINK_ANSWER_LATER,
		  "other-coordinator", "another coordinator" },
		{ 429, "signed", ERROR("too-many", ""), LINK_ANSWER_LATER, "too-many", "so it is" },
		{ 503, "signed", ERROR("unavailable", ""), LINK_ANSWER_LATER, "unavailable",
		  "so it is" },
		{ 502, "unsigned", "<html>Bad gateway\033[2J</html>", LINK_ANSWER_LATER, "",
		  "status 502, not from the coordinator itself" },
		{ 403, "signed", "{\"error\":7}", LINK_ANSWER_NO, "", "status 403" },
		{ 403, "signed", ERROR("a-code-that-is-longer-than-any-that-there-is", ""),
		  LINK_ANSWER_NO, "", "so it is" },
		{ 403, "signed", "{\"error\":{\"code\":\"x\",\"message\":\"\\u001b[2J\"}}",
		  LINK_ANSWER_NO, "x", "?[2J" },
		/* Told, but not in a way that could be made use of. */
		{ 401, "unsigned", ERROR("clock", ",\"time\":\"2027-01-15T09:00:00Z\""),
		  LINK_ANSWER_LATER, "clock", "so it is" },
		{ 401, "signed", ERROR("clock", ""), LINK_ANSWER_LATER, "clock", "so it is" },
		{ 401, "unsigned", ERROR("old-nonce", ",\"nonce\":1"), LINK_ANSWER_LATER,
		  "old-nonce", "so it is" },
		{ 401, "signed", ERROR("old-nonce", ",\"nonce\":\"1\""), LINK_ANSWER_LATER,
		  "old-nonce", "so it is" },
		{ 401, "signed", ERROR("old-nonce", ",\"nonce\":9223372036854775807"),
		  LINK_ANSWER_LATER, "old-nonce", "so it is" },
		{ 403, "signed", ERROR("other-epoch", ""), LINK_ANSWER_NO, "other-epoch",
		  "so it is" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(link_verdict_done) struct link_verdict verdict = { 0 };

		sign(f);
		verdict = judge(f, cases[i].status, cases[i].how, cases[i].body, "7");
		if (verdict.kind != cases[i].kind || strcmp(verdict.code, cases[i].code) != 0 ||
		    (cases[i].message && !strstr(verdict.message, cases[i].message)))
			fail_msg("case %zu: %d %s %s", i, verdict.kind, verdict.code,
				 verdict.message);
		assert_int_equal(verdict.status, cases[i].status);
		assert_int_equal(verdict.retry_after_usec, 7000000);
		assert_false(verdict.message && text_has_control(verdict.message));
	}
}

static void test_epoch_is_learnt_once(void **state)
{
	_cleanup_(link_verdict_done) struct link_verdict first = { 0 }, second = { 0 };
	struct fixture *f = *state;

	sign(f);
	assert_int_equal(verify(f, NOW_SEC), -ESTALE);
	first = judge(f, 401, "unsigned", ERROR("other-epoch", ""), NULL);
	assert_int_equal(first.kind, LINK_ANSWER_AGAIN);
	sign(f);
	assert_int_equal(verify(f, NOW_SEC), 0);
	/* It has that epoch already: somebody is playing. */
	second = judge(f, 401, "signed", ERROR("other-epoch", ""), NULL);
	assert_int_equal(second.kind, LINK_ANSWER_LATER);
	/* A request of another time may learn again. */
	f->asking = (struct link_asking){ 0 };
	f->signer.audience.epoch = (struct httpsig_epoch){ 0 };
	sign(f);
	link_verdict_done(&second);
	second = judge(f, 401, "unsigned", ERROR("other-epoch", ""), NULL);
	assert_int_equal(second.kind, LINK_ANSWER_AGAIN);
}

static void test_clock_is_corrected(void **state)
{
	_cleanup_(link_verdict_done) struct link_verdict first = { 0 }, second = { 0 };
	uint64_t its_now = NOW_SEC - 100 * 24 * 3600;
	struct fixture *f = *state;

	f->signer.audience = known_audience(f->coordinator);
	sign(f);
	assert_int_equal(verify(f, its_now), -ETIME);
	first = judge(f, 401, "signed", ERROR("clock", ",\"time\":\"2026-10-07T08:00:00Z\""), NULL);
	assert_int_equal(first.kind, LINK_ANSWER_AGAIN);
	assert_true(first.skewed);
	sign(f);
	assert_int_equal(verify(f, its_now), 0);
	second =
		judge(f, 401, "signed", ERROR("clock", ",\"time\":\"2026-10-07T08:00:00Z\""), NULL);
	assert_int_equal(second.kind, LINK_ANSWER_LATER);
}

static void test_nonces_rise(void **state)
{
	_cleanup_(link_verdict_done) struct link_verdict verdict = { 0 };
	struct fixture *f = *state;
	uint64_t last;

	sign(f);
	last = f->asking.nonce;
	assert_int_equal(last, NOW_SEC * 1000);
	sign(f);
	assert_int_equal(f->asking.nonce, last + 1);
	verdict = judge(f, 401, "signed", ERROR("old-nonce", ",\"nonce\":1800000099999"), NULL);
	assert_int_equal(verdict.kind, LINK_ANSWER_AGAIN);
	sign(f);
	assert_int_equal(f->asking.nonce, UINT64_C(1800000100000));
}

/* An answer to the attempt before, held back by somebody, is none to this one. */
static void test_answer_to_another_request(void **state)
{
	_cleanup_(link_verdict_done) struct link_verdict verdict = { 0 };
	struct fixture *f = *state;
	char sig[FRAME_SIG_CHARS + 1];
	struct fetch_answer answer = { .status = 404, .body = "{}", .body_len = 2 };

	sign(f);
	sign_answer(f, "{}", 404, sig);
	sign(f);
	answer.signature = sig;
	assert_int_equal(link_answer_judge(&f->signer, &f->asking, &answer, NOW_USEC, &verdict), 0);
	assert_int_equal(verdict.kind, LINK_ANSWER_LATER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_verdicts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_epoch_is_learnt_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_is_corrected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonces_rise, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answer_to_another_request, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
