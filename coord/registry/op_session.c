/* Sessions of browsers: opened after somebody has shown who they are, and closed. */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "common/base64.h"
#include "common/text.h"
#include "coord/registry/code.h"
#include "coord/registry/names.h"
#include "coord/registry/person.h"

#define SESSION_LIFETIME_USEC (DAY_USEC / 2)

struct session_op {
	struct op op;
	char *login; /* of whom */
	char *method, *agent;
	enum auth_strength strength;
	uint64_t auth_time, lifetime_usec;
	struct ip_addr from;
	char secret[SECRET_SIZE];
	char id[HASH_ID_SIZE]; /* "": there is no such session */
};

static void destroy(struct op *op)
{
	struct session_op *s = (struct session_op *)op;

	OPENSSL_cleanse(s->secret, sizeof(s->secret));
	free(s->login);
	free(s->method);
	free(s->agent);
}

/* ---- opening ---- */

/* The oldest of somebody's sessions, but those that are gone; and how many there are. */
static const struct websession_record *oldest_of(const struct registry *registry, const char *login,
						 size_t *ret_n)
{
	const struct websession_record *oldest = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < registry_n_websessions(registry); i++) {
		const struct websession_record *session = registry_websession_at(registry, i);

		if (strcmp(session->user, login) != 0)
			continue;
		(*ret_n)++;
		if (!oldest || session->created < oldest->created)
			oldest = session;
	}
	return oldest;
}

/* Everybody has so many; each that comes then takes the place of another. */
static int make_room(struct session_op *s, struct txn *txn)
{
	const struct registry *registry = s->op.registry;
	size_t n;
	const struct websession_record *oldest = oldest_of(registry, s->login, &n);

	if (n >= REGISTRY_MAX_SESSIONS_EACH)
		txn_delete(txn, "websessions/", oldest->head.id);
	else if (registry_n_websessions(registry) >= REGISTRY_MAX_WEBSESSIONS)
		return op_refuse(&s->op, REGISTRY_TOO_MANY,
				 "%u browsers are signed in, which is the most; try again later",
				 REGISTRY_MAX_WEBSESSIONS);
	return 0;
}

static int prepare_open(struct op *op, struct txn *txn)
{
	struct session_op *s = (struct session_op *)op;
	const struct user_record *old;
	struct user_record user;
	struct websession_record session;
	int r = person_find_active(op, s->login, &old);

	if (r == 0)
		r = make_room(s, txn);
	if (r != 0)
		return r;
	session = (struct websession_record){
		.head.id = s->id,
		.user = s->login,
		.created = person_begin(op, old->signed_out),
		.auth_time = s->auth_time,
		.expires = time_after(op->registry->clock(), s->lifetime_usec),
		.method = s->method,
		.strength = s->strength,
		.from = s->from,
		.agent = s->agent,
	};
	user = *old;
	user.last_sign_in = op->registry->clock();
	txn_put_record(txn, &user_record_kind, &user);
	txn_put_record(txn, &websession_record_kind, &session);
	op_event(op, txn, s->login, "%s, strength %s%s%s", s->method,
		 auth_strength_to_string(s->strength), s->agent ? ", " : "",
		 s->agent ? s->agent : "");
	return 0;
}

static void complete_open(struct op *op)
{
	struct session_op *s = (struct session_op *)op;

	op->result.user = registry_user(op->registry, s->login);
	op->result.secret = s->secret;
}

static const struct op_kind open_kind = {
	.action = "user.sign-in",
	.size = sizeof(struct session_op),
	.prepare = prepare_open,
	.complete = complete_open,
	.destroy = destroy,
};

