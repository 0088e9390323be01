/*
 * The agent's link without memory: what comes is taken whole or not at all, and nothing is left out
 * of what is said.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "agent/link/answers.h"
#include "agent/link/facts.h"
#include "agent/link/signer.h"
#include "agent/link/store.h"
#include "agent/link/url.h"
#include "agent/link/wish.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "tests/unit/known-keys.h"
#include "tests/unit/link-sender.h"
#include "tests/unit/nomem.h"

#define NONCE UINT64_C(1800000000123)
#define NOW   (UINT64_C(1800000000) * USEC_PER_SEC)
#define HOST_KEY_1 \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5b5RAKKP04jBGXCssELNYrrS/ep82sfA/A6t/XGnQ9"
#define HOST_KEY_2 \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILRabXP/kbucWLpCAYQYZoQEdnLmVGUefkc2qXoDJ/X3"

/* libcrypto does not say of what it cannot do that memory was the reason. */
static int without_memory(int r)
{
	ERR_clear_error();
	return r == -EIO || r == -EKEYREJECTED ? -ENOMEM : r;
}

/* ---- the stream ---- */

static const char *const bodies[] = { "{\"type\":\"full\",\"n\":1}", "{\"type\":\"keepalive\"}",
				      "{\"type\":\"delta\",\"n\":2}" };

struct heard {
	unsigned n_hello, n_objects;
	json_int_t sum;
};

static void on_hello(void *userdata)
{
	struct heard *heard = userdata;

	heard->n_hello++;
}

static int on_object(enum link_object type, const json_t *object, void *userdata,
		     char **reterr_text)
{
	struct heard *heard = userdata;

	heard->n_objects++;
	heard->sum += json_integer_value(json_object_get(object, "n"));
	return 0;
}

/* All lines, in pieces. The caller's. */
static char *make_stream(const struct ed25519_key *coordinator, const struct frame_id *id,
			 const struct wg_key *public)
{
	struct link_sender sender;
	char *all = link_sender_begin(&sender, coordinator, id, public, "n1");

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		_cleanup_free_ char *line = link_sender_line(&sender, bodies[i]), *before = all;

		all = text_printf("%s%s", before, line);
	}
	frame_stream_done(&sender.frames);
	return all;
}

static int feed(struct link_stream_config *config, const char *text)
{
	struct link_stream *stream = NULL;
	_cleanup_free_ char *error = NULL;
	size_t len = strlen(text);
	int r;

	nomem_begin();
	r = link_stream_new(config, &stream);
	for (size_t i = 0; r == 0 && i < len; i += 50)
		r = link_stream_take(stream, text + i, len - i < 50 ? len - i : 50, &error);
	nomem_end();
	link_stream_free(stream);
	return r;
}

static int take_stream(void *userdata)
{
	struct ed25519_key *machine = known_key(KNOWN_MACHINE);
	struct ed25519_key *coordinator = known_key(KNOWN_COORDINATOR);
	const struct frame_id id = { FRAME_HELLO, *ed25519_key_public(machine), NONCE, 0 };
	struct heard heard = { 0 };
	struct link_stream_config config = {
		.coordinator = *ed25519_key_public(coordinator),
		.machine = id.machine,
		.nonce = NONCE,
		.node_id = "n1",
		.on_hello = on_hello,
		.on_object = on_object,
		.userdata = &heard,
	};
	_cleanup_free_ char *text = NULL;
	struct wg_key public;
	int r;

	assert_int_equal(wg_key_generate(&config.ephemeral), 0);
	assert_int_equal(wg_key_public(&config.ephemeral, &public), 0);
	text = make_stream(coordinator, &id, &public);
	ed25519_key_free(machine);
	ed25519_key_free(coordinator);
	r = feed(&config, text);
	if (r == 0)
		assert_true(heard.n_hello == 1 && heard.n_objects == 3 && heard.sum == 3);
	return without_memory(r);
}

static void test_stream(void **state)
{
	nomem_try("stream", take_stream, NULL);
}

/* ---- answers ---- */

static const char contact_text[] =
	"{\"version\":1,\"key\":\"pgc:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\","
	"\"domain\":\"mesh.example\"}";
static const char enrolment_text[] =
	"{\"node\":{\"id\":\"n1\",\"name\":\"server\"},\"mesh\":{\"domain\":\"mesh.example\"}}";
static const char approval_text[] =
	"{\"id\":\"x1\",\"code\":\"ABCD2345\",\"url\":\"https://coord.example/a/1\",\"approve\":"
	"\"coordctl nodes approve ABCD2345\",\"expires_at\":\"2027-01-15T09:00:00Z\"}";

