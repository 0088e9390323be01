#include "agent/link/signer.h"

#include <errno.h>
#include <string.h>

#include "agent/link/backoff.h"
#include "common/clock.h"
#include "common/frame_sig.h"
#include "common/json.h"
#include "common/text.h"

#define MESSAGE_MAX 300u

void link_signer_init(struct link_signer *signer, const struct ed25519_key *machine,
		      const struct ed25519_public *coordinator)
{
	*signer = (struct link_signer){ .machine = machine, .audience = { .key = *coordinator } };
}

/* Seconds of the coordinator's clock. */
static uint64_t its_time(const struct link_signer *signer, uint64_t now_usec)
{
	int64_t now = (int64_t)(now_usec / USEC_PER_SEC) + signer->ahead_sec;

	if (now < 1)
		return 1;
	return (uint64_t)now > HTTPSIG_MAX_CREATED ? HTTPSIG_MAX_CREATED : (uint64_t)now;
}

static uint64_t next_nonce(const struct link_signer *signer, uint64_t now_usec)
{
	uint64_t by_clock = now_usec / 1000;

	return by_clock > signer->nonce ? by_clock : signer->nonce + 1;
}

int link_sign(struct link_signer *signer, struct link_asking *asking,
	      const struct httpsig_request *request, uint64_t now_usec,
	      struct httpsig_signed *ret_signed)
{
	uint64_t nonce = next_nonce(signer, now_usec);
	int r;

	r = httpsig_sign(signer->machine, request, &signer->audience, its_time(signer, now_usec),
			 nonce, ret_signed);
	if (r < 0)
		return r;
	signer->nonce = nonce;
	asking->nonce = nonce;
	asking->epoch = signer->audience.epoch;
	return 0;
}

void link_verdict_done(struct link_verdict *verdict)
{
	json_decref(verdict->body);
	free(verdict->message);
	*verdict = (struct link_verdict){ 0 };
}

bool link_verdict_is_deleted(const struct link_verdict *verdict)
{
	return verdict->kind == LINK_ANSWER_NO && strcmp(verdict->code, "not-enrolled") == 0;
}

static bool is_signed(const struct link_signer *signer, const struct link_asking *asking,
		      const struct fetch_answer *answer)
{
	const struct frame_id id = {
		.purpose = FRAME_ANSWER,
		.machine = *ed25519_key_public(signer->machine),
		.nonce = asking->nonce,
		.number = answer->status,
	};

	return answer->signature &&
	       frame_verify(&signer->audience.key, &id, answer->signature,
			    strlen(answer->signature), answer->body, answer->body_len) == 0;
}

/* What an error says of itself. Members that are missing or of another type count as absent. */
struct error {
	const char *code, *message, *time;
	json_int_t nonce;
};