static int copy_request(struct session_op *s, const struct registry_session_request *request)
{
	uint8_t hash[SHA256_LEN];
	int r;

	s->op.tell_refusal = true;
	s->op.object = strdup(request->user);
	s->login = strdup(request->user);
	s->method = strdup(request->method);
	s->agent = request->agent && *request->agent
			   ? text_sanitize(request->agent, RECORD_MAX_TEXT)
			   : NULL;
	if (!s->op.object || !s->login || !s->method ||
	    (request->agent && *request->agent && !s->agent))
		return -ENOMEM;
	s->strength = request->strength;
	s->auth_time = request->auth_time;
	s->lifetime_usec = request->lifetime_usec ? request->lifetime_usec : SESSION_LIFETIME_USEC;
	s->from = request->from;
	r = secret_new(s->secret, hash);
	if (r == 0)
		base64url_encode(hash, sizeof(hash), s->id);
	return r;
}

void registry_open_session(struct registry *registry, const struct registry_actor *actor,
			   const struct registry_session_request *request, registry_done_fn done,
			   void *userdata)
{
	struct session_op *s =
		(struct session_op *)op_new(registry, &open_kind, actor, done, userdata);

	if (s)
		op_begin(&s->op, copy_request(s, request));
}

void registry_refused_sign_in(struct registry *registry, const struct registry_actor *actor,
			      const char *login, const char *why)
{
	/* What is no login may be a password in the wrong field: that is not kept. */
	const struct registry_event event = {
		.action = open_kind.action,
		.object = login_problem(login) ? NULL : login,
		.result = registry_code_to_string(REGISTRY_NOT_ALLOWED),
		.details = why,
	};

	op_tell_refusal(registry, actor, &event);
}

/* ---- closing ---- */

static int prepare_close(struct op *op, struct txn *txn)
{
	struct session_op *s = (struct session_op *)op;
	const struct websession_record *session = (const struct websession_record *)table_find(
		&op->registry->state->websessions, s->id);
	const struct user_record *user;
	int r;

	if (!session)
		return OP_ANSWERED;
	r = person_find(op, session->user, &user);
	if (r != 0)
		return r;
	txn_expect(txn, "websessions/", s->id, session->head.revision);
	txn_delete(txn, "websessions/", s->id);
	op_event(op, txn, session->user, NULL);
	return 0;
}

static int prepare_close_all(struct op *op, struct txn *txn)
{
	struct session_op *s = (struct session_op *)op;
	const struct user_record *old;
	struct user_record user;
	int r = person_find(op, s->login, &old);

	if (r != 0)
		return r;
	user = *old;
	user.signed_out = person_end_sessions(op, s->login);
	txn_put_record(txn, &user_record_kind, &user);
	op_event(op, txn, s->login, "everywhere");
	return 0;
}

static void complete_close_all(struct op *op)
{
	struct session_op *s = (struct session_op *)op;

	op->result.user = registry_user(op->registry, s->login);
}

static const struct op_kind close_kind = {
	.action = "user.sign-out",
	.size = sizeof(struct session_op),
	.for_people = true,
	.prepare = prepare_close,
	.destroy = destroy,
};
static const struct op_kind close_all_kind = {
	.action = "user.sign-out",
	.size = sizeof(struct session_op),
	.for_people = true,
	.prepare = prepare_close_all,
	.complete = complete_close_all,
	.destroy = destroy,
};

void registry_close_session(struct registry *registry, const struct registry_actor *actor,
			    const char *secret, registry_done_fn done, void *userdata)
{
	struct session_op *s =
		(struct session_op *)op_new(registry, &close_kind, actor, done, userdata);
	int r;

	if (!s)
		return;
	r = secret_id(secret, s->id);
	op_begin(&s->op, r == -EINVAL ? 0 : r);
}

void registry_close_sessions(struct registry *registry, const struct registry_actor *actor,
			     const char *login, registry_done_fn done, void *userdata)
{
	struct session_op *s =
		(struct session_op *)op_new(registry, &close_all_kind, actor, done, userdata);

	if (!s)
		return;
	s->login = strdup(login);
	op_begin(&s->op, s->login ? 0 : -ENOMEM);
}
