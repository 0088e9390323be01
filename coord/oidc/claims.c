#include "coord/oidc/claims.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

#define USEC 1000000.0

static int fail(char **reterr_text, const char *why)
{
	*reterr_text = text_printf("%s", why);
	return *reterr_text ? -EINVAL : -ENOMEM;
}

/* ---- single claims ---- */

static bool names(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

/* Seconds since 1970, with a fraction if they like. Return: 0, -EINVAL. */
static int get_time(const json_t *claims, const char *name, uint64_t *ret)
{
	const json_t *v = json_object_get(claims, name);
	double seconds = json_is_number(v) ? json_number_value(v) : -1;

	if (!(seconds >= 0 && seconds < 253402300800.0)) /* year 10000 */
		return -EINVAL;
	*ret = (uint64_t)(seconds * USEC);
	return 0;
}

/* For people. Return: 0, also if there is none; -ENOMEM. */
static int get_text(const json_t *claims, const char *name, char **target)
{
	const char *text = json_string_value(json_object_get(claims, name));

	if (!text || !*text || *target)
		return 0;
	*target = text_sanitize(text, OIDC_MAX_TEXT);
	return *target ? 0 : -ENOMEM;
}

/*
 * People are known by it when they come for the first time: cut or cleaned, it would be another
 * one's. Return: 0, also if there is none that will do; -ENOMEM.
 */
static int get_email(const json_t *claims, char **target)
{
	const char *text = json_string_value(json_object_get(claims, "email"));

	if (!text || !*text || *target || strlen(text) > OIDC_MAX_TEXT || text_has_control(text))
		return 0;
	*target = strdup(text);
	return *target ? 0 : -ENOMEM;
}

/* Some providers write "true". */
static bool is_true(const json_t *v)
{
	const char *text = json_string_value(v);

	return json_is_true(v) || (text && strcmp(text, "true") == 0);
}

static const json_t *find_claim(const json_t *claims, const char *name)
{
	const json_t *found = json_object_get(claims, name);
	_cleanup_free_ char *first = NULL;
	const char *dot = strchr(name, '.');

	if (found || !dot)
		return found;
	first = strndup(name, (size_t)(dot - name));
	return first ? find_claim(json_object_get(claims, first), dot + 1) : NULL;
}

static int add_group(struct oidc_identity *identity, const json_t *v)
{
	const char *text = json_string_value(v);

	/* Cut or cleaned, it would be another group. */
	if (!text || !*text || strlen(text) > OIDC_MAX_TEXT || text_has_control(text))
		return 0;
	identity->groups[identity->n_groups] = strdup(text);
	if (!identity->groups[identity->n_groups])
		return -ENOMEM;
	identity->n_groups++;
	return 0;
}

/* An array, or one group as a string. Return: 0, -E2BIG, -ENOMEM. */
static int get_groups(const json_t *claims, const char *name, struct oidc_identity *identity)
{
	const json_t *v = name ? find_claim(claims, name) : NULL;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	int r = 0;

	if (!v || identity->has_groups)
		return 0;
	if (n > OIDC_MAX_GROUPS)
		return -E2BIG;
	identity->groups = calloc(n + 1, sizeof(*identity->groups));
	if (!identity->groups)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_group(identity, json_is_array(v) ? json_array_get(v, i) : v);
	identity->has_groups = true;
	return r;
}

/* What is for us of all that a person may have. Return: 0, -EINVAL (reported), -ENOMEM. */
static int get_person(const json_t *claims, const char *groups_claim,
		      struct oidc_identity *identity, char **reterr_text)
{
	const json_t *verified = json_object_get(claims, "email_verified");
	int r = get_email(claims, &identity->email);

	/* One belongs to the other: what is said here is about the address that stands here. */
	if (r == 0 && identity->email && verified && !identity->has_email_verified &&
	    names(json_object_get(claims, "email"), identity->email)) {
		identity->has_email_verified = true;
		identity->email_verified = is_true(verified);
	}
	if (r == 0)
		r = get_text(claims, "name", &identity->name);
	if (r == 0)
		r = get_groups(claims, groups_claim, identity);
	return r == -E2BIG ? fail(reterr_text, "the provider names more groups than can be taken; "
					       "let it name only those that matter here")
			   : r;
}

/* ---- the token ---- */

/* One audience as a string, or an array of them; with several, azp says whose it is. */
static const char *check_audience(const json_t *claims, const char *client_id)
{
	const json_t *aud = json_object_get(claims, "aud"), *azp = json_object_get(claims, "azp");
	bool found = names(aud, client_id);

	for (size_t i = 0; i < json_array_size(aud); i++)
		found |= names(json_array_get(aud, i), client_id);
	if (!found)
		return "the token is not for us (\"aud\")";
	if ((azp || json_array_size(aud) > 1) && !names(azp, client_id))
		return "the token is for somebody else as well (\"azp\")";
	return NULL;
}

static const char *check_times(const json_t *claims, const struct oidc_expected *expected,
			       uint64_t *ret_auth_time)
{
	uint64_t expires, issued, not_before;

	if (get_time(claims, "exp", &expires) < 0 || get_time(claims, "iat", &issued) < 0)
		return "the token does not say how long it is valid (\"exp\", \"iat\")";
	if (expires + OIDC_SKEW_USEC <= expected->now)
		return "the token has expired; is the clock right?";
	if (issued > expected->now + OIDC_SKEW_USEC)
		return "the token is from the future; is the clock right?";
	if (json_object_get(claims, "nbf") && (get_time(claims, "nbf", &not_before) < 0 ||
					       not_before > expected->now + OIDC_SKEW_USEC))
		return "the token is not valid yet (\"nbf\")";
	*ret_auth_time = 0;
	if (json_object_get(claims, "auth_time") &&
	    get_time(claims, "auth_time", ret_auth_time) < 0)
		return "the token has no sound \"auth_time\"";
	if (expected->signed_in_after == 0)
		return NULL;
	if (*ret_auth_time == 0)
		return "the provider does not say when the person signed in (\"auth_time\"), and a "
		       "check needs that";
	/* Whole seconds are what providers have; their clocks may be a little behind. */
	if (*ret_auth_time + OIDC_SKEW_USEC < expected->signed_in_after)
		return "the provider did not ask the person to sign in anew (\"auth_time\" is old)";
	return NULL;
}

static bool is_nonce(const json_t *v, const char *nonce)
{
	size_t len = strlen(nonce);

	return json_is_string(v) && json_string_length(v) == len &&
	       CRYPTO_memcmp(json_string_value(v), nonce, len) == 0;
}

static bool is_answer(const json_t *claims, const struct oidc_expected *expected)
{
	const json_t *nonce = json_object_get(claims, "nonce");

	return (expected->renews && !nonce) || is_nonce(nonce, expected->nonce);
}

static const char *check(const json_t *claims, const struct oidc_expected *expected,
			 uint64_t *ret_auth_time)
{
	const char *why;

	if (!names(json_object_get(claims, "iss"), expected->issuer))
		return "the token is another issuer's (\"iss\")";
	why = check_audience(claims, expected->client_id);
	if (why)
		return why;
	if (!is_answer(claims, expected))
		return "the token is not the answer to this request (\"nonce\")";
	if (expected->renews && !names(json_object_get(claims, "sub"), expected->renews))
		return "the token is about somebody else (\"sub\")";
	return check_times(claims, expected, ret_auth_time);
}

/* Exactly as it is: it is the person's name for ever. Return: 0, -EINVAL (reported), -ENOMEM. */
static int get_subject(const json_t *claims, char **ret_subject, char **reterr_text)
{
	const char *sub = json_string_value(json_object_get(claims, "sub"));

	if (!sub || !*sub || strlen(sub) > OIDC_MAX_SUBJECT || text_has_control(sub))
		return fail(reterr_text, "the provider does not say who it is (\"sub\")");
	*ret_subject = strdup(sub);
	return *ret_subject ? 0 : -ENOMEM;
}

/* Return: 0 and an object; -EINVAL (reported), -ENOMEM. */
static int parse(const char *json, size_t len, const char *what, json_t **ret_claims,
		 char **reterr_text)
{
	_cleanup_(json_report_done) struct json_report rep = { 0 };
	json_t *claims = NULL;
	int r = json_parse(json, len, &rep, &claims);

	if (r == 0 && !json_is_object(claims)) {
		json_decref(claims);
		r = json_fail(&rep, NULL, "expected an object");
	}
	if (r == -EINVAL) {
		*reterr_text = text_printf("%s: %s", what, rep.text);
		return *reterr_text ? -EINVAL : -ENOMEM;
	}
	if (r == 0)
		*ret_claims = claims;
	return r;
}

int oidc_claims_check(const char *json, size_t len, const struct oidc_expected *expected,
		      struct oidc_identity *ret, char **reterr_text)
{
	struct oidc_identity identity = { 0 };
	json_t *claims = NULL;
	const char *why;
	int r = parse(json, len, "the token", &claims, reterr_text);

	if (r < 0)
		return r;
	why = check(claims, expected, &identity.auth_time);
	r = why ? fail(reterr_text, why) : get_subject(claims, &identity.subject, reterr_text);
	if (r == 0)
		r = get_person(claims, expected->groups_claim, &identity, reterr_text);
	json_decref(claims);
	if (r < 0)
		oidc_identity_done(&identity);
	else
		*ret = identity;
	return r;
}

/* ---- userinfo ---- */

static int copy(const struct oidc_identity *from, struct oidc_identity *to)
{
	*to = (struct oidc_identity){ .email_verified = from->email_verified,
				      .has_email_verified = from->has_email_verified,
				      .has_groups = from->has_groups,
				      .auth_time = from->auth_time };
	if (!(to->subject = strdup(from->subject)) ||
	    (from->email && !(to->email = strdup(from->email))) ||
	    (from->name && !(to->name = strdup(from->name))))
		return -ENOMEM;
	if (from->has_groups && !(to->groups = calloc(from->n_groups + 1, sizeof(*to->groups))))
		return -ENOMEM;
	for (; to->n_groups < from->n_groups; to->n_groups++)
		if (!(to->groups[to->n_groups] = strdup(from->groups[to->n_groups])))
			return -ENOMEM;
	return 0;
}

int oidc_userinfo_add(const char *json, size_t len, const char *groups_claim,
		      struct oidc_identity *identity, char **reterr_text)
{
	struct oidc_identity fuller = { 0 };
	json_t *claims = NULL;
	int r = parse(json, len, "the provider's answer about the person", &claims, reterr_text);

	if (r < 0)
		return r;
	if (!names(json_object_get(claims, "sub"), identity->subject))
		r = fail(reterr_text, "the provider's answer is about somebody else (\"sub\")");
	if (r == 0)
		r = copy(identity, &fuller);
	if (r == 0)
		r = get_person(claims, groups_claim, &fuller, reterr_text);
	json_decref(claims);
	if (r < 0) {
		oidc_identity_done(&fuller);
		return r;
	}
	oidc_identity_done(identity);
	*identity = fuller;
	return 0;
}

void oidc_identity_done(struct oidc_identity *identity)
{
	free(identity->subject);
	free(identity->email);
	free(identity->name);
	for (size_t i = 0; i < identity->n_groups; i++)
		free(identity->groups[i]);
	free(identity->groups);
	*identity = (struct oidc_identity){ 0 };
}
