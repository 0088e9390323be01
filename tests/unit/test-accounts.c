/* Passwords, codes, and how often they may be tried. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "coord/accounts/limit.h"
#include "coord/accounts/password.h"
#include "coord/accounts/totp.h"
#include "coord/accounts/verify.h"
#include "coord/accounts/worker.h"
#include "coord/registry/names.h"
#include "tests/unit/registry-fixture.h"

#define ALICE	 "alice@example.com"
#define BOB	 "bob@example.com"
#define PASSWORD "correct horse battery"
/* RFC 6238, appendix B: "12345678901234567890". */
#define TOTP "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

/* ---- a store that takes its time ---- */

static struct {
	bool hold;
	store_answer_fn fn; /* whom the answer is kept back from */
	void *userdata;
} slow;

int __real_store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
		     const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata);
int __wrap_store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
		     const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata);

int __wrap_store_txn(struct store *store, const struct store_cond *conds, size_t n_conds,
		     const struct store_op *ops, size_t n_ops, store_answer_fn fn, void *userdata)
{
	if (!slow.hold)
		return __real_store_txn(store, conds, n_conds, ops, n_ops, fn, userdata);
	slow.hold = false;
	slow.fn = fn;
	slow.userdata = userdata;
	return 0;
}

static void answer_late(int status)
{
	slow.fn(&(struct store_answer){ .status = status, .text = "the disk is full" },
		slow.userdata);
}

/* ---- passwords ---- */

static void test_password_problem(void **state)
{
	static const struct {
		const char *password, *problem;
	} cases[] = {
		{ PASSWORD, NULL },
		{ "xk7 vd93 qq", NULL },
		{ "\xc3\xa9\xc3\xa9\xc3\xa8\xc3\xa9\xc3\xa7\xc3\xa0\xc3\xb9\xc3\xbc\xc3\xb6x",
		  NULL },
		{ "", "is too short" },
		{ "123456789", "is too short" },
		{ "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa8", "is too short" }, /* 10 bytes */
		{ "\xff\xfe abcdefghij", "is no text in UTF-8" },
		{ "1234567890", "whoever guesses begins with" },
		{ "12345678901234", "whoever guesses begins with" },
		{ "QwertyUiop", "whoever guesses begins with" },
		{ "Password123!", "whoever guesses begins with" },
		{ "passwordpassword", "whoever guesses begins with" },
		{ "Passwort und mehr", NULL },
		{ "aaaaaaaaaaaa", "whoever guesses begins with" },
		{ "ababababababa", "whoever guesses begins with" },
		{ "abababababacx", NULL },
		{ "Alice@Example.com", "is the login" },
	};
	char longest[PASSWORD_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *problem = password_problem(cases[i].password, ALICE);

		if (!problem != !cases[i].problem ||
		    (problem && !strstr(problem, cases[i].problem)))
			fail_msg("%s: %s", cases[i].password, problem);
	}
	for (size_t i = 0; i <= PASSWORD_MAX; i++)
		longest[i] = (char)('a' + i * i % 26);
	longest[PASSWORD_MAX + 1] = '\0';
	assert_non_null(strstr(password_problem(longest, NULL), "is too long"));
	longest[PASSWORD_MAX] = '\0';
	assert_null(password_problem(longest, NULL));
}

static void test_password_hash(void **state)
{
	_cleanup_(secret_freep) char *first = NULL, *second = NULL;

	assert_int_equal(password_hash(PASSWORD, &first), 0);
	assert_int_equal(password_hash(PASSWORD, &second), 0);
	assert_memory_equal(first, "$y$", 3);
	assert_string_not_equal(first, second);
	assert_null(crypt_problem(first));
	assert_int_equal(password_check(PASSWORD, first), 0);
	assert_int_equal(password_check(PASSWORD " ", first), PASSWORD_WRONG);
	assert_int_equal(password_check("", first), PASSWORD_WRONG);
	/* As shadow(5) of another system may have it: SHA-512. */
	assert_int_equal(password_check("Hello world!",
					"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3u"
					"BnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"),
			 0);
	assert_int_equal(password_check(PASSWORD, "$nonsense$"), -EINVAL);
	assert_int_equal(password_check(PASSWORD, "*"), -EINVAL);
}

