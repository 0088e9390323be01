#include "coord/oidc/jws.h"

#include <errno.h>
#include <string.h>

#include "common/base64.h"
#include "common/json.h"
#include "common/text.h"

static int refuse(char **reterr_text, const char *why)
{
	*reterr_text = text_printf("the token %s", why);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

int jws_decode(const char *text, size_t len, void *ret_data, size_t *ret_len)
{
	_cleanup_free_ char *data = NULL;
	size_t data_len = len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0);
	int r;

	if (len % 4 == 1)
		return -EINVAL;
	data = malloc(data_len + 1);
	if (!data)
		return -ENOMEM;
	r = base64url_decode(text, len, data, data_len);
	if (r < 0)
		return r;
	data[data_len] = '\0';
	*(char **)ret_data = take_ptr(data);
	*ret_len = data_len;
	return 0;
}

struct header {
	char *alg, *kid;
	bool crit;
};

static int read_crit(const json_t *v, const struct json_at *at, void *target,
		     struct json_report *rep)
{
	*(bool *)target = true;
	return 0;
}

static const struct json_field header_fields[] = {
	{ "alg", json_read_string, offsetof(struct header, alg), JSON_REQUIRED },
	{ "kid", json_read_string, offsetof(struct header, kid) },
	{ "crit", read_crit, offsetof(struct header, crit) },
};

/* Return: as jws_parse(). What was read stays in *header, for its owner to free. */
static int read_header(const char *text, size_t len, struct header *header, char **reterr_text)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	const struct json_at root = { 0 };
	_cleanup_free_ char *json = NULL;
	json_t *value = NULL;
	size_t json_len;
	int r = jws_decode(text, len, &json, &json_len);

	if (r == -EINVAL)
		return refuse(reterr_text, "has a header that is not base64url");
	if (r == 0)
		r = json_parse(json, json_len, &rep, &value);
	if (r == 0)
		r = json_read_object(value, &root, header_fields,
				     sizeof(header_fields) / sizeof(header_fields[0]), header,
				     &rep);
	json_decref(value);
	if (r == -EINVAL) {
		*reterr_text = text_printf("the token's header: %s", rep.text);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	if (r < 0)
		return r;
	if (header->crit)
		return refuse(reterr_text, "demands extensions (\"crit\"), of which none is known");
	if (header->kid && strlen(header->kid) > JWS_MAX_KID)
		return refuse(reterr_text, "names a key by a text that is too long");
	return 0;
}

static int read_rest(const char *payload, const char *signature, const char *end, struct jws *jws,
		     char **reterr_text)
{
	int r = jws_decode(payload, (size_t)(signature - 1 - payload), &jws->payload,
			   &jws->payload_len);

	if (r == 0)
		r = jws_decode(signature, (size_t)(end - signature), &jws->signature,
			       &jws->signature_len);
	if (r == -EINVAL)
		return refuse(reterr_text, "has a part that is not base64url");
	return r;
}

int jws_parse(const char *token, size_t len, struct jws *ret, char **reterr_text)
{
	const char *payload = memchr(token, '.', len), *signature, *end = token + len;
	struct header header = { 0 };
	struct jws jws = { 0 };
	int r;

	if (len > JWS_MAX_LEN)
		return refuse(reterr_text, "is too long");
	signature = payload ? memchr(payload + 1, '.', (size_t)(end - payload - 1)) : NULL;
	if (!signature || memchr(signature + 1, '.', (size_t)(end - signature - 1)))
		return refuse(reterr_text, "has not three parts");
	r = read_header(token, (size_t)(payload - token), &header, reterr_text);
	jws.alg = header.alg;
	jws.kid = header.kid;
	if (r == 0)
		r = read_rest(payload + 1, signature + 1, end, &jws, reterr_text);
	if (r < 0) {
		jws_done(&jws);
		return r;
	}
	jws.signed_text = token;
	jws.signed_len = (size_t)(signature - token);
	*ret = jws;
	return 0;
}

void jws_done(struct jws *jws)
{
	free(jws->alg);
	free(jws->kid);
	free(jws->payload);
	free(jws->signature);
	*jws = (struct jws){ 0 };
}
