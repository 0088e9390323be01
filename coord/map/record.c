#include "coord/map/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "coord/policy/grow.h"
#include "coord/policy/text.h"

#define MAX_TAILS 128u /* kinds of viewers: the flags, at the same site or not */

/* ---- what all viewers are told ---- */

static void write_strings(const struct text_list *list, struct policy_text *out)
{
	policy_text_puts(out, "[");
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			policy_text_puts(out, ",");
		policy_text_string(out, list->items[i]);
	}
	policy_text_puts(out, "]");
}

static void write_time(uint64_t usec, struct policy_text *out)
{
	char buf[32];

	if (usec == RECORD_NEVER)
		policy_text_puts(out, "null");
	else
		policy_text_printf(out, "\"%s\"", format_rfc3339(usec, buf, sizeof(buf)));
}

static void write_common(const struct node_record *node, const struct ip_addr addresses[2],
			 struct policy_text *out)
{
	char v4[IP_ADDR_STRLEN], v6[IP_ADDR_STRLEN], key[WG_KEY_B64LEN];

	policy_text_puts(out, "\"id\":");
	policy_text_string(out, node->head.id);
	policy_text_puts(out, ",\"name\":");
	policy_text_string(out, node->name);
	policy_text_printf(out, ",\"addresses\":[\"%s\",\"%s\"],\"user\":",
			   ip_addr_to_string(&addresses[0], v4),
			   ip_addr_to_string(&addresses[1], v6));
	if (node->user)
		policy_text_string(out, node->user);
	else
		policy_text_puts(out, "null");
	policy_text_puts(out, ",\"tags\":");
	write_strings(&node->tags, out);
	policy_text_puts(out, ",\"routes\":[],\"key_expiry\":");
	write_time(node->key_expiry, out);
	policy_text_printf(out, ",\"node_key\":\"%s\"", wg_key_to_string(&node->key, key));
}

static void write_peer_members(const struct node_record *node, struct policy_text *out)
{
	policy_text_puts(out, ",\"ssh_host_keys\":");
	write_strings(&node->facts.ssh_host_keys, out);
}

int record_make(const struct node_record *node, const struct ip_addr addresses[2],
		const struct ip_prefix *mesh, size_t n_mesh, struct record *ret_record)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	struct record record = { .revision = node->head.revision,
				 .key_expiry = node->key_expiry,
				 .ended = node->expired_by != NULL,
				 .ssh = node->facts.ssh };

	write_common(node, addresses, &text);
	record.common_len = (uint32_t)text.len;
	write_peer_members(node, &text);
	record.len = (uint32_t)text.len;
	if (text.failed)
		return -ENOMEM;
	record.text = strdup(text.data);
	if (!record.text)
		return -ENOMEM;
	if (reach_node_make(&node->facts, mesh, n_mesh, &record.reach) < 0) {
		free(record.text);
		return -ENOMEM;
	}
	*ret_record = record;
	return 0;
}

void record_done(struct record *record)
{
	for (size_t i = 0; i < record->n_tails; i++)
		free(record->tails[i].text);
	free(record->tails);
	free(record->text);
	reach_node_done(&record->reach);
	*record = (struct record){ 0 };
}

bool record_same_text(const struct record *a, const struct record *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

bool record_same_self(const struct record *a, const struct record *b)
{
	return a->ssh == b->ssh && a->common_len == b->common_len &&
	       memcmp(a->text, b->text, a->common_len) == 0;
}

bool record_is_expired(const struct record *record, uint64_t wall)
{
	return record->ended || record->key_expiry <= wall;
}

/* ---- tails ---- */

/* All that reach_outcome() makes a difference by. */
static uint8_t kind_of(const struct record *record, const struct reach_view *viewer)
{
	bool same_site = viewer->site != 0 && viewer->site == record->reach.view.site;

	return (uint8_t)(viewer->flags | (same_site ? REACH_FLAGS + 1 : 0));
}

static void write_tail(const struct record *record, const struct reach_view *viewer,
		       struct policy_text *out)
{
	struct reach_outcome outcome;
	char buf[IP_ENDPOINT_STRLEN];

	reach_outcome(viewer, &record->reach, &outcome);
	policy_text_puts(out, "\"endpoints\":[");
	for (size_t i = 0; i < outcome.n_endpoints; i++)
		policy_text_printf(out, "%s\"%s\"", i > 0 ? "," : "",
				   ip_endpoint_to_string(&outcome.endpoints[i]->endpoint, buf));
	policy_text_printf(out, "],\"keepalive\":%u", outcome.keepalive);
	if (outcome.path != REACH_PATH)
		policy_text_printf(out, ",\"path\":\"none\",\"path_reason\":\"%s\"",
				   reach_path_reason(outcome.path));
}

static uint8_t find_same(const struct record *record, const char *text)
{
	uint8_t i = 0;

	while (i < record->n_tails &&
	       (!record->tails[i].text || strcmp(record->tails[i].text, text) != 0))
		i++;
	return i;
}

static int make_tail(struct record *record, uint8_t kind, const struct reach_view *viewer)
{
	_cleanup_(policy_text_done) struct policy_text text = { 0 };
	struct record_tail tail = { .viewers = kind };

	write_tail(record, viewer, &text);
	if (text.failed || grow(&record->tails, record->n_tails + 1, &record->size_tails) < 0)
		return -ENOMEM;
	tail.same_as = find_same(record, text.data);
	if (tail.same_as == record->n_tails) {
		tail.len = text.len;
		tail.text = strdup(text.data);
		if (!tail.text)
			return -ENOMEM;
	}
	record->tails[record->n_tails++] = tail;
	return 0;
}

int record_tail(struct record *record, const struct reach_view *viewer, uint8_t *ret_tail)
{
	uint8_t kind = kind_of(record, viewer);
	size_t i = 0;
	int r;

	_Static_assert(2 * (REACH_FLAGS + 1) <= MAX_TAILS, "fits a byte");
	while (i < record->n_tails && record->tails[i].viewers != kind)
		i++;
	if (i == record->n_tails) {
		r = make_tail(record, kind, viewer);
		if (r < 0)
			return r;
	}
	*ret_tail = record->tails[i].same_as;
	return 0;
}

/* ---- writing ---- */

void record_write_peer(const struct record *record, uint8_t tail, struct policy_text *out)
{
	policy_text_append(out, "{", 1);
	policy_text_append(out, record->text, record->len);
	policy_text_append(out, ",", 1);
	policy_text_append(out, record->tails[tail].text, record->tails[tail].len);
	policy_text_append(out, "}", 1);
}

void record_write_patch(const struct record *record, const char *id, uint8_t tail,
			struct policy_text *out)
{
	const char *text = record->tails[tail].text;

	policy_text_puts(out, "{\"id\":");
	policy_text_string(out, id);
	policy_text_append(out, ",", 1);
	policy_text_puts(out, text);
	/* What a map leaves out a patch has to take back. */
	if (!strstr(text, ",\"path\":"))
		policy_text_puts(out, ",\"path\":null,\"path_reason\":null");
	policy_text_append(out, "}", 1);
}

void record_write_self(const struct record *record, bool expired, struct policy_text *out)
{
	policy_text_append(out, "{", 1);
	policy_text_append(out, record->text, record->common_len);
	policy_text_printf(out, ",\"ssh\":%s", record->ssh ? "true" : "false");
	if (expired)
		policy_text_puts(out, ",\"key_expired\":true");
	policy_text_append(out, "}", 1);
}