/* ---- codes ---- */

static void test_totp_vectors(void **state)
{
	/* Seconds since 1970, and the last six of the RFC's eight digits. */
	static const struct {
		uint64_t seconds;
		const char *code;
	} vectors[] = {
		{ 59, "287082" },	  { 1111111109, "081804" }, { 1111111111, "050471" },
		{ 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" },
	};
	char code[7];

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		assert_int_equal(totp_code(TOTP, vectors[i].seconds / 30, code), 0);
		assert_string_equal(code, vectors[i].code);
	}
	assert_int_equal(totp_code("GEZDGNBV", 1, code), -EINVAL);
	assert_int_equal(totp_code("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1", 1, code), -EINVAL);
}

static int check_at(const char *code, uint64_t step, uint64_t last, uint64_t *ret_step)
{
	return totp_check(TOTP, code, step * 30 * USEC_PER_SEC, last, ret_step);
}

static void test_totp_check(void **state)
{
	uint64_t step = 0, middle = 1111111109 / 30;

	for (uint64_t at = middle - 1; at <= middle + 1; at++) {
		assert_int_equal(check_at("081804", at, 0, &step), 0);
		assert_int_equal(step, middle);
	}
	assert_int_equal(check_at("081804", middle - 2, 0, &step), TOTP_WRONG);
	assert_int_equal(check_at("081804", middle + 2, 0, &step), TOTP_WRONG);
	assert_int_equal(check_at(" 081 804 ", middle, 0, &step), 0);
	assert_int_equal(check_at("081805", middle, 0, &step), TOTP_WRONG);
	assert_int_equal(check_at("81804", middle, 0, &step), TOTP_WRONG);
	assert_int_equal(check_at("0818040", middle, 0, &step), TOTP_WRONG);
	assert_int_equal(check_at("08180x", middle, 0, &step), TOTP_WRONG);
	assert_int_equal(check_at("", middle, 0, &step), TOTP_WRONG);
	/* Each once. */
	assert_int_equal(check_at("081804", middle, middle - 1, &step), 0);
	assert_int_equal(check_at("081804", middle, middle, &step), TOTP_WRONG);
	assert_int_equal(check_at("081804", middle, middle + 1, &step), TOTP_WRONG);
	assert_int_equal(totp_check("x", "081804", 0, 0, &step), -EINVAL);
}

static void test_totp_secret(void **state)
{
	_cleanup_(secret_freep) char *uri = NULL;
	char first[TOTP_TEXT_SIZE], second[TOTP_TEXT_SIZE], code[7];

	assert_int_equal(totp_secret_new(first), 0);
	assert_int_equal(totp_secret_new(second), 0);
	assert_string_not_equal(first, second);
	assert_null(totp_problem(first));
	assert_int_equal(totp_code(first, 1, code), 0);
	uri = totp_uri("Peergate: mesh", "al+ice@example.com", TOTP);
	assert_string_equal(uri,
			    "otpauth://totp/Peergate%3A%20mesh:al%2Bice%40example.com?secret=" TOTP
			    "&issuer=Peergate%3A%20mesh&algorithm=SHA1&digits=6&period=30");
}

/* ---- limits ---- */

#define SEC USEC_PER_SEC

static struct limit *limit_of(unsigned free, size_t max)
{
	const struct limit_config config = { free, max, 3600 * SEC };
	struct limit *limit;

	assert_int_equal(limit_new(&config, &limit), 0);
	return limit;
}

static struct limit_key key_of(const char *login, const char *from)
{
	struct limit_key key;
	struct ip_addr addr = { 0 };

	if (from)
		assert_int_equal(ip_addr_parse(from, &addr), 0);
	assert_int_equal(limit_key(login, &addr, &key), 0);
	return key;
}

