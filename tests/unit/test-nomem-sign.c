/* Keys and signatures without memory: no signature rather than a wrong one, and no yes to a forged.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "common/frame_stream.h"
#include "common/httpsig.h"
#include "common/replay.h"
#include "tests/unit/nomem.h"

#define NOW 1800000000u

struct work {
	struct ed25519_key *machine, *coordinator;
	struct httpsig_audience audience;
	struct httpsig_request request;
	struct httpsig_signed request_sig;
	struct frame_id id;
	uint8_t digest[SHA256_LEN];
	char frame_sig[FRAME_SIG_CHARS + 1];
	int want; /* of verifying */
	int dir_fd;
};

static int setup(void **state)
{
	static struct work work;

	work.request = (struct httpsig_request){ "POST", "/v1/map", "a=b", "{}", 2 };
	assert_int_equal(ed25519_key_generate(&work.machine), 0);
	assert_int_equal(ed25519_key_generate(&work.coordinator), 0);
	work.audience.key = *ed25519_key_public(work.coordinator);
	work.id = (struct frame_id){ FRAME_HELLO, *ed25519_key_public(work.machine), 7, 1 };
	assert_int_equal(httpsig_sign(work.machine, &work.request, &work.audience, NOW, 7,
				      &work.request_sig),
			 0);
	assert_int_equal(sha256("{}", 2, work.digest), 0);
	assert_int_equal(frame_sign(work.coordinator, &work.id, work.digest, work.frame_sig), 0);
	*state = &work;
	return 0;
}

static int teardown(void **state)
{
	struct work *work = *state;

	ed25519_key_free(work->machine);
	ed25519_key_free(work->coordinator);
	return 0;
}

/*
 * libcrypto says only that it failed, and then keeps the reason; whoever verifies cannot tell that
 * from a no.
 */
static int without_memory(int r)
{
	ERR_clear_error();
	return r == -EIO || r == -EKEYREJECTED ? -ENOMEM : r;
}

static int sign_request(void *userdata)
{
	struct httpsig_signed again = { 0 };
	struct work *work = userdata;
	int r;

	nomem_begin();
	r = httpsig_sign(work->machine, &work->request, &work->audience, NOW, 7, &again);
	r = without_memory(r);
	nomem_end();
	if (r == 0)
		assert_memory_equal(&again, &work->request_sig, sizeof(again));
	else
		assert_string_equal(again.field[HTTPSIG_SIGNATURE], "");
	return r;
}

static int sign_frame(void *userdata)
{
	char again[FRAME_SIG_CHARS + 1] = "";
	struct work *work = userdata;
	int r;

	nomem_begin();
	r = without_memory(frame_sign(work->coordinator, &work->id, work->digest, again));
	nomem_end();
	assert_string_equal(again, r == 0 ? work->frame_sig : "");
	return r;
}

/* Return: 0 when what came out is right: yes to the good one, no of any kind to the forged. */
static int judge(int r, int want)
{
	return want < 0 && r < 0 ? 0 : r;
}

static int verify_request(void *userdata)
{
	struct work *work = userdata;
	struct httpsig_headers headers = { 0 };
	struct httpsig sig;
	char *text = NULL;
	int r;

	for (enum httpsig_field f = 0; f < HTTPSIG_N_FIELDS; f++)
		httpsig_collect(&headers, httpsig_field_name(f), work->request_sig.field[f]);
	nomem_begin();
	r = httpsig_parse(&headers, &sig, &text);
	if (r == 0)
		r = httpsig_verify(&sig, &work->request, &work->audience, NOW, &text);
	/* A refusal has its text. */
	assert_true(text || r == 0 || r == -ENOMEM || r == -EIO);
	free(text);
	r = without_memory(r);
	nomem_end();
	return judge(r, work->want);
}

static int verify_frame(void *userdata)
{
	struct work *work = userdata;
	int r;

	nomem_begin();
	r = without_memory(frame_verify(ed25519_key_public(work->coordinator), &work->id,
					work->frame_sig, FRAME_SIG_CHARS, "{}", 2));
	nomem_end();
	return judge(r, work->want);
}

/* Where only our own allocations fail (nomem.c), these make none. */
static void needs_libcrypto_to_fail(void)
{
#ifdef NOMEM_WRAP
	skip();
#endif
}