static int read_contact(void *userdata)
{
	struct link_contact contact = { 0 };
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = link_contact_read(contact_text, strlen(contact_text), &contact, &error);
	nomem_end();
	if (r == 0)
		assert_string_equal(contact.domain, "mesh.example");
	link_contact_done(&contact);
	return r;
}

static int read_enrolment(void *userdata)
{
	struct link_enrolment enrolment = { 0 };
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = link_enrolment_read(userdata, &enrolment, &error);
	nomem_end();
	if (r == 0) {
		assert_string_equal(enrolment.node_id, "n1");
		assert_string_equal(enrolment.name, "server");
		assert_string_equal(enrolment.domain, "mesh.example");
	}
	link_enrolment_done(&enrolment);
	return r;
}

static int read_approval(void *userdata)
{
	struct link_approval approval = { 0 };
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = link_approval_read(userdata, &approval, &error);
	nomem_end();
	if (r == 0) {
		assert_string_equal(approval.id, "x1");
		assert_string_equal(approval.code, "ABCD2345");
		assert_string_equal(approval.url, "https://coord.example/a/1");
		assert_string_equal(approval.approve, "coordctl nodes approve ABCD2345");
	}
	link_approval_done(&approval);
	return r;
}

static void test_answers(void **state)
{
	json_auto_t *enrolment = json_loads(enrolment_text, 0, NULL);
	json_auto_t *approval = json_loads(approval_text, 0, NULL);

	nomem_try("contact", read_contact, NULL);
	nomem_try("enrolment", read_enrolment, enrolment);
	nomem_try("approval", read_approval, approval);
}

/* An answer of this status, which the coordinator has signed. */
static int judge(void *userdata)
{
	const unsigned *status = userdata;
	static const char body[] = "{\"error\":{\"code\":\"rejected\",\"message\":\"no\"}}";
	struct ed25519_key *machine = known_key(KNOWN_MACHINE);
	struct ed25519_key *coordinator = known_key(KNOWN_COORDINATOR);
	const struct frame_id id = { FRAME_ANSWER, *ed25519_key_public(machine), NONCE, *status };
	struct link_asking asking = { .nonce = NONCE };
	struct link_verdict verdict = { 0 };
	char sig[FRAME_SIG_CHARS + 1];
	struct fetch_answer answer = {
		.status = *status, .signature = sig, .body = body, .body_len = strlen(body)
	};
	struct link_signer signer;
	uint8_t digest[SHA256_LEN];
	int r;

	link_signer_init(&signer, machine, ed25519_key_public(coordinator));
	assert_int_equal(sha256(body, strlen(body), digest), 0);
	assert_int_equal(frame_sign(coordinator, &id, digest, sig), 0);
	nomem_begin();
	r = link_answer_judge(&signer, &asking, &answer, NOW, &verdict);
	nomem_end();
	/* Without memory it may be taken for none of the coordinator's, never for another word. */
	if (r == 0 && verdict.kind == LINK_ANSWER_LATER)
		r = -ENOMEM;
	if (r == 0 && *status == 200)
		assert_true(verdict.kind == LINK_ANSWER_GOOD && json_is_object(verdict.body));
	if (r == 0 && *status == 403) {
		assert_int_equal(verdict.kind, LINK_ANSWER_NO);
		assert_string_equal(verdict.code, "rejected");
	}
	link_verdict_done(&verdict);
	ed25519_key_free(machine);
	ed25519_key_free(coordinator);
	return without_memory(r);
}

static void test_verdicts(void **state)
{
	unsigned good = 200, no = 403;

	nomem_try("yes", judge, &good);
	nomem_try("no", judge, &no);
}

/* ---- what is remembered, and asked for ---- */

static char *tags[] = { (char *)"tag:prod", (char *)"tag:web" };

static struct link_store store = {
	.url = (char *)"https://coord.example",
	.have_key = true,
	.up = true,
	.hostname = (char *)"server",
	.tags = tags,
	.n_tags = 2,
	.node_id = (char *)"n1",
	.node_name = (char *)"server",
	.domain = (char *)"mesh.example",
};

static void assert_same_store(const struct link_store *read)
{
	assert_string_equal(read->url, store.url);
	assert_string_equal(read->hostname, store.hostname);
	assert_int_equal(read->n_tags, 2);
	assert_string_equal(read->tags[1], "tag:web");
	assert_string_equal(read->node_id, "n1");
	assert_string_equal(read->domain, "mesh.example");
	assert_true(read->up);
}

