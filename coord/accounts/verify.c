#include "coord/accounts/verify.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "coord/accounts/limit.h"
#include "coord/accounts/password.h"
#include "coord/accounts/totp.h"
#include "coord/accounts/worker.h"

/* That wait for the thread: the last one for two seconds or so. */
#define MAX_JOBS 32u

#define HOUR_USEC (3600 * USEC_PER_SEC)
/* Offices share an address. */
static const struct limit_config account_limit = { 5, 32768, HOUR_USEC };
static const struct limit_config address_limit = { 30, 32768, HOUR_USEC };
/* From where somebody signed in lately: nothing fails there, it is only remembered. */
static const struct limit_config known_limit = { UINT32_MAX, 16384, 30 * 24 * HOUR_USEC };

struct check;

struct verifier {
	struct registry *registry;
	struct worker *worker;
	struct limit *accounts, *addresses, *known;
	LIST_HEAD(, check) checks;
	bool is_ending;
};

enum check_kind {
	CHECK_PASSWORD,
	CHECK_CODE, /* the password is known to be right */
	CHECK_HASH, /* of a new password */
};

/* An attempt, until it is answered. */
struct check {
	struct job job;		   /* first */
	struct verifier *verifier; /* NULL: it is gone, and this was answered */
	LIST_ENTRY(check) link;
	verify_fn done;
	void *userdata;
	enum check_kind kind;

	char *login, *password, *code;
	char *hash; /* to compare with (NULL: nobody's), or made */
	struct ip_addr from;
	struct limit_key account, address, known;
	int result; /* of the thread */
	bool used_code;
};

static struct check *check_free(struct check *c)
{
	if (!c)
		return NULL;
	if (c->verifier)
		LIST_REMOVE(c, link);
	secret_free(c->password);
	secret_free(c->code);
	secret_free(c->hash);
	free(c->login);
	free(c);
	return NULL;
}

/* ---- answers ---- */

static void answer(struct check *c, const struct verify_answer *a)
{
	c->done(a, c->userdata);
	check_free(c);
}

static void unavailable(struct check *c, const char *text)
{
	answer(c, &(struct verify_answer){ .status = VERIFY_UNAVAILABLE, .text = text });
}

static void no_memory(struct check *c)
{
	unavailable(c, "The coordinator is out of memory. Try again later.");
}

/* One text, whatever it was: nobody learns who has an account. why is for the operators. */
static void wrong(struct check *c, const char *why)
{
	char from[IP_ADDR_STRLEN];
	const struct registry_actor actor = {
		.who = "web",
		.from = c->from.family ? ip_addr_to_string(&c->from, from) : NULL,
	};

	registry_refused_sign_in(c->verifier->registry, &actor, c->login, why);
	answer(c, &(struct verify_answer){
			  .status = VERIFY_WRONG,
			  .text = c->kind == CHECK_CODE
					  ? "This code is not right, or has been used. Wait for "
					    "the next one."
					  : "Login, password or code are not right.",
		  });
}

static void give_back(struct check *c)
{
	limit_give_back(c->verifier->accounts, &c->account);
	limit_give_back(c->verifier->addresses, &c->address);
}

static void right(struct check *c)
{
	struct verifier *v = c->verifier;

	limit_forget(v->accounts, &c->account);
	/* Not all that came from there: who has one account shall not get free tries at others. */
	limit_give_back(v->addresses, &c->address);
	if (c->from.family)
		(void)limit_take(v->known, &c->known, clock_usec(CLOCK_MONOTONIC));
	answer(c, &(struct verify_answer){
			  .status = VERIFY_OK,
			  .login = c->login,
			  .method = c->used_code ? "password+totp" : "password",
		  });
}

/* ---- limits ---- */

/* Where somebody signs in as a rule, what happens elsewhere does not count. */
static int choose_keys(struct check *c)
{
	int r = limit_key(c->login, &c->from, &c->known);

	if (r == 0)
		r = limit_key(NULL, &c->from, &c->address);
	if (r < 0 || (c->from.family &&
		      limit_has(c->verifier->known, &c->known, clock_usec(CLOCK_MONOTONIC)))) {
		c->account = c->known;
		return r;
	}
	return limit_key(c->login, NULL, &c->account);
}