static void test_limit(void **state)
{
	_cleanup_(limit_freep) struct limit *limit = limit_of(5, 10);
	const struct limit_key key = key_of(ALICE, NULL), other = key_of(BOB, NULL);
	uint64_t now = 1, wait;

	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(limit_wait(limit, &key, now), 0);
		assert_int_equal(limit_take(limit, &key, now), 0);
	}
	assert_int_equal(limit_wait(limit, &key, now), 8 * SEC);
	assert_int_equal(limit_wait(limit, &key, now + 8 * SEC - 1), 1);
	assert_int_equal(limit_wait(limit, &other, now), 0);
	for (wait = 16 * SEC; wait < 15 * 60 * SEC; wait *= 2) {
		now += 3 * wait;
		assert_int_equal(limit_wait(limit, &key, now), 0);
		limit_take(limit, &key, now);
		assert_int_equal(limit_wait(limit, &key, now), wait);
	}
	for (unsigned i = 0; i < 2000; i++)
		limit_take(limit, &key, now);
	assert_int_equal(limit_wait(limit, &key, now), 15 * 60 * SEC);
	/* Others come, and it is forgotten after an hour. */
	limit_take(limit, &other, now + 3600 * SEC - 1);
	assert_true(limit_has(limit, &key, now + 3600 * SEC - 1));
	assert_false(limit_has(limit, &key, now + 3600 * SEC));
	limit_take(limit, &key, now + 3600 * SEC);
	assert_int_equal(limit_wait(limit, &key, now + 3600 * SEC), 0);
}

static void test_limit_goes_well(void **state)
{
	_cleanup_(limit_freep) struct limit *limit = limit_of(2, 10);
	const struct limit_key key = key_of(ALICE, NULL);

	limit_give_back(limit, &key);
	limit_take(limit, &key, 1);
	limit_give_back(limit, &key);
	assert_false(limit_has(limit, &key, 1));
	limit_take(limit, &key, 1);
	limit_take(limit, &key, 1);
	assert_int_equal(limit_wait(limit, &key, 1), 8 * SEC);
	/* The next one may try at once, and that is all. */
	limit_give_back(limit, &key);
	assert_int_equal(limit_wait(limit, &key, 1), 0);
	limit_take(limit, &key, 1);
	assert_int_equal(limit_wait(limit, &key, 1), 8 * SEC);
	limit_forget(limit, &key);
	assert_int_equal(limit_wait(limit, &key, 1), 0);
	assert_false(limit_has(limit, &key, 1));
	limit_forget(limit, &key);
}

static void test_limit_is_full(void **state)
{
	_cleanup_(limit_freep) struct limit *limit = limit_of(1, 3);
	const struct limit_key keys[] = { key_of("a", NULL), key_of("b", NULL), key_of("c", NULL),
					  key_of("d", NULL) };

	for (size_t i = 0; i < 3; i++)
		limit_take(limit, &keys[i], i);
	limit_take(limit, &keys[0], 3);
	limit_take(limit, &keys[3], 4);
	assert_true(limit_has(limit, &keys[0], 4));
	assert_false(limit_has(limit, &keys[1], 4));
	assert_true(limit_has(limit, &keys[2], 4));
	assert_true(limit_has(limit, &keys[3], 4));
}

