/*
 * Answers of the coordinator, or of whoever is in its place, to their end. The first byte: what was
 * asked, and whether the answer is signed. The rest is the body.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link/answers.h"
#include "agent/link/signer.h"
#include "agent/link/store.h"
#include "common/clock.h"
#include "common/frame_sig.h"
#include "common/text.h"
#include "tests/unit/known-keys.h"

#define NOW_USEC (UINT64_C(1800000000) * USEC_PER_SEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* A text comes with each refusal, and can be shown. */
static void check_error(int r, char *error)
{
	require(r == 0 || r == -EINVAL);
	require((r < 0) == (error != NULL));
	require(!error || (text_is_utf8(error) && !text_has_control(error)));
	free(error);
}

static void check_good(const json_t *body)
{
	struct link_enrolment enrolment = { 0 };
	struct link_approval approval = { 0 };
	char *error = NULL;
	int r;

	r = link_enrolment_read(body, &enrolment, &error);
	require(r < 0 || (text_is_label(enrolment.name) && text_is_domain(enrolment.domain)));
	check_error(r, error);
	link_enrolment_done(&enrolment);
	error = NULL;
	r = link_approval_read(body, &approval, &error);
	require(r < 0 || (!text_has_control(approval.code) && !text_has_control(approval.id)));
	check_error(r, error);
	link_approval_done(&approval);
}

static void check_unsigned(const char *text, size_t len)
{
	struct link_contact contact = { 0 };
	struct link_store store = { 0 };
	char *error = NULL;

	check_error(link_contact_read(text, len, &contact, &error), error);
	link_contact_done(&contact);
	error = NULL;
	check_error(link_store_parse(text, len, &store, &error), error);
	link_store_done(&store);
}

static void check_signed(const char *text, size_t len, unsigned status, bool good)
{
	_cleanup_(ed25519_key_freep) struct ed25519_key *machine = known_key(KNOWN_MACHINE);
	_cleanup_(ed25519_key_freep) struct ed25519_key *coordinator = known_key(KNOWN_COORDINATOR);
	const struct httpsig_request request = { .method = "POST", .path = "/v1/node" };
	struct link_asking asking = { 0 };
	struct link_verdict verdict = { 0 };
	struct link_signer signer;
	struct httpsig_signed fields;
	char sig[FRAME_SIG_CHARS + 1];
	uint8_t digest[SHA256_LEN];
	struct fetch_answer answer = { status, sig, "QEFCQ0RFRkdISUpLTE1OTw", "7", text, len };
	struct frame_id id = { FRAME_ANSWER, *ed25519_key_public(machine), 0, status };

	link_signer_init(&signer, machine, ed25519_key_public(coordinator));
	require(link_sign(&signer, &asking, &request, NOW_USEC, &fields) == 0);
	id.nonce = asking.nonce + !good;
	require(sha256(text, len, digest) == 0 && frame_sign(coordinator, &id, digest, sig) == 0);
	require(link_answer_judge(&signer, &asking, &answer, NOW_USEC, &verdict) == 0);
	require(verdict.message ? !text_has_control(verdict.message)
				: verdict.kind == LINK_ANSWER_GOOD);
	require(good || verdict.kind == LINK_ANSWER_LATER || verdict.kind == LINK_ANSWER_AGAIN);
	if (verdict.kind == LINK_ANSWER_GOOD)
		check_good(verdict.body);
	/* However it was cured, it can sign again. */
	require(link_sign(&signer, &asking, &request, NOW_USEC, &fields) == 0);
	link_verdict_done(&verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned statuses[] = { 200, 202, 401, 403, 404, 429, 503 };
	_cleanup_free_ char *text = NULL;

	if (size < 1)
		return 0;
	text = malloc(size);
	require(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	check_unsigned(text, size - 1);
	check_signed(text, size - 1, statuses[data[0] / 2 % ARRAY_SIZE(statuses)], data[0] % 2);
	return 0;
}
