/*
 * A registry on a store in memory, with a clock of its own. Operations are waited for; what they
 * answered is in fix->result, whose texts stay until the next one.
 */
#pragma once

#include "coord/registry/registry.h"

#define FIX_START UINT64_C(1800000000000000) /* 2027-01-15 08:00:00 */
#define FIX_SEC	  UINT64_C(1000000)
#define FIX_HOUR  (3600 * FIX_SEC)
#define FIX_DAY	  (24 * FIX_HOUR)

struct fix_result {
	unsigned n_answers;
	enum registry_code code;
	char text[512];
	uint64_t revision;
	char node[16], code_text[16], secret[256];
	char id[64]; /* of the user, auth key or API key */
	size_t n_problems;
};

struct fix {
	struct store *store;
	sd_event *event;
	struct registry *registry;
	struct fix_result result;
	int ready_status; /* 1: not told yet */
	char ready_text[512], problem[512];
	unsigned n_problems; /* told by the registry */
	char seen[4096];     /* changes: "node+web user event ..." */
	struct registry_subscription *subscription;
};

extern const struct registry_actor fix_root;
/* Of the registries that are made; 0: the default. */
extern uint64_t fix_max_events;
/* As well; none unless a test says so. */
extern const struct registry_mapping *fix_mappings;
extern size_t fix_n_mappings;

/* The time, for all of them. */
void fix_set_time(uint64_t now);
uint64_t fix_time(void);

/* cmocka: *state is the fix, with a mesh "mesh.example" and users alice@example.com,
 * bob@example.com. */
int fix_setup(void **state);
int fix_teardown(void **state);

/* Another registry on a store (another replica, or after a restart). */
struct fix *fix_new(struct store *store);
/* store: whether to free that as well. */
void fix_free(struct fix *fix, bool store);
/* Let the event loop run until nothing is to be done at this time. */
void fix_run(struct fix *fix);
/* Go on in time, and let the reaper work. */
void fix_pass(struct fix *fix, uint64_t usec);

void fix_done(const struct registry_result *result, void *userdata /* struct fix_result * */);

/* The operation has been answered once; with this code, and with this part of the text (NULL:
 * none). */
void fix_expect(struct fix *fix, enum registry_code code, const char *text);
#define FIX_OK(fix, call)                                 \
	do {                                              \
		(fix)->result = (struct fix_result){ 0 }; \
		call;                                     \
		fix_run(fix);                             \
		fix_expect((fix), REGISTRY_OK, NULL);     \
	} while (0)
#define FIX_REFUSED(fix, code, text, call)                \
	do {                                              \
		(fix)->result = (struct fix_result){ 0 }; \
		call;                                     \
		fix_run(fix);                             \
		fix_expect((fix), (code), (text));        \
	} while (0)
#define FIX_DONE(fix) fix_done, &(fix)->result

/* A machine of this number asks; hostname "host-N" unless said otherwise. */
struct fix_machine {
	unsigned number, key;
	const char *hostname, *auth_key, *tag;
	const char *from;
};
void fix_enrol(struct fix *fix, const struct fix_machine *machine);
/* The keys of it. */
struct ed25519_public fix_machine_key(unsigned number);
struct wg_key fix_node_key(unsigned number);

/* Make one, and keep its text in the static buffer that is returned. */
const char *fix_authkey(struct fix *fix, const char *user, const char *tag, bool reusable,
			bool ephemeral);
/* Enrol with an auth key of alice's; the id of the node, in a static buffer. */
const char *fix_node(struct fix *fix, unsigned number);
void fix_set_policy(struct fix *fix, const char *text);

/* All entries of the store as "KEY REVISION VALUE" lines; the caller frees. */
char *fix_dump(struct store *store);
/* Put one entry directly; NULL: delete. */
void fix_put(struct store *store, const char *key, const char *value);
/* The last event's "actor action object result" and details. */
const char *fix_last_event(struct fix *fix);
