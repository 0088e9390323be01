#include "tests/unit/registry-fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/text_stream.h"
#include "coord/store/sqlite.h"

const struct registry_actor fix_root = { .who = "root", .from = "unix", .scopes = SCOPE_ALL };

uint64_t fix_max_events;
const struct registry_mapping *fix_mappings;
size_t fix_n_mappings;

static uint64_t now;

void fix_set_time(uint64_t time)
{
	now = time;
}

uint64_t fix_time(void)
{
	return now;
}

static void on_ready(int status, const char *text, void *userdata)
{
	struct fix *fix = userdata;

	assert_int_equal(fix->ready_status, 1);
	fix->ready_status = status;
	snprintf(fix->ready_text, sizeof(fix->ready_text), "%s", text ? text : "");
}

static void on_problem(const char *text, void *userdata)
{
	struct fix *fix = userdata;

	fix->n_problems++;
	snprintf(fix->problem, sizeof(fix->problem), "%s", text);
}

static const char *const kinds[] = {
	[REGISTRY_RESET] = "reset",	[REGISTRY_MESH] = "mesh",
	[REGISTRY_NODE] = "node",	[REGISTRY_USER] = "user",
	[REGISTRY_AUTHKEY] = "authkey", [REGISTRY_APIKEY] = "apikey",
	[REGISTRY_PENDING] = "pending", [REGISTRY_RENEWAL] = "renewal",
	[REGISTRY_POLICY] = "policy",	[REGISTRY_CHECK] = "check",
	[REGISTRY_EVENT] = "event",
};

static void on_changes(uint64_t revision, const struct registry_change *changes, size_t n,
		       void *userdata)
{
	struct fix *fix = userdata;

	assert_int_equal(revision, registry_revision(fix->registry));
	for (size_t i = 0; i < n; i++) {
		const struct registry_change *change = &changes[i];
		size_t len = strlen(fix->seen);
		const char *sign = change->kind != REGISTRY_NODE ? ""
				   : !change->old_node		 ? "+"
				   : !change->new_node		 ? "-"
								 : "=";

		if (change->kind == REGISTRY_NODE && change->new_node)
			assert_ptr_equal(change->new_node,
					 registry_node(fix->registry, change->id));
		snprintf(fix->seen + len, sizeof(fix->seen) - len, "%s%s ", kinds[change->kind],
			 sign);
	}
}

struct fix *fix_new(struct store *store)
{
	const struct registry_config config = {
		.coordinator_key = "pgc:coordinator",
		.max_events = fix_max_events,
		.mappings = fix_mappings,
		.n_mappings = fix_n_mappings,
	};
	struct fix *fix = calloc(1, sizeof(*fix));

	assert_non_null(fix);
	fix->store = store;
	fix->ready_status = 1;
	assert_int_equal(sd_event_new(&fix->event), 0);
	assert_int_equal(registry_new(store, fix->event, fix_time, &config, on_ready, on_problem,
				      fix, &fix->registry),
			 0);
	assert_int_equal(registry_subscribe(fix->registry, on_changes, fix, &fix->subscription), 0);
	return fix;
}

void fix_free(struct fix *fix, bool store)
{
	fix->subscription = registry_subscription_free(fix->subscription);
	registry_free(fix->registry);
	sd_event_unref(fix->event);
	if (store)
		store_free(fix->store);
	free(fix);
}

/*
 * The clock stands still: what is due a microsecond from now stays so, and the registry looks again
 * and again. Whoever is slow enough would never see the loop idle.
 */
#define MAX_TURNS 5000u

void fix_run(struct fix *fix)
{
	int r = 1;

	for (unsigned i = 0; i < MAX_TURNS && r > 0; i++)
		r = sd_event_run(fix->event, 0);
	assert_true(r >= 0);
}

void fix_pass(struct fix *fix, uint64_t usec)
{
	now += usec;
	for (unsigned i = 0; i < 50; i++) {
		registry_tick(fix->registry);
		fix_run(fix);
	}
}

void fix_done(const struct registry_result *result, void *userdata)
{
	struct fix_result *out = userdata;

	out->n_answers++;
	out->code = result->code;
	out->revision = result->revision;
	snprintf(out->text, sizeof(out->text), "%s", result->text ? result->text : "");
	snprintf(out->node, sizeof(out->node), "%s", result->node ? result->node->head.id : "");
	snprintf(out->code_text, sizeof(out->code_text), "%s",
		 result->pending ? result->pending->head.id : "");
	snprintf(out->secret, sizeof(out->secret), "%s", result->secret ? result->secret : "");
	snprintf(out->id, sizeof(out->id), "%s",
		 result->user	   ? result->user->head.id
		 : result->authkey ? result->authkey->head.id
		 : result->apikey  ? result->apikey->head.id
				   : "");
	out->n_problems = result->problems ? result->problems->n_errors : 0;
}

void fix_expect(struct fix *fix, enum registry_code code, const char *text)
{
	const struct fix_result *result = &fix->result;

	if (result->n_answers != 1)
		fail_msg("answered %u times", result->n_answers);
	if (result->code != code)
		fail_msg("%s (%s), not %s", registry_code_to_string(result->code), result->text,
			 registry_code_to_string(code));
	if (!text)
		assert_string_equal(result->text, "");
	else if (!strstr(result->text, text))
		fail_msg("\"%s\" does not say \"%s\"", result->text, text);
}