/* Return: 0; how long to wait, in microseconds; negative errno. */
static int64_t charge(struct check *c)
{
	struct verifier *v = c->verifier;
	uint64_t now = clock_usec(CLOCK_MONOTONIC), wait, other;
	int r = choose_keys(c);

	if (r < 0)
		return r;
	wait = limit_wait(v->accounts, &c->account, now);
	other = c->from.family ? limit_wait(v->addresses, &c->address, now) : 0;
	if (wait < other)
		wait = other;
	if (wait > 0)
		return (int64_t)wait;
	r = limit_take(v->accounts, &c->account, now);
	if (r == 0 && c->from.family)
		r = limit_take(v->addresses, &c->address, now);
	return r;
}

static void later(struct check *c, uint64_t wait)
{
	answer(c, &(struct verify_answer){
			  .status = VERIFY_LATER,
			  .text = "There were too many failed attempts. Wait before you try again.",
			  .retry_usec = wait,
		  });
}

/* ---- codes ---- */

static const struct user_record *user_of(const struct check *c)
{
	return registry_user(c->verifier->registry, c->login);
}

static void on_used(const struct registry_result *result, void *userdata)
{
	struct check *c = userdata;

	if (!c->verifier) {
		check_free(c);
		return;
	}
	c->used_code = true;
	switch (result->code) {
	case REGISTRY_OK:
		right(c);
		break;
	case REGISTRY_UNAVAILABLE:
		give_back(c);
		unavailable(c, "The coordinator cannot do it right now. Try again.");
		break;
	default:
		wrong(c, "a code that was used before");
	}
}

static void check_code(struct check *c, const struct user_record *user)
{
	const struct registry_actor actor = { .who = "web" };
	struct registry *registry = c->verifier->registry;
	uint64_t step;
	int r = totp_check(user->totp, c->code, registry_now(registry), user->totp_step, &step);

	if (r == TOTP_WRONG)
		wrong(c, "the code is wrong");
	else if (r < 0)
		no_memory(c);
	else
		registry_used_totp(registry, &actor, c->login, step, on_used, c);
}

/* ---- passwords ---- */

/* Nobody's: as much work, for nothing. */
static int check_nobodys(const char *password)
{
	_cleanup_free_ char *hash = NULL;
	int r = password_hash(password, &hash);

	return r < 0 ? r : PASSWORD_WRONG;
}

static void run(struct job *job)
{
	struct check *c = (struct check *)job;

	if (c->kind == CHECK_HASH)
		c->result = password_hash(c->password, &c->hash);
	else if (c->hash)
		c->result = password_check(c->password, c->hash);
	else
		c->result = check_nobodys(c->password);
}

/* The record may have changed meanwhile: what it says now counts. */
static const char *why_wrong(const struct check *c, const struct user_record *user)
{
	if (!user)
		return "there is no such user";
	if (!c->hash)
		return "the user has no password, or what was given is none";
	if (c->result == -EINVAL)
		return "the hash in the user's record is none that is known here";
	if (c->result == PASSWORD_WRONG)
		return "the password is wrong";
	if (!user->password || strcmp(user->password, c->hash) != 0)
		return "the password was changed";
	return user->suspended ? "the password is right, and the user is suspended" : NULL;
}

static void decide(struct check *c)
{
	const struct user_record *user = user_of(c);
	const char *why = why_wrong(c, user);

	if (why) {
		wrong(c, why);
	} else if (!user->totp) {
		right(c);
	} else if (c->code) {
		check_code(c, user);
	} else {
		give_back(c);
		answer(c,
		       &(struct verify_answer){ .status = VERIFY_NEEDS_CODE, .login = c->login });
	}
}

static void on_done(struct job *job)
{
	struct check *c = (struct check *)job;

	if (!job->is_run || c->verifier->is_ending) {
		unavailable(c, "The coordinator is stopping. Try again in a moment.");
	} else if (c->result < 0 && c->result != -EINVAL) {
		if (c->kind == CHECK_PASSWORD)
			give_back(c);
		no_memory(c);
	} else if (c->kind == CHECK_HASH) {
		answer(c, &(struct verify_answer){ .status = VERIFY_OK, .hash = c->hash });
	} else {
		decide(c);
	}
}

/* ---- beginning ---- */

static char *copy(const char *text, bool *failed)
{
	char *copied = text ? strdup(text) : NULL;

	*failed = *failed || (text && !copied);
	return copied;
}

