/* The mesh, and events. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coord/registry/field.h"

/* ---- mesh ---- */

#define AT(member) offsetof(struct mesh_record, member)
static const struct field mesh_fields[] = {
	{ "domain", &field_domain, AT(domain), JSON_REQUIRED },
	{ "ula", &field_ula, AT(ula), JSON_REQUIRED },
	{ "created", &field_moment, AT(created), JSON_REQUIRED },
};
#undef AT

static int check_mesh(const void *record, struct json_report *rep)
{
	const struct mesh_record *mesh = record;

	return strcmp(mesh->head.id, "mesh") == 0 ? 0
						  : json_fail(rep, NULL, "is not \"meta/mesh\"");
}

static void mesh_done(void *record)
{
	struct mesh_record *mesh = record;

	free(mesh->head.id);
	free(mesh->domain);
	*mesh = (struct mesh_record){ 0 };
}

const struct record_kind mesh_record_kind = {
	.prefix = "meta/",
	.fields = mesh_fields,
	.n_fields = ARRAY_SIZE(mesh_fields),
	.size = sizeof(struct mesh_record),
	.check = check_mesh,
	.done = mesh_done,
};

DEFINE_RECORD(mesh_record);

/* ---- events ---- */

#define AT(member) offsetof(struct event_record, member)
static const struct field event_fields[] = {
	{ "time", &field_moment, AT(time), JSON_REQUIRED },
	{ "actor", &field_text, AT(actor), JSON_REQUIRED },
	{ "from", &field_text, AT(from), 0 },
	{ "action", &field_text, AT(action), JSON_REQUIRED },
	{ "object", &field_text, AT(object), 0 },
	{ "result", &field_text, AT(result), JSON_REQUIRED },
	{ "details", &field_long_text, AT(details), 0 },
};
#undef AT

bool event_is_by_machine(const char *id)
{
	return strnlen(id, EVENT_TIME_LEN + 1) > EVENT_TIME_LEN && id[EVENT_TIME_LEN] == '.';
}

/* Their order is that of their keys, and so that of time. */
static int check_event(const void *record, struct json_report *rep)
{
	const struct event_record *event = record;
	char time[24];

	snprintf(time, sizeof(time), "%016" PRIu64 "%c", event->time,
		 event_is_by_machine(event->head.id) ? '.' : '-');
	if (strncmp(event->head.id, time, strlen(time)) != 0 || strlen(event->head.id) != 23)
		return json_fail(rep, NULL, "time: is not that of the entry");
	return 0;
}

static void event_done(void *record)
{
	struct event_record *event = record;

	free(event->head.id);
	free(event->actor);
	free(event->from);
	free(event->action);
	free(event->object);
	free(event->result);
	free(event->details);
	*event = (struct event_record){ 0 };
}

const struct record_kind event_record_kind = {
	.prefix = "events/",
	.fields = event_fields,
	.n_fields = ARRAY_SIZE(event_fields),
	.size = sizeof(struct event_record),
	.check = check_event,
	.done = event_done,
};

DEFINE_RECORD(event_record);