static int write_and_read_store(void *userdata)
{
	_cleanup_free_ char *text = NULL, *error = NULL;
	struct link_store read = { 0 };
	size_t len = 0;
	int r;

	nomem_begin();
	text = link_store_format(&store, &len);
	r = text ? link_store_parse(text, len, &read, &error) : -ENOMEM;
	nomem_end();
	if (r == 0)
		assert_same_store(&read);
	link_store_done(&read);
	return r;
}

static int copy_store(void *userdata)
{
	struct link_store copy = { 0 };
	int r;

	nomem_begin();
	r = link_store_copy(&store, &copy);
	nomem_end();
	if (r == 0)
		assert_same_store(&copy);
	link_store_done(&copy);
	return r;
}

static int apply_wish(void *userdata)
{
	static char *new_tags[] = { (char *)"tag:db" };
	const struct link_wish wish = {
		.hostname = "other", .tags = new_tags, .n_tags = 1, .set_tags = true
	};
	const struct link_terms terms = { .key_expired = true };
	struct link_store after = { 0 };
	_cleanup_free_ char *error = NULL;
	int r;

	nomem_begin();
	r = link_wish_apply(&wish, &terms, &store, &after, &error);
	nomem_end();
	if (r == 0) {
		assert_string_equal(after.hostname, "other");
		assert_int_equal(after.n_tags, 1);
		assert_string_equal(after.tags[0], "tag:db");
		assert_string_equal(after.node_id, "n1");
	}
	link_store_done(&after);
	return r;
}

static int parse_url(void *userdata)
{
	_cleanup_free_ char *error = NULL;
	struct link_url url = { 0 };
	int r;

	nomem_begin();
	r = link_url_parse("https://coord.example:8443/mesh/", &url, &error);
	nomem_end();
	if (r == 0)
		assert_string_equal(url.text, "https://coord.example:8443/mesh");
	link_url_done(&url);
	return r;
}

static void test_store(void **state)
{
	struct ed25519_key *key = known_key(KNOWN_COORDINATOR);

	store.coordinator = *ed25519_key_public(key);
	ed25519_key_free(key);
	nomem_try("store", write_and_read_store, NULL);
	nomem_try("copy of the store", copy_store, NULL);
	nomem_try("wish", apply_wish, NULL);
	nomem_try("url", parse_url, NULL);
}

/* ---- what this host says of itself ---- */

static char folder[] = "/tmp/test-nomem-link-XXXXXX", gateway_keys[64];

static void put(const char *name, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/%s", folder, name);

	assert_int_equal(file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

/* A host key that is left out is one that clients do not know. */
static int say_facts(void *userdata)
{
	const struct link_places places = { .etc = folder, .gateway_keys = gateway_keys };
	struct link_host host = { 0 };
	struct link_facts facts = { .host = &host, .listen_port = 51820 };
	json_t *json = NULL;
	int r;

	nomem_begin();
	r = link_host_read(&places, &host);
	if (r == 0)
		json = link_facts_json(&facts);
	nomem_end();
	if (r == 0 && !json)
		r = -ENOMEM;
	if (r == 0) {
		const json_t *keys = json_object_get(json, "ssh_host_keys");

		assert_string_equal(json_string_value(json_object_get(json, "os")), "Linux 1");
		assert_int_equal(json_array_size(keys), 2);
		assert_string_equal(json_string_value(json_array_get(keys, 0)), HOST_KEY_2);
		assert_string_equal(json_string_value(json_array_get(keys, 1)), HOST_KEY_1);
		assert_int_equal(json_array_size(json_object_get(json, "endpoints")), 0);
	}
	json_decref(json);
	link_host_done(&host);
	return r;
}

static void test_facts(void **state)
{
	_cleanup_free_ char *ssh = NULL, *command = NULL;

	assert_non_null(mkdtemp(folder));
	snprintf(gateway_keys, sizeof(gateway_keys), "%s/gateway", folder);
	ssh = text_printf("%s/ssh", folder);
	command = text_printf("rm -rf %s", folder);
	assert_int_equal(mkdir(ssh, 0755), 0);
	put("os-release", "PRETTY_NAME=\"Linux 1\"\n");
	put("ssh/ssh_host_ed25519_key.pub", HOST_KEY_1 " root@x\n");
	put("gateway", HOST_KEY_2 "\n");
	nomem_try("facts", say_facts, NULL);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),	 cmocka_unit_test(test_answers),
		cmocka_unit_test(test_verdicts), cmocka_unit_test(test_store),
		cmocka_unit_test(test_facts),
	};

	json_watch_memory();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
