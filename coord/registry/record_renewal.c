/* Tokens of providers, sealed. */
#include <stdlib.h>
#include <string.h>

#include "coord/registry/field.h"

/* base64url; nothing of it is repeated in what is reported. */
static int read_sealed(const json_t *v, const struct json_at *at, void *target,
		       struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);
	const char *text;
	size_t n;

	if (r < 0)
		return r;
	text = *(char **)target;
	n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
	if (n == 0 || n > RECORD_MAX_SEALED || text[n])
		return json_fail(rep, at, "expected base64url of a sealed token");
	return 0;
}

static int write_sealed(const void *field, json_t **ret_value)
{
	return field_text.write(field, ret_value);
}

static const struct field_type field_sealed = { read_sealed, write_sealed };

#define AT(member) offsetof(struct renewal_record, member)
static const struct field renewal_fields[] = {
	{ "user", &field_login, AT(user), JSON_REQUIRED },
	{ "provider", &field_label, AT(provider), JSON_REQUIRED },
	{ "issuer", &field_text, AT(issuer), JSON_REQUIRED },
	{ "subject", &field_text, AT(subject), JSON_REQUIRED },
	{ "sealed", &field_sealed, AT(sealed), JSON_REQUIRED },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "confirmed", &field_moment, AT(confirmed), JSON_REQUIRED },
	{ "changes", &field_bool, AT(changes), 0 },
	{ "asked", &field_bool, AT(asked), 0 },
};
#undef AT

static int check_renewal(const void *record, struct json_report *rep)
{
	const struct renewal_record *renewal = record;

	return record_is_hash(renewal->head.id) ? 0
						: json_fail(rep, NULL, "is no hash of an identity");
}

static void renewal_done(void *record)
{
	struct renewal_record *renewal = record;

	free(renewal->head.id);
	free(renewal->user);
	free(renewal->provider);
	free(renewal->issuer);
	free(renewal->subject);
	free(renewal->sealed);
	*renewal = (struct renewal_record){ 0 };
}

const struct record_kind renewal_record_kind = {
	.prefix = "renewals/",
	.fields = renewal_fields,
	.n_fields = ARRAY_SIZE(renewal_fields),
	.size = sizeof(struct renewal_record),
	.check = check_renewal,
	.done = renewal_done,
};

DEFINE_RECORD(renewal_record);
