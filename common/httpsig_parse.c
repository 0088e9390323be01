/* Header fields to a signature: a cursor that takes one form and no other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base64.h"
#include "common/httpsig_text.h"
#include "common/text.h"

#define MAX_DIGITS 19 /* of INT64_MAX */

struct cursor {
	const char *field; /* its name */
	const char *start, *at;
	char **reterr_text;
};

void httpsig_collect(struct httpsig_headers *headers, const char *name, const char *value)
{
	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++) {
		if (strcasecmp(name, httpsig_field_name(f)) != 0)
			continue;
		headers->repeated[f] = headers->field[f] != NULL;
		headers->field[f] = value ?: "";
	}
}

static int refuse(char *text, char **reterr_text)
{
	*reterr_text = text;
	return text ? -EINVAL : -ENOMEM;
}

/* Nothing of what came is repeated: the text is fit for any log. */
static int fail(const struct cursor *c, const char *what)
{
	return refuse(text_printf("%s: expected %s at character %zu", c->field, what,
				  (size_t)(c->at - c->start) + 1),
		      c->reterr_text);
}

static int begin(struct cursor *c, const struct httpsig_headers *headers, enum httpsig_field field)
{
	c->field = httpsig_field_name(field);
	c->start = c->at = headers->field[field];
	if (!c->start)
		return refuse(text_printf("%s: missing", c->field), c->reterr_text);
	if (headers->repeated[field])
		return refuse(text_printf("%s: there more than once", c->field), c->reterr_text);
	return 0;
}

static int take_text(struct cursor *c, const char *text)
{
	char rest[HTTPSIG_MAX_FIELD];

	for (; *text && *text == *c->at; text++)
		c->at++;
	if (!*text)
		return 0;
	snprintf(rest, sizeof(rest), "'%s'", text);
	return fail(c, rest);
}

static int take_end(struct cursor *c)
{
	return *c->at ? fail(c, "the end") : 0;
}

static int take_number(struct cursor *c, uint64_t max, uint64_t *ret_value)
{
	size_t n = strspn(c->at, "0123456789");
	char digits[MAX_DIGITS + 1] = "";
	uint64_t value;

	/* One number, one text. */
	if (n > 0 && n <= MAX_DIGITS && *c->at != '0') {
		memcpy(digits, c->at, n);
		if (parse_u64(digits, max, &value) == 0) {
			c->at += n;
			*ret_value = value;
			return 0;
		}
	}
	return fail(c, "a decimal number from 1 on, without a leading zero and within bounds");
}

static int take_key(struct cursor *c, const char *prefix, const char *what,
		    struct ed25519_public *ret_public)
{
	size_t n = strnlen(c->at, ED25519_TEXT_LEN - 1);

	if (ed25519_public_parse(prefix, c->at, n, ret_public) < 0)
		return fail(c, what);
	c->at += n;
	return 0;
}

/* ":...:" (RFC 8941, 3.3.5). */
static int take_bytes(struct cursor *c, void *buf, size_t len)
{
	size_t n;
	int r;

	r = take_text(c, ":");
	if (r < 0)
		return r;
	n = strnlen(c->at, BASE64_LEN(len));
	if (base64_decode(c->at, n, buf, len) < 0)
		return fail(c, len == SHA256_LEN ? "the base64 of 32 bytes"
						 : "the base64 of 64 bytes");
	c->at += n;
	r = take_text(c, ":");
	return r < 0 ? r : take_end(c);
}

static int parse_digest(struct cursor *c, struct httpsig *sig)
{
	int r = take_text(c, HTTPSIG_DIGEST_FIELD);

	return r < 0 ? r : take_bytes(c, sig->digest, sizeof(sig->digest));
}

static int parse_signature(struct cursor *c, struct httpsig *sig)
{
	int r = take_text(c, HTTPSIG_LABEL);

	return r < 0 ? r : take_bytes(c, sig->signature, sizeof(sig->signature));
}

static int parse_coordinator(struct cursor *c, struct httpsig *sig)
{
	size_t n;
	int r;

	r = take_key(c, ED25519_COORDINATOR,
		     "a coordinator's public key ('pgc:' and 43 characters)", &sig->audience.key);
	if (r == 0)
		r = take_text(c, ".");
	if (r < 0)
		return r;
	n = strnlen(c->at, HTTPSIG_EPOCH_LEN - 1);
	if (httpsig_epoch_parse(c->at, n, &sig->audience.epoch) < 0)
		return fail(c, "an epoch (22 characters)");
	c->at += n;
	return take_end(c);
}

static int parse_input(struct cursor *c, struct httpsig *sig)
{
	int r;

	r = take_text(c, HTTPSIG_LABEL HTTPSIG_COMPONENTS ";created=");
	if (r == 0)
		r = take_number(c, HTTPSIG_MAX_CREATED, &sig->created);
	if (r == 0)
		r = take_text(c, ";nonce=\"");
	if (r == 0)
		r = take_number(c, HTTPSIG_MAX_NONCE, &sig->nonce);
	if (r == 0)
		r = take_text(c, "\";keyid=\"");
	if (r == 0)
		r = take_key(c, ED25519_MACHINE,
			     "a machine's public key ('pgm:' and 43 characters)", &sig->key);
	if (r == 0)
		r = take_text(c, "\";alg=\"" HTTPSIG_ALG "\"");
	return r < 0 ? r : take_end(c);
}

int httpsig_parse(const struct httpsig_headers *headers, struct httpsig *ret_sig,
		  char **reterr_text)
{
	static int (*const parse[])(struct cursor * c, struct httpsig * sig) = {
		[HTTPSIG_CONTENT_DIGEST] = parse_digest,
		[HTTPSIG_COORDINATOR] = parse_coordinator,
		[HTTPSIG_SIGNATURE_INPUT] = parse_input,
		[HTTPSIG_SIGNATURE] = parse_signature,
	};
	struct httpsig sig = { 0 };

	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++) {
		struct cursor c = { .reterr_text = reterr_text };
		int r = begin(&c, headers, f);

		if (r == 0)
			r = parse[f](&c, &sig);
		if (r < 0)
			return r;
	}
	*ret_sig = sig;
	return 0;
}
