#include "common/httpsig.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/httpsig_text.h"
#include "common/random.h"
#include "common/text.h"

/* The text that is signed: the names, and what the bounds allow. */
#define BASE_MAX (HTTPSIG_MAX_METHOD + HTTPSIG_MAX_PATH + HTTPSIG_MAX_QUERY + 1024)

int httpsig_epoch_generate(struct httpsig_epoch *ret_epoch)
{
	struct httpsig_epoch epoch;
	int r = random_bytes(epoch.bytes, sizeof(epoch.bytes));

	if (r == 0)
		*ret_epoch = epoch;
	return r;
}

char *httpsig_epoch_to_string(const struct httpsig_epoch *epoch, char *buf)
{
	return base64url_encode(epoch->bytes, sizeof(epoch->bytes), buf);
}

int httpsig_epoch_parse(const char *text, size_t len, struct httpsig_epoch *ret_epoch)
{
	struct httpsig_epoch epoch;

	if (base64url_decode(text, len, epoch.bytes, sizeof(epoch.bytes)) < 0)
		return -EINVAL;
	*ret_epoch = epoch;
	return 0;
}

const char *httpsig_field_name(enum httpsig_field field)
{
	static const char *const names[] = {
		[HTTPSIG_CONTENT_DIGEST] = "Content-Digest",
		[HTTPSIG_COORDINATOR] = "Peergate-Coordinator",
		[HTTPSIG_SIGNATURE_INPUT] = "Signature-Input",
		[HTTPSIG_SIGNATURE] = "Signature",
	};

	return names[field];
}

static bool is_method(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n > 0 && n <= HTTPSIG_MAX_METHOD && s[n] == '\0';
}

/* Printable ASCII only: what is signed has one line for each part. */
static bool is_uri_part(const char *s, size_t max, const char *refused)
{
	size_t n;

	for (n = 0; s[n]; n++)
		if (n >= max || s[n] <= ' ' || s[n] > '~' || strchr(refused, s[n]))
			return false;
	return true;
}

static bool is_request(const struct httpsig_request *request)
{
	return is_method(request->method) && request->path[0] == '/' &&
	       is_uri_part(request->path, HTTPSIG_MAX_PATH, "?#") &&
	       is_uri_part(request->query ?: "", HTTPSIG_MAX_QUERY, "#");
}

static void format_audience(const struct httpsig_audience *audience, char *buf)
{
	ed25519_public_to_string(ED25519_COORDINATOR, &audience->key, buf);
	buf[ED25519_TEXT_LEN - 1] = '.';
	httpsig_epoch_to_string(&audience->epoch, buf + ED25519_TEXT_LEN);
}

/* All but the signature: its fields, each of which fits. */
static void format_fields(const struct httpsig *sig, struct httpsig_signed *s)
{
	char keyid[ED25519_TEXT_LEN], digest[BASE64_LEN(SHA256_LEN) + 1];

	snprintf(s->field[HTTPSIG_CONTENT_DIGEST], HTTPSIG_MAX_FIELD, HTTPSIG_DIGEST_FIELD ":%s:",
		 base64_encode(sig->digest, sizeof(sig->digest), digest));
	format_audience(&sig->audience, s->field[HTTPSIG_COORDINATOR]);
	snprintf(s->field[HTTPSIG_SIGNATURE_INPUT], HTTPSIG_MAX_FIELD,
		 HTTPSIG_LABEL HTTPSIG_COMPONENTS ";created=%" PRIu64 ";nonce=\"%" PRIu64
						  "\";keyid=\"%s\";alg=\"" HTTPSIG_ALG "\"",
		 sig->created, sig->nonce,
		 ed25519_public_to_string(ED25519_MACHINE, &sig->key, keyid));
}

/* The signature base (RFC 9421, 2.5). Return: its length. */
static size_t format_base(const struct httpsig *sig, const struct httpsig_request *request,
			  char *buf)
{
	struct httpsig_signed s;

	format_fields(sig, &s);
	return (size_t)snprintf(buf, BASE_MAX,
				"\"@method\": %s\n"
				"\"@path\": %s\n"
				"\"@query\": ?%s\n"
				"\"content-digest\": %s\n"
				"\"peergate-coordinator\": %s\n"
				"\"@signature-params\": %s",
				request->method, request->path, request->query ?: "",
				s.field[HTTPSIG_CONTENT_DIGEST], s.field[HTTPSIG_COORDINATOR],
				s.field[HTTPSIG_SIGNATURE_INPUT] + strlen(HTTPSIG_LABEL));
}