static struct error error_of(const json_t *body)
{
	const json_t *error = json_object_get(body, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	return (struct error){
		.code = code && strlen(code) < LINK_MAX_CODE ? code : "",
		.message = message ? message : "",
		.time = json_string_value(json_object_get(error, "time")),
		.nonce = json_integer_value(json_object_get(error, "nonce")),
	};
}

/*
 * The epoch is believed from anybody: with a wrong one the request is refused, and no more. Only a
 * signed answer proves that the coordinator did not take the request for a good one.
 */
static bool cure_epoch(struct link_signer *signer, struct link_asking *asking, const char *told)
{
	struct httpsig_epoch epoch;

	if (asking->cured_epoch || !told || httpsig_epoch_parse(told, strlen(told), &epoch) < 0 ||
	    memcmp(&epoch, &asking->epoch, sizeof(epoch)) == 0)
		return false;
	asking->cured_epoch = true;
	signer->audience.epoch = epoch;
	return true;
}

static bool cure_clock(struct link_signer *signer, struct link_asking *asking, const char *time,
		       uint64_t now_usec)
{
	uint64_t told;

	if (asking->cured_clock || !time || parse_rfc3339(time, &told) < 0)
		return false;
	asking->cured_clock = true;
	signer->ahead_sec = (int64_t)(told / USEC_PER_SEC) - (int64_t)(now_usec / USEC_PER_SEC);
	return true;
}

static bool cure_nonce(struct link_signer *signer, struct link_asking *asking, json_int_t nonce)
{
	if (asking->cured_nonce || nonce < 1 || nonce >= HTTPSIG_MAX_NONCE)
		return false;
	asking->cured_nonce = true;
	if ((uint64_t)nonce > signer->nonce)
		signer->nonce = (uint64_t)nonce;
	return true;
}

static bool cure(struct link_signer *signer, struct link_asking *asking,
		 const struct fetch_answer *answer, const struct error *error, bool signed_by_it,
		 uint64_t now_usec, struct link_verdict *verdict)
{
	if (answer->status != 401)
		return false;
	if (strcmp(error->code, "other-epoch") == 0)
		return cure_epoch(signer, asking, answer->epoch);
	if (!signed_by_it)
		return false;
	if (strcmp(error->code, "clock") == 0) {
		verdict->skewed = cure_clock(signer, asking, error->time, now_usec);
		return verdict->skewed;
	}
	return strcmp(error->code, "old-nonce") == 0 && cure_nonce(signer, asking, error->nonce);
}

/* What the coordinator refuses for good, and what only now: its signature says that it is it. */
static enum link_verdict_kind kind_of(unsigned status, bool signed_by_it, const json_t *body)
{
	if (!signed_by_it)
		return LINK_ANSWER_LATER;
	if (status >= 200 && status < 300)
		return json_is_object(body) ? LINK_ANSWER_GOOD : LINK_ANSWER_LATER;
	/* 401 is about the signature: nothing that an operator of the mesh has decided. */
	if (status < 400 || status >= 500 || status == 401 || status == 429)
		return LINK_ANSWER_LATER;
	return LINK_ANSWER_NO;
}

static char *message_of(const struct link_verdict *verdict, const struct error *error,
			bool signed_by_it)
{
	_cleanup_free_ char *said = text_sanitize(error->message, MESSAGE_MAX);

	if (!said)
		return NULL;
	if (strcmp(verdict->code, "other-coordinator") == 0)
		return strdup("what answers there is another coordinator than the one that this "
			      "host belongs to, or it has a new key (coordctl status); log out and "
			      "come up anew if that is meant");
	if (verdict->status >= 200 && verdict->status < 300)
		return strdup(signed_by_it ? "the coordinator answered with something else than a "
					     "JSON object"
					   : "the answer is not signed by this host's coordinator");
	if (said[0])
		return text_printf("%s%s", said, signed_by_it ? "" : " (not signed)");
	return text_printf("status %u%s", verdict->status,
			   signed_by_it ? "" : ", not from the coordinator itself");
}

int link_answer_judge(struct link_signer *signer, struct link_asking *asking,
		      const struct fetch_answer *answer, uint64_t now_usec,
		      struct link_verdict *ret_verdict)
{
	_cleanup_(link_verdict_done) struct link_verdict verdict = { .status = answer->status };
	_cleanup_(json_report_done) struct json_report report = { 0 };
	bool signed_by_it = is_signed(signer, asking, answer);
	json_auto_t *body = NULL;
	struct error error;
	int r;

	r = json_parse(answer->body, answer->body_len, &report, &body);
	if (r == -ENOMEM)
		return r;
	error = error_of(body);
	verdict.retry_after_usec = link_retry_after(answer->retry_after);
	if (cure(signer, asking, answer, &error, signed_by_it, now_usec, &verdict))
		verdict.kind = LINK_ANSWER_AGAIN;
	else
		verdict.kind = kind_of(answer->status, signed_by_it, body);
	memcpy(verdict.code, error.code, strlen(error.code) + 1);
	if (verdict.kind == LINK_ANSWER_GOOD) {
		verdict.body = take_ptr(body);
	} else {
		verdict.message = message_of(&verdict, &error, signed_by_it);
		if (!verdict.message)
			return -ENOMEM;
	}
	*ret_verdict = verdict;
	verdict = (struct link_verdict){ 0 };
	return 0;
}
