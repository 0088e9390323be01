#include "coord/oidc/tokens.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

#define MAX_BODY (256u << 10)
#define MAX_WORD 64u

char *oidc_erase(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return NULL;
}

void oidc_tokens_done(struct oidc_tokens *tokens)
{
	oidc_erase(tokens->id);
	oidc_erase(tokens->access);
	oidc_erase(tokens->refresh);
	*tokens = (struct oidc_tokens){ 0 };
}

static int fail(char **reterr_text, const char *why)
{
	*reterr_text = text_printf("%s", why);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

/* VSCHAR of RFC 6749, appendix A, without the blank: for headers, and for forms. */
static bool is_token(const char *text, size_t max)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	return len > 0 && len <= max;
}

/* null counts as absent. Return: 0, -EINVAL, -ENOMEM. */
static int get_token(const json_t *document, const char *name, size_t max, char **target)
{
	const json_t *v = json_object_get(document, name);

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v) || !is_token(json_string_value(v), max))
		return -EINVAL;
	*target = strdup(json_string_value(v));
	explicit_bzero((char *)json_string_value(v), json_string_length(v));
	return *target ? 0 : -ENOMEM;
}

static int read_tokens(const json_t *document, struct oidc_tokens *tokens, char **reterr_text)
{
	int r = get_token(document, "id_token", MAX_BODY, &tokens->id);

	if (r == 0)
		r = get_token(document, "access_token", MAX_BODY, &tokens->access);
	if (r == 0)
		r = get_token(document, "refresh_token", OIDC_MAX_TOKEN, &tokens->refresh);
	if (r == -EINVAL)
		return fail(reterr_text, "a token in the provider's answer is none");
	if (r == 0 && !tokens->id && !tokens->access)
		return fail(reterr_text, "the provider's answer has no token in it");
	return r;
}

/* A proxy in between has other words, and no such object. */
static int read_refusal(unsigned status, const json_t *document, char **reterr_text)
{
	const char *word = json_string_value(json_object_get(document, "error"));
	_cleanup_free_ char *shown = word ? text_sanitize(word, MAX_WORD) : NULL;
	bool final = status >= 400 && status < 500 && word && strcmp(word, "invalid_grant") == 0;

	if (word && !shown)
		return -ENOMEM;
	*reterr_text = text_printf("the provider refused (%u%s%s)", status, shown ? ", " : "",
				   shown ? shown : "");
	if (!*reterr_text)
		return -ENOMEM;
	return final ? OIDC_INVALID_GRANT : -EINVAL;
}

int oidc_tokens_parse(unsigned status, const char *body, size_t len, struct oidc_tokens *ret,
		      char **reterr_text)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	struct oidc_tokens tokens = { 0 };
	json_t *document = NULL;
	int r;

	if (len > MAX_BODY)
		return fail(reterr_text, "the provider's answer is too long");
	r = json_parse(body, len, &rep, &document);
	if (r == -ENOMEM)
		return r;
	if (status != 200)
		r = read_refusal(status, document, reterr_text);
	else if (r < 0 || !json_is_object(document))
		r = fail(reterr_text, "the provider's answer is no JSON object");
	else
		r = read_tokens(document, &tokens, reterr_text);
	json_decref(document);
	if (r == 0)
		*ret = tokens;
	else
		oidc_tokens_done(&tokens);
	return r;
}