int httpsig_sign(const struct ed25519_key *key, const struct httpsig_request *request,
		 const struct httpsig_audience *audience, uint64_t created, uint64_t nonce,
		 struct httpsig_signed *ret_signed)
{
	struct httpsig sig = {
		.key = *ed25519_key_public(key),
		.created = created,
		.nonce = nonce,
		.audience = *audience,
	};
	char base[BASE_MAX], text[BASE64_LEN(ED25519_SIGNATURE_LEN) + 1];
	int r;

	if (!is_request(request) || created < 1 || created > HTTPSIG_MAX_CREATED || nonce < 1 ||
	    nonce > HTTPSIG_MAX_NONCE)
		return -EINVAL;
	r = sha256(request->body, request->body_len, sig.digest);
	if (r < 0)
		return r;
	r = ed25519_sign(key, base, format_base(&sig, request, base), sig.signature);
	if (r < 0)
		return r;
	format_fields(&sig, ret_signed);
	snprintf(ret_signed->field[HTTPSIG_SIGNATURE], HTTPSIG_MAX_FIELD,
		 HTTPSIG_LABEL ":%s:", base64_encode(sig.signature, sizeof(sig.signature), text));
	return 0;
}

int64_t httpsig_skew(const struct httpsig *sig, uint64_t now)
{
	return (int64_t)(sig->created - now);
}

_printf_(3, 4) static int refuse(char **reterr_text, int error, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return error;
}

static int check_audience(const struct httpsig_audience *signed_for,
			  const struct httpsig_audience *here, char **reterr_text)
{
	char theirs[ED25519_TEXT_LEN], ours[ED25519_TEXT_LEN];

	if (!ed25519_public_equal(&signed_for->key, &here->key))
		return refuse(
			reterr_text, -EXDEV,
			"signed for the coordinator with the key %s; the key of this one is %s",
			ed25519_public_to_string(ED25519_COORDINATOR, &signed_for->key, theirs),
			ed25519_public_to_string(ED25519_COORDINATOR, &here->key, ours));
	if (memcmp(&signed_for->epoch, &here->epoch, sizeof(here->epoch)) != 0)
		return refuse(reterr_text, -ESTALE,
			      "signed for another epoch: the coordinator has started anew since; "
			      "sign for the one that it tells now");
	return 0;
}

static int check_time(const struct httpsig *sig, uint64_t now, char **reterr_text)
{
	int64_t skew = httpsig_skew(sig, now);

	if (skew >= -HTTPSIG_WINDOW && skew <= HTTPSIG_WINDOW)
		return 0;
	return refuse(reterr_text, -ETIME,
		      "created %" PRIu64 " seconds %s the coordinator's clock, of which %d are "
		      "allowed: set the clock of either",
		      (uint64_t)(skew < 0 ? -skew : skew), skew < 0 ? "before" : "after",
		      HTTPSIG_WINDOW);
}

static int check_body(const struct httpsig *sig, const struct httpsig_request *request,
		      char **reterr_text)
{
	uint8_t digest[SHA256_LEN];
	int r;

	r = sha256(request->body, request->body_len, digest);
	if (r < 0)
		return r;
	if (memcmp(digest, sig->digest, sizeof(digest)) != 0)
		return refuse(
			reterr_text, -EBADMSG,
			"the body (%zu bytes) is not what Content-Digest says: it was changed "
			"or cut on the way",
			request->body_len);
	return 0;
}

int httpsig_verify(const struct httpsig *sig, const struct httpsig_request *request,
		   const struct httpsig_audience *audience, uint64_t now, char **reterr_text)
{
	char base[BASE_MAX], keyid[ED25519_TEXT_LEN];
	int r;

	if (!is_request(request))
		return refuse(reterr_text, -EINVAL,
			      "method, path and query are to be printable ASCII, of %d, %d and %d "
			      "characters at most",
			      HTTPSIG_MAX_METHOD, HTTPSIG_MAX_PATH, HTTPSIG_MAX_QUERY);
	r = check_audience(&sig->audience, audience, reterr_text);
	if (r == 0)
		r = check_time(sig, now, reterr_text);
	if (r == 0)
		r = check_body(sig, request, reterr_text);
	if (r < 0)
		return r;
	r = ed25519_verify(&sig->key, base, format_base(sig, request, base), sig->signature);
	if (r == -EKEYREJECTED)
		return refuse(
			reterr_text, r,
			"the signature is not one of %s for this request: method, path, query "
			"or a header were changed on the way, or it is forged",
			ed25519_public_to_string(ED25519_MACHINE, &sig->key, keyid));
	return r;
}