static bool same_key(const struct limit_key *a, const struct limit_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void test_limit_key(void **state)
{
	struct limit_key a = key_of(ALICE, "192.0.2.1"), b = key_of(ALICE, "192.0.2.2");

	assert_false(same_key(&a, &b));
	a = key_of(NULL, "2001:db8::1");
	b = key_of(NULL, "2001:db8::ffff:1:2");
	assert_true(same_key(&a, &b));
	b = key_of(NULL, "2001:db8:0:1::1");
	assert_false(same_key(&a, &b));
	a = key_of(ALICE, NULL);
	b = key_of(ALICE, "192.0.2.1");
	assert_false(same_key(&a, &b));
}

/* ---- the thread ---- */

struct count {
	struct job job;
	unsigned *n_run, *n_done;
	int gate; /* waits until this pipe has something to read; -1 */
};

static void run_count(struct job *job)
{
	struct count *count = (struct count *)job;
	char c;

	if (count->gate >= 0)
		assert_int_equal(read(count->gate, &c, 1), 1);
	__atomic_add_fetch(count->n_run, 1, __ATOMIC_SEQ_CST);
}

static void done_count(struct job *job)
{
	struct count *count = (struct count *)job;

	*count->n_done += job->is_run ? 1 : 100;
	free(count);
}

static int add_count(struct worker *worker, unsigned *n_run, unsigned *n_done, int gate)
{
	struct count *count = calloc(1, sizeof(*count));
	int r;

	assert_non_null(count);
	*count = (struct count){ { .run = run_count, .done = done_count }, n_run, n_done, gate };
	r = worker_add(worker, &count->job);
	if (r < 0)
		free(count);
	return r;
}

static void test_worker(void **state)
{
	sd_event *event = NULL;
	struct worker *worker = NULL;
	unsigned n_run = 0, n_done = 0;

	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(worker_new(event, 100, &worker), 0);
	for (unsigned round = 1; round <= 20; round++) {
		for (unsigned i = 0; i < 50; i++)
			assert_int_equal(add_count(worker, &n_run, &n_done, -1), 0);
		while (n_done < round * 50)
			assert_true(sd_event_run(event, 10 * SEC) > 0);
	}
	assert_int_equal(n_run, 1000);
	worker_free(worker);
	sd_event_unref(event);
}

static void test_worker_ends(void **state)
{
	sd_event *event = NULL;
	struct worker *worker = NULL;
	unsigned n_run = 0, n_done = 0;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(worker_new(event, 2, &worker), 0);
	assert_int_equal(add_count(worker, &n_run, &n_done, pipes[0]), 0);
	/* The first one may or may not be out of the queue. */
	while (add_count(worker, &n_run, &n_done, pipes[0]) == 0)
		;
	assert_int_equal(add_count(worker, &n_run, &n_done, -1), -ENOBUFS);
	assert_int_equal(write(pipes[1], "xxx", 3), 3);
	worker_free(worker);
	/* Each is told once, whether it was run or not. */
	assert_true(n_run <= 3);
	assert_true(n_done % 100 == n_run && n_done / 100 + n_run >= 2);
	sd_event_unref(event);
	close(pipes[0]);
	close(pipes[1]);
}

/* ---- signing in ---- */

struct got {
	unsigned n;
	enum verify_status status;
	char text[256], login[64], method[32], hash[RECORD_MAX_CRYPT + 1];
	uint64_t retry_usec;
};

static void on_answer(const struct verify_answer *answer, void *userdata)
{
	struct got *got = userdata;

	got->n++;
	got->status = answer->status;
	got->retry_usec = answer->retry_usec;
	snprintf(got->text, sizeof(got->text), "%s", answer->text ? answer->text : "");
	snprintf(got->login, sizeof(got->login), "%s", answer->login ? answer->login : "");
	snprintf(got->method, sizeof(got->method), "%s", answer->method ? answer->method : "");
	snprintf(got->hash, sizeof(got->hash), "%s", answer->hash ? answer->hash : "");
}

static struct verifier *verifier;

static int setup(void **state)
{
	static char *hash;
	struct fix *fix;

	if (!hash && password_hash(PASSWORD, &hash) < 0)
		return -1;
	if (fix_setup(state) < 0)
		return -1;
	fix = *state;
	FIX_OK(fix, registry_set_password(fix->registry, &fix_root, ALICE, hash, FIX_DONE(fix)));
	return verifier_new(fix->event, fix->registry, &verifier);
}

static int teardown(void **state)
{
	verifier = verifier_free(verifier);
	return fix_teardown(state);
}

static struct got wait_for(struct fix *fix, const struct got *got)
{
	while (got->n == 0)
		assert_true(sd_event_run(fix->event, 60 * SEC) > 0);
	assert_int_equal(got->n, 1);
	fix_run(fix);
	return *got;
}

static struct verify_attempt attempt_of(const char *login, const char *password, const char *code,
					const char *from)
{
	struct verify_attempt attempt = { .login = login, .password = password, .code = code };

	if (from)
		assert_int_equal(ip_addr_parse(from, &attempt.from), 0);
	return attempt;
}

static struct got try(struct fix *fix, const char *login, const char *password, const char *code,
		      const char *from)
{
	const struct verify_attempt attempt = attempt_of(login, password, code, from);
	struct got got = { 0 };

	verifier_check(verifier, &attempt, on_answer, &got);
	return wait_for(fix, &got);
}

static struct got try_code(struct fix *fix, const char *login, const char *code, const char *from)
{
	const struct verify_attempt attempt = attempt_of(login, NULL, code, from);
	struct got got = { 0 };

	verifier_check_code(verifier, &attempt, on_answer, &got);
	return wait_for(fix, &got);
}

static void test_sign_in(void **state)
{
	struct fix *fix = *state;
	struct got got = try(fix, "Alice@Example.COM", PASSWORD, NULL, "192.0.2.1");

	assert_int_equal(got.status, VERIFY_OK);
	assert_string_equal(got.login, ALICE);
	assert_string_equal(got.method, "password");
	assert_string_equal(got.text, "");
}

/* One text for all of it; operators see more. */
static void test_wrong(void **state)
{
	static const struct {
		const char *login, *password, *event;
	} cases[] = {
		{ ALICE, "wrong", "web user.sign-in " ALICE " not-allowed: the password is wrong" },
		{ BOB, PASSWORD,
		  "web user.sign-in " BOB " not-allowed: the user has no password, or what was "
		  "given is none" },
		{ "carol@example.com", PASSWORD,
		  "web user.sign-in carol@example.com not-allowed: there is no such user" },
		{ PASSWORD, PASSWORD, "web user.sign-in - not-allowed: there is no such user" },
		{ "", "", "web user.sign-in - not-allowed: there is no such user" },
	};
	struct fix *fix = *state;
	char longest[1000];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct got got = try(fix, cases[i].login, cases[i].password, NULL, "192.0.2.1");

		assert_int_equal(got.status, VERIFY_WRONG);
		assert_string_equal(got.text, "Login, password or code are not right.");
		assert_string_equal(fix_last_event(fix), cases[i].event);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(try(fix, ALICE, longest, NULL, NULL).status, VERIFY_WRONG);
	assert_non_null(strstr(fix_last_event(fix), "what was given is none"));
	fix_put(fix->store, "users/" ALICE, "{\"created\":1,\"password\":\"$none$\"}");
	fix_run(fix);
	assert_int_equal(try(fix, ALICE, PASSWORD, NULL, NULL).status, VERIFY_WRONG);
	assert_non_null(strstr(fix_last_event(fix), "none that is known here"));
}

static void test_suspended(void **state)
{
	struct fix *fix = *state;
	struct got got;

	FIX_OK(fix, registry_suspend_user(fix->registry, &fix_root, ALICE, true, FIX_DONE(fix)));
	got = try(fix, ALICE, PASSWORD, NULL, NULL);
	assert_int_equal(got.status, VERIFY_WRONG);
	assert_string_equal(got.text, "Login, password or code are not right.");
	assert_non_null(strstr(fix_last_event(fix), "the user is suspended"));
	assert_int_equal(try_code(fix, ALICE, "123456", NULL).status, VERIFY_WRONG);
}

/* What the record says when the hash is made counts. */
static void test_changed_meanwhile(void **state)
{
	struct fix *fix = *state;
	const struct verify_attempt attempt = attempt_of(ALICE, PASSWORD, NULL, NULL);
	struct got got = { 0 };

	verifier_check(verifier, &attempt, on_answer, &got);
	fix_put(fix->store, "users/" ALICE, "{\"created\":1,\"password\":\"$y$other\"}");
	assert_int_equal(wait_for(fix, &got).status, VERIFY_WRONG);
	assert_non_null(strstr(fix_last_event(fix), "the password was changed"));
}

static void set_totp(struct fix *fix)
{
	FIX_OK(fix, registry_set_totp(fix->registry, &fix_root, ALICE, TOTP, 1, FIX_DONE(fix)));
}

static void test_code(void **state)
{
	struct fix *fix = *state;
	char code[7], next[7];
	struct got got;

	set_totp(fix);
	assert_int_equal(totp_code(TOTP, FIX_START / SEC / 30, code), 0);
	assert_int_equal(totp_code(TOTP, FIX_START / SEC / 30 + 1, next), 0);
	/* A wrong password does not lead to the question for a code. */
	assert_int_equal(try(fix, ALICE, "wrong", NULL, NULL).status, VERIFY_WRONG);
	assert_int_equal(try(fix, ALICE, "wrong", code, NULL).status, VERIFY_WRONG);
	got = try(fix, ALICE, PASSWORD, NULL, NULL);
	assert_int_equal(got.status, VERIFY_NEEDS_CODE);
	assert_string_equal(got.login, ALICE);
	got = try_code(fix, ALICE, code, NULL);
	assert_int_equal(got.status, VERIFY_OK);
	assert_string_equal(got.method, "password+totp");
	/* Each once, whichever way. */
	got = try_code(fix, ALICE, code, NULL);
	assert_int_equal(got.status, VERIFY_WRONG);
	assert_non_null(strstr(got.text, "has been used"));
	assert_int_equal(try(fix, ALICE, PASSWORD, code, NULL).status, VERIFY_WRONG);
	got = try(fix, ALICE, PASSWORD, next, NULL);
	assert_int_equal(got.status, VERIFY_OK);
	assert_string_equal(got.method, "password+totp");
	/* Nobody is asked who has none. */
	assert_int_equal(try_code(fix, BOB, code, NULL).status, VERIFY_WRONG);
	assert_int_equal(try_code(fix, "carol@example.com", code, NULL).status, VERIFY_WRONG);
}

/* Two browsers give the same code at the same time: one is in. */
static void test_code_twice(void **state)
{
	struct fix *fix = *state;
	struct got first = { 0 }, second = { 0 };
	struct verify_attempt attempt;
	char code[7];

	set_totp(fix);
	assert_int_equal(totp_code(TOTP, FIX_START / SEC / 30, code), 0);
	attempt = attempt_of(ALICE, NULL, code, NULL);
	verifier_check_code(verifier, &attempt, on_answer, &first);
	verifier_check_code(verifier, &attempt, on_answer, &second);
	wait_for(fix, &first);
	wait_for(fix, &second);
	assert_int_equal((first.status == VERIFY_OK) + (second.status == VERIFY_OK), 1);
}

static void test_limited(void **state)
{
	struct fix *fix = *state;
	struct got got;

	/* She was here, from there. */
	assert_int_equal(try(fix, ALICE, PASSWORD, NULL, "192.0.2.1").status, VERIFY_OK);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(try_code(fix, ALICE, "0", "198.51.100.1").status, VERIFY_WRONG);
	got = try_code(fix, ALICE, "0", "198.51.100.2");
	assert_int_equal(got.status, VERIFY_LATER);
	assert_in_range(got.retry_usec, 1, 8 * SEC);
	assert_non_null(strstr(got.text, "too many failed attempts"));
	/* The right password does not help, except there; and others are not concerned. */
	assert_int_equal(try(fix, ALICE, PASSWORD, NULL, "198.51.100.1").status, VERIFY_LATER);
	assert_int_equal(try(fix, ALICE, PASSWORD, NULL, "192.0.2.1").status, VERIFY_OK);
	assert_int_equal(try_code(fix, BOB, "0", "198.51.100.1").status, VERIFY_WRONG);
}

static void test_address_limited(void **state)
{
	struct fix *fix = *state;
	char login[32];

	for (unsigned i = 0; i < 30; i++) {
		snprintf(login, sizeof(login), "user%u@example.com", i);
		assert_int_equal(try_code(fix, login, "0", "192.0.2.1").status, VERIFY_WRONG);
	}
	assert_int_equal(try(fix, ALICE, PASSWORD, NULL, "192.0.2.1").status, VERIFY_LATER);
	assert_int_equal(try(fix, ALICE, PASSWORD, NULL, "192.0.2.2").status, VERIFY_OK);
}

/* All at once: no more than the limit of them is looked at. */
static void test_limited_in_parallel(void **state)
{
	struct fix *fix = *state;
	const struct verify_attempt attempt = attempt_of(ALICE, "wrong", NULL, NULL);
	struct got got[20] = { 0 };
	unsigned later = 0;

	for (size_t i = 0; i < ARRAY_SIZE(got); i++)
		verifier_check(verifier, &attempt, on_answer, &got[i]);
	for (size_t i = 0; i < ARRAY_SIZE(got); i++)
		later += wait_for(fix, &got[i]).status == VERIFY_LATER;
	assert_int_equal(later, ARRAY_SIZE(got) - 5);
}

static void test_new_password(void **state)
{
	struct fix *fix = *state;
	struct got got = { 0 };

	verifier_hash(verifier, "another one, as good", on_answer, &got);
	wait_for(fix, &got);
	assert_int_equal(got.status, VERIFY_OK);
	assert_int_equal(password_check("another one, as good", got.hash), 0);
}

/* Everybody is told. */
static void test_end(void **state)
{
	struct fix *fix = *state;
	const struct verify_attempt attempt = attempt_of(ALICE, PASSWORD, NULL, NULL);
	struct got got[100] = { 0 };
	char login[100][32];
	unsigned n_full = 0;

	for (size_t i = 0; i < ARRAY_SIZE(got); i++) {
		struct verify_attempt other = attempt;

		snprintf(login[i], sizeof(login[i]), "user%zu@example.com", i);
		other.login = login[i];
		verifier_check(verifier, &other, on_answer, &got[i]);
		n_full += got[i].n;
	}
	assert_true(n_full > 0);
	verifier = verifier_free(verifier);
	for (size_t i = 0; i < ARRAY_SIZE(got); i++) {
		assert_int_equal(got[i].n, 1);
		assert_int_equal(got[i].status, VERIFY_UNAVAILABLE);
	}
	fix_run(fix);
}

/* The registry has yet to say that a code is used. */
static void test_code_when_the_store_fails(void **state)
{
	struct fix *fix = *state;
	const char *from = "192.0.2.1";
	struct verify_attempt attempt;
	struct got got = { 0 };
	char code[7];

	set_totp(fix);
	assert_int_equal(totp_code(TOTP, FIX_START / SEC / 30, code), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(try_code(fix, ALICE, "0", from).status, VERIFY_WRONG);
	attempt = attempt_of(ALICE, NULL, code, from);
	slow.hold = true;
	verifier_check_code(verifier, &attempt, on_answer, &got);
	assert_int_equal(got.n, 0);
	answer_late(-EIO);
	assert_int_equal(wait_for(fix, &got).status, VERIFY_UNAVAILABLE);
	/* That was no failure of hers. */
	assert_int_equal(try_code(fix, ALICE, code, from).status, VERIFY_OK);
}

static void test_end_before_the_store_answers(void **state)
{
	struct fix *fix = *state;
	struct verify_attempt attempt;
	struct got got = { 0 };
	char code[7];

	set_totp(fix);
	assert_int_equal(totp_code(TOTP, FIX_START / SEC / 30, code), 0);
	attempt = attempt_of(ALICE, NULL, code, NULL);
	slow.hold = true;
	verifier_check_code(verifier, &attempt, on_answer, &got);
	verifier = verifier_free(verifier);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.status, VERIFY_UNAVAILABLE);
	answer_late(-EIO);
	assert_int_equal(got.n, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_password_problem),
		cmocka_unit_test(test_password_hash),
		cmocka_unit_test(test_totp_vectors),
		cmocka_unit_test(test_totp_check),
		cmocka_unit_test(test_totp_secret),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_goes_well),
		cmocka_unit_test(test_limit_is_full),
		cmocka_unit_test(test_limit_key),
		cmocka_unit_test(test_worker),
		cmocka_unit_test(test_worker_ends),
		CASE(test_sign_in),
		CASE(test_wrong),
		CASE(test_suspended),
		CASE(test_changed_meanwhile),
		CASE(test_code),
		CASE(test_code_twice),
		CASE(test_limited),
		CASE(test_address_limited),
		CASE(test_limited_in_parallel),
		CASE(test_new_password),
		CASE(test_code_when_the_store_fails),
		CASE(test_end_before_the_store_answers),
		CASE(test_end),
	};
#undef CASE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
