/* Machines that wait for somebody to say yes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/registry/code.h"
#include "coord/registry/field.h"

static const char *const states[] = {
	[PENDING_WAITING] = "waiting",
	[PENDING_APPROVED] = "approved",
	[PENDING_REJECTED] = "rejected",
};

DEFINE_WORD_FIELD(field_state, states, enum pending_state);

#define AT(member) offsetof(struct pending_record, member)
static const struct field pending_fields[] = {
	{ "hash", &field_hash, AT(hash), JSON_REQUIRED },
	{ "page", &field_name, AT(page), 0 },
	{ "machine", &field_machine, AT(machine), JSON_REQUIRED },
	{ "node_key", &field_wg_key, AT(key), JSON_REQUIRED },
	{ "tags", &field_tags, AT(tags), 0 },
	{ "facts", &field_facts, AT(facts), JSON_REQUIRED },
	{ "from", &field_address, AT(from), 0 },
	{ "state", &field_state, AT(state), JSON_REQUIRED },
	{ "node", &field_name, AT(node), 0 },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
	{ "expires", &field_moment, AT(expires), JSON_REQUIRED },
};
#undef AT

static int check_pending(const void *record, struct json_report *rep)
{
	const struct pending_record *pending = record;

	if (!code_is_valid(pending->head.id))
		return json_fail(rep, NULL, "is no code of an enrolment");
	if (pending->page && !check_id_is_valid(pending->page))
		return json_fail(rep, NULL, "page: is no id of a page");
	if (!pending->node != (pending->state != PENDING_APPROVED))
		return json_fail(rep, NULL,
				 "node: belongs to an approved enrolment, and only there");
	return 0;
}

static void pending_done(void *record)
{
	struct pending_record *pending = record;

	free(pending->head.id);
	free(pending->page);
	text_list_done(&pending->tags);
	node_facts_done(&pending->facts);
	free(pending->node);
	*pending = (struct pending_record){ 0 };
}

const struct record_kind pending_record_kind = {
	.prefix = "pending/",
	.fields = pending_fields,
	.n_fields = ARRAY_SIZE(pending_fields),
	.size = sizeof(struct pending_record),
	.check = check_pending,
	.done = pending_done,
};

DEFINE_RECORD(pending_record);
DEFINE_RECORD_COPY(pending_record);