/* Both ends of a stream, and a line. */
static int use_stream(void *userdata)
{
	struct wg_key a = { { 8 } }, b = { { 16 } }, a_public, b_public;
	struct frame_stream sender = { 0 }, receiver = { 0 };
	char line[FRAME_MAC_CHARS + sizeof(" {}")] = "";
	struct work *work = userdata;
	const char *body = NULL;
	size_t len = 0;
	int r;

	assert_int_equal(wg_key_public(&a, &a_public), 0);
	assert_int_equal(wg_key_public(&b, &b_public), 0);
	nomem_begin();
	r = frame_stream_begin(&a, &b_public, &work->id, work->digest, &sender);
	if (r == 0)
		r = frame_stream_begin(&b, &a_public, &work->id, work->digest, &receiver);
	if (r == 0)
		r = frame_stream_seal(&sender, work->digest, line);
	strcat(line, " {}");
	if (r == 0)
		r = frame_stream_open(&receiver, line, strlen(line), &body, &len);
	/* libcrypto does not tell a weak key from no memory. */
	r = r == -EINVAL ? without_memory(-EIO) : without_memory(r);
	nomem_end();
	assert_true((r == 0) == (body != NULL));
	assert_true((r == 0) == (receiver.next == 2));
	return r;
}

static void test_requests(void **state)
{
	struct work *work = *state;

	needs_libcrypto_to_fail();
	nomem_try("signing a request", sign_request, work);
	nomem_try("verifying a request", verify_request, work);
}

static void test_frames(void **state)
{
	struct work *work = *state;

	needs_libcrypto_to_fail();
	nomem_try("signing a frame", sign_frame, work);
	nomem_try("verifying a frame", verify_frame, work);
	nomem_try("a stream", use_stream, work);
}

static void test_forged(void **state)
{
	struct work forged = *(struct work *)*state;

	needs_libcrypto_to_fail();
	forged.want = -EKEYREJECTED;
	forged.id.number++;
	nomem_try("a forged frame", verify_frame, &forged);
}

/* The texts of three refusals. */
static void test_refusals(void **state)
{
	struct work forged = *(struct work *)*state;

	forged.want = -EKEYREJECTED;
	forged.request.path = "/v1/maq";
	nomem_try("a forged request", verify_request, &forged);
	forged.request.body_len--;
	nomem_try("another body", verify_request, &forged);
	forged.request_sig.field[HTTPSIG_SIGNATURE][3] = '!';
	nomem_try("a malformed signature", verify_request, &forged);
}

static int accept_requests(void *userdata)
{
	struct replay *replay = NULL;
	struct ed25519_public key = { { 9 } };
	int r;

	nomem_begin();
	r = replay_new(8, &replay);
	for (uint8_t i = 0; r == 0 && i < 4; i++) {
		key.bytes[1] = i;
		r = replay_accept(replay, &key, 5, NOW, NOW);
		if (r == 0)
			assert_int_equal(replay_accept(replay, &key, 5, NOW, NOW), -EALREADY);
		assert_int_equal(replay_count(replay), r == 0 ? i + 1 : i);
	}
	replay_free(replay);
	nomem_end();
	return r;
}

static void test_replay(void **state)
{
	nomem_try("replay", accept_requests, *state);
}

static int use_file(void *userdata)
{
	struct work *work = userdata;
	struct ed25519_key *key = NULL, *again = NULL;
	char *text = NULL;
	int r;

	nomem_begin();
	r = ed25519_key_load_or_create(work->dir_fd, "key", &key, &text);
	/* A file that was made stays; what is there is a whole key. */
	if (r >= 0)
		r = ed25519_key_load_or_create(work->dir_fd, "key", &again, &text);
	ed25519_key_free(key);
	ed25519_key_free(again);
	free(text);
	r = without_memory(r);
	nomem_end();
	if (faccessat(work->dir_fd, "key", F_OK, 0) == 0) {
		key = NULL;
		assert_int_equal(ed25519_key_load_or_create(work->dir_fd, "key", &key, &text), 0);
		ed25519_key_free(key);
		unlinkat(work->dir_fd, "key", 0);
	}
	return r;
}

static void test_file(void **state)
{
	char path[] = "/tmp/test-nomem-sign.XXXXXX";
	struct work *work = *state;

	assert_non_null(mkdtemp(path));
	work->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(work->dir_fd >= 0);
	nomem_try("a key file", use_file, work);
	close_fd(work->dir_fd);
	/* Nothing is left beside it. */
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests), cmocka_unit_test(test_frames),
		cmocka_unit_test(test_forged),	 cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_replay),	 cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
