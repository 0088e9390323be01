/* Versions of the policy, and which one is in force. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/registry/field.h"
#include "coord/registry/policy_key.h"

static int write_policy_text(const void *field, json_t **ret_value)
{
	*ret_value = json_string(*(char *const *)field);
	return *ret_value ? 0 : -ENOMEM;
}

static int read_policy_text(const json_t *v, const struct json_at *at, void *target,
			    struct json_report *rep)
{
	int r = json_read_string(v, at, target, rep);

	if (r == 0 && strlen(*(char **)target) > RECORD_MAX_POLICY)
		return json_fail(rep, at, "is longer than %u KiB", RECORD_MAX_POLICY >> 10);
	return r;
}

static const struct field_type field_policy_text = { read_policy_text, write_policy_text };

char *policy_key(uint64_t version, char *buf)
{
	snprintf(buf, POLICY_KEY_SIZE, "policy/%010" PRIu64, version);
	return buf;
}

/* The hash is what an ETag and people compare: it has to be that of the text. */
static int check_hash(const char *text, size_t len, const uint8_t *hash, struct json_report *rep)
{
	uint8_t real[SHA256_LEN];

	if (sha256(text, len, real) < 0)
		return -ENOMEM;
	if (memcmp(real, hash, sizeof(real)) != 0)
		return json_fail(rep, NULL, "hash: is not that of the text");
	return 0;
}

#define AT(member) offsetof(struct policy_record, member)
static const struct field policy_fields[] = {
	{ "version", &field_count, AT(version), JSON_REQUIRED },
	{ "text", &field_policy_text, AT(text), JSON_REQUIRED },
	{ "hash", &field_hash, AT(hash), JSON_REQUIRED },
	{ "author", &field_text, AT(author), JSON_REQUIRED },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "comment", &field_text, AT(comment), 0 },
};
#undef AT

static int check_policy(const void *record, struct json_report *rep)
{
	const struct policy_record *policy = record;
	char key[POLICY_KEY_SIZE];

	if (policy->version == 0 || policy->version > POLICY_LAST_VERSION ||
	    strcmp(policy_key(policy->version, key) + strlen("policy/"), policy->head.id) != 0)
		return json_fail(rep, NULL, "version: is not that of the entry");
	return check_hash(policy->text, strlen(policy->text), policy->hash, rep);
}

static void policy_done(void *record)
{
	struct policy_record *policy = record;

	free(policy->head.id);
	free(policy->text);
	free(policy->author);
	free(policy->comment);
	*policy = (struct policy_record){ 0 };
}

const struct record_kind policy_record_kind = {
	.prefix = "policy/",
	.fields = policy_fields,
	.n_fields = ARRAY_SIZE(policy_fields),
	.size = sizeof(struct policy_record),
	.check = check_policy,
	.done = policy_done,
};

DEFINE_RECORD(policy_record);

#define AT(member) offsetof(struct policy_current, member)
static const struct field current_fields[] = {
	{ "version", &field_count, AT(version), JSON_REQUIRED },
	{ "text", &field_policy_text, AT(text), JSON_REQUIRED },
	{ "hash", &field_hash, AT(hash), JSON_REQUIRED },
	{ "confirm_by", &field_time, AT(confirm_by), 0 },
	{ "previous", &field_count, AT(previous), 0 },
	{ "author", &field_text, AT(author), JSON_REQUIRED },
	{ "since", &field_moment, AT(since), JSON_REQUIRED },
};
#undef AT

static int check_current(const void *record, struct json_report *rep)
{
	const struct policy_current *current = record;

	if (strcmp(current->head.id, "current") != 0)
		return json_fail(rep, NULL, "is not \"policy/current\"");
	if (current->version == 0 || current->version > POLICY_LAST_VERSION ||
	    current->previous > POLICY_LAST_VERSION)
		return json_fail(rep, NULL, "version: is none");
	return check_hash(current->text, strlen(current->text), current->hash, rep);
}

static void current_done(void *record)
{
	struct policy_current *current = record;

	free(current->head.id);
	free(current->text);
	free(current->author);
	*current = (struct policy_current){ 0 };
}

const struct record_kind policy_current_kind = {
	.prefix = "policy/",
	.fields = current_fields,
	.n_fields = ARRAY_SIZE(current_fields),
	.size = sizeof(struct policy_current),
	.check = check_current,
	.done = current_done,
};

DEFINE_RECORD(policy_current);