int fix_setup(void **state)
{
	static const struct registry_user_patch nothing;
	_cleanup_free_ char *error = NULL;
	struct store *store;
	struct fix *fix;

	now = FIX_START;
	assert_int_equal(store_sqlite_open(NULL, STORE_CREATE, &error, &store), 0);
	fix = fix_new(store);
	fix_run(fix);
	assert_int_equal(fix->ready_status, 0);
	FIX_OK(fix, registry_init_mesh(fix->registry, &fix_root, "mesh.example", FIX_DONE(fix)));
	FIX_OK(fix, registry_add_user(fix->registry, &fix_root, "alice@example.com", &nothing,
				      FIX_DONE(fix)));
	FIX_OK(fix, registry_add_user(fix->registry, &fix_root, "bob@example.com", &nothing,
				      FIX_DONE(fix)));
	fix->seen[0] = '\0';
	*state = fix;
	return 0;
}

int fix_teardown(void **state)
{
	struct fix *fix = *state;

	if (fix->n_problems > 0)
		print_message("problem: %s\n", fix->problem);
	fix_free(fix, true);
	return 0;
}

/* Keys of small order are none: begin with a byte that is not 0 or 1. */
struct ed25519_public fix_machine_key(unsigned number)
{
	uint8_t bytes[ED25519_PUBLIC_LEN] = { 0x42, 0x17, (uint8_t)number, (uint8_t)(number >> 8) };
	struct ed25519_public key;

	assert_int_equal(ed25519_public_from_bytes(bytes, &key), 0);
	return key;
}

struct wg_key fix_node_key(unsigned number)
{
	return (struct wg_key){ .bytes = { 0x77, (uint8_t)number, (uint8_t)(number >> 8) } };
}

void fix_enrol(struct fix *fix, const struct fix_machine *machine)
{
	char hostname[32];
	char *tags[] = { (char *)machine->tag };
	struct registry_enrolment enrolment = {
		.machine = fix_machine_key(machine->number),
		.key = fix_node_key(machine->key ? machine->key : machine->number),
		.facts.hostname = machine->hostname ? (char *)machine->hostname : hostname,
		.facts.listen_port = 51820,
		.auth_key = machine->auth_key,
	};
	const struct registry_actor actor = { .who = "machine", .from = machine->from };

	snprintf(hostname, sizeof(hostname), "host-%u", machine->number);
	if (machine->tag)
		enrolment.tags = (struct text_list){ .items = tags, .n = 1 };
	if (machine->from)
		assert_int_equal(ip_addr_parse(machine->from, &enrolment.from), 0);
	registry_enrol(fix->registry, &actor, &enrolment, FIX_DONE(fix));
}

const char *fix_authkey(struct fix *fix, const char *user, const char *tag, bool reusable,
			bool ephemeral)
{
	static char text[4][256];
	static unsigned n;
	char *tags[] = { (char *)tag };
	struct registry_authkey_request request = {
		.user = user,
		.reusable = reusable,
		.ephemeral = ephemeral,
	};

	if (tag)
		request.tags = (struct text_list){ .items = tags, .n = 1 };
	FIX_OK(fix, registry_create_authkey(fix->registry, &fix_root, &request, FIX_DONE(fix)));
	n = (n + 1) % 4;
	return strcpy(text[n], fix->result.secret);
}

const char *fix_node(struct fix *fix, unsigned number)
{
	static char ids[8][16];
	static unsigned n;
	const char *key = fix_authkey(fix, "alice@example.com", NULL, false, false);

	FIX_OK(fix, fix_enrol(fix, &(struct fix_machine){ .number = number, .auth_key = key }));
	n = (n + 1) % 8;
	return strcpy(ids[n], fix->result.node);
}

void fix_set_policy(struct fix *fix, const char *text)
{
	const struct registry_policy_request request = { .text = text, .len = strlen(text) };

	FIX_OK(fix, registry_set_policy(fix->registry, &fix_root, &request, FIX_DONE(fix)));
}

/* ---- the store ---- */

static void print_page(const struct store_answer *page, void *userdata)
{
	FILE *f = userdata;

	assert_int_equal(page->status, 0);
	assert_false(page->more);
	for (size_t i = 0; i < page->n_entries; i++)
		fprintf(f, "%s %llu %.*s\n", page->entries[i].key,
			(unsigned long long)page->entries[i].revision, (int)page->entries[i].len,
			(const char *)page->entries[i].value);
}

char *fix_dump(struct store *store)
{
	struct text_stream out;

	assert_int_equal(text_stream_open(&out), 0);
	assert_int_equal(store_list(store, "", NULL, 1000, print_page, out.file), 0);
	return text_stream_close(&out);
}

static void on_put(const struct store_answer *answer, void *userdata)
{
	assert_int_equal(answer->status, 0);
	*(bool *)userdata = true;
}

void fix_put(struct store *store, const char *key, const char *value)
{
	const struct store_op op = { key, value, value ? strlen(value) : 0 };
	bool done = false;

	assert_int_equal(store_txn(store, NULL, 0, &op, 1, on_put, &done), 0);
	assert_true(done);
}

static void keep_last(const struct registry_result *result, void *userdata)
{
	const struct event_record *event = NULL;

	assert_int_equal(result->code, REGISTRY_OK);
	for (size_t i = 0; i < result->n_events; i++)
		if (!event || result->events[i].head.revision > event->head.revision)
			event = &result->events[i];
	assert_non_null(event);
	snprintf(userdata, 512, "%s %s %s %s: %s", event->actor, event->action,
		 event->object ? event->object : "-", event->result,
		 event->details ? event->details : "-");
}

const char *fix_last_event(struct fix *fix)
{
	static char text[512];

	text[0] = '\0';
	registry_events(fix->registry, NULL, 1000, keep_last, text);
	fix_run(fix);
	return text;
}