/* NULL: no memory, and done was told. */
static struct check *check_new(struct verifier *v, enum check_kind kind,
			       const struct verify_attempt *attempt, verify_fn done, void *userdata)
{
	struct check *c = calloc(1, sizeof(*c));
	bool failed = false;

	if (!c) {
		done(&(struct verify_answer){ .status = VERIFY_UNAVAILABLE,
					      .text = "The coordinator is out of memory." },
		     userdata);
		return NULL;
	}
	c->job.run = run;
	c->job.done = on_done;
	c->verifier = v;
	c->kind = kind;
	c->done = done;
	c->userdata = userdata;
	c->from = attempt->from;
	LIST_INSERT_HEAD(&v->checks, c, link);
	c->login = copy(attempt->login, &failed);
	for (char *p = c->login; p && *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	c->password = copy(attempt->password, &failed);
	c->code = copy(attempt->code, &failed);
	if (!failed)
		return c;
	no_memory(c);
	return NULL;
}

/* Return: whether it may go on; otherwise it is answered. */
static bool admit(struct check *c)
{
	int64_t wait = charge(c);

	if (wait > 0)
		later(c, (uint64_t)wait);
	else if (wait < 0)
		no_memory(c);
	return wait == 0;
}

static void enqueue(struct check *c)
{
	if (worker_add(c->verifier->worker, &c->job) == 0)
		return;
	if (c->kind == CHECK_PASSWORD)
		give_back(c);
	unavailable(c, "Too many people are signing in right now. Try again in a moment.");
}

void verifier_check(struct verifier *v, const struct verify_attempt *attempt, verify_fn done,
		    void *userdata)
{
	struct check *c = check_new(v, CHECK_PASSWORD, attempt, done, userdata);
	const struct user_record *user;
	bool failed = false;

	if (!c || !admit(c))
		return;
	user = user_of(c);
	/* Longer ones are nobody's, and crypt(3) would not take them. */
	if (strlen(c->password) > PASSWORD_MAX)
		OPENSSL_cleanse(c->password, strlen(c->password));
	else if (user && user->password)
		c->hash = copy(user->password, &failed);
	if (failed)
		no_memory(c);
	else
		enqueue(c);
}

void verifier_check_code(struct verifier *v, const struct verify_attempt *attempt, verify_fn done,
			 void *userdata)
{
	struct check *c = check_new(v, CHECK_CODE, attempt, done, userdata);
	const struct user_record *user;

	if (!c || !admit(c))
		return;
	user = user_of(c);
	if (!user || user->suspended)
		wrong(c, "the user is suspended, or was deleted");
	else if (!user->totp || !c->code)
		wrong(c, "no code is asked for (any more)");
	else
		check_code(c, user);
}

void verifier_hash(struct verifier *v, const char *password, verify_fn done, void *userdata)
{
	const struct verify_attempt attempt = { .password = password };
	struct check *c = check_new(v, CHECK_HASH, &attempt, done, userdata);

	if (c)
		enqueue(c);
}

/* ---- the whole ---- */

static int prepare(struct verifier *v, sd_event *event)
{
	int r = limit_new(&account_limit, &v->accounts);

	if (r == 0)
		r = limit_new(&address_limit, &v->addresses);
	if (r == 0)
		r = limit_new(&known_limit, &v->known);
	return r == 0 ? worker_new(event, MAX_JOBS, &v->worker) : r;
}

int verifier_new(sd_event *event, struct registry *registry, struct verifier **ret_verifier)
{
	_cleanup_(verifier_freep) struct verifier *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->registry = registry;
	LIST_INIT(&v->checks);
	r = prepare(v, event);
	if (r == 0)
		*ret_verifier = take_ptr(v);
	return r;
}

/* The registry has still to say of them that a code was not used before. */
static void abandon(struct verifier *v)
{
	struct check *c;

	while ((c = LIST_FIRST(&v->checks))) {
		LIST_REMOVE(c, link);
		c->verifier = NULL;
		c->done(&(struct verify_answer){ .status = VERIFY_UNAVAILABLE,
						 .text = "The coordinator is stopping." },
			c->userdata);
	}
}

struct verifier *verifier_free(struct verifier *v)
{
	if (!v)
		return NULL;
	v->is_ending = true;
	v->worker = worker_free(v->worker);
	abandon(v);
	limit_free(v->accounts);
	limit_free(v->addresses);
	limit_free(v->known);
	free(v);
	return NULL;
}
