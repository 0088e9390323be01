/* Asking a provider about one person, and what follows. */
#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "coord/oidc/tokens.h"
#include "coord/registry/accounts.h"
#include "coord/renewal/internal.h"

#define MAX_REVOCATIONS 4u /* tries; then the token is forgotten all the same */

static const struct registry_actor self = { .who = "coordinator" };

static struct registry *registry_of(const struct job *job)
{
	return job->renewals->config.registry;
}

/* NULL: not any more. */
static const struct renewal_record *record_of(const struct job *job)
{
	return job->is_gone ? NULL : registry_renewal(registry_of(job), job->head.id);
}

const struct renewal_provider *job_provider(const struct renewals *renewals,
					    const struct renewal_record *record)
{
	for (size_t i = 0; i < renewals->config.n_providers; i++) {
		const struct renewal_provider *p = &renewals->config.providers[i];

		if (strcmp(p->name, record->provider) == 0 &&
		    strcmp(p->issuer, record->issuer) == 0)
			return p;
	}
	return NULL;
}

void job_release(struct job *job)
{
	if (--job->holds > 0)
		return;
	if (!job->is_gone) {
		job_wait(job);
		return;
	}
	free(job->head.id);
	free(job->excluded);
	free(job);
}

static void leave(struct job *job)
{
	job->text = oidc_erase(job->text);
	if (!job->is_asking)
		return;
	job->is_asking = false;
	job->renewals->n_asking--;
	renewals_go_on(job->renewals);
}

void job_cancel(struct job *job)
{
	job->call = oidc_cancel(job->call);
	leave(job);
}

static void failed(struct job *job, const char *problem)
{
	const struct renewal_record *record = record_of(job);

	job->failures++;
	job->renewals->stats.failed++;
	if (record)
		renewals_complain(job->renewals, record, problem);
}

/* ---- what the registry is told ---- */

static struct registry_renewal_at at(const struct renewal_record *record)
{
	return (struct registry_renewal_at){ record->head.id, record->head.revision };
}

/* CONFLICT: there is another token by now. Anything else: it is asked about again, and told then.
 */
static void on_told(const struct registry_result *result, void *userdata)
{
	struct job *job = userdata;

	if (result->code != REGISTRY_OK && result->code != REGISTRY_CONFLICT)
		failed(job, result->text);
	job_release(job);
}

static void on_gone(const struct registry_result *result, void *userdata)
{
	struct job *job = userdata;

	job->renewals->stats.gone += result->code == REGISTRY_OK;
	on_told(result, userdata);
}

static void tell_gone(struct job *job, const struct renewal_record *record, const char *why)
{
	const struct registry_renewal_at it = at(record);

	job->holds++;
	registry_renewal_gone(registry_of(job), &self, &it, why, on_gone, job);
}

static void drop(struct job *job, const struct renewal_record *record, const char *why)
{
	const struct registry_renewal_at it = at(record);

	job->renewals->stats.lost += why != NULL;
	job->holds++;
	registry_drop_renewal(registry_of(job), &self, &it, why, on_told, job);
}

static void on_confirmed(const struct registry_result *result, void *userdata)
{
	struct job *job = userdata;
	const struct renewal_record *record = record_of(job);
	_cleanup_free_ char *excluded = take_ptr(job->excluded);

	job->is_confirming = false;
	if (result->code != REGISTRY_OK && result->code != REGISTRY_CONFLICT) {
		/* What we have is what the provider may not take any more. */
		job->is_unsure = true;
		failed(job, result->text);
	} else if (result->code == REGISTRY_OK && record && excluded) {
		tell_gone(job, record, excluded);
	}
	job_release(job);
}

/* ---- what the provider says ---- */

static const char *token_of(const struct job *job)
{
	return strchr(job->text, ' ') + 1;
}

static char *nonce_of(const struct job *job)
{
	return strndup(job->text, strcspn(job->text, " "));
}

/* Return: 0 and *ret_sealed, NULL: it is the same; -E2BIG, -ENOMEM, -EIO. */
static int seal_new(const struct job *job, const struct renewal_record *record, const char *token,
		    char **ret_sealed)
{
	_cleanup_free_ char *nonce = NULL;

	*ret_sealed = NULL;
	if (!token || strcmp(token, token_of(job)) == 0)
		return 0;
	nonce = nonce_of(job);
	return nonce ? renewal_seal(job->renewals->config.sealer, record->issuer, record->subject,
				    nonce, token, ret_sealed)
		     : -ENOMEM;
}

static void on_tokens(const char *refresh_token, void *userdata)
{
	struct job *job = userdata;
	const struct renewal_record *record = record_of(job);
	_cleanup_free_ char *sealed = NULL;
	struct registry_renewal_at it;
	int r = record ? seal_new(job, record, refresh_token, &sealed) : -ENOENT;

	job->is_unsure = r < 0;
	job->failures = 0;
	job->renewals->stats.refreshed++;
	if (r < 0)
		return;
	it = at(record);
	job->is_confirming = true;
	job->holds++;
	registry_confirm_renewal(registry_of(job), &self, &it, sealed, on_confirmed, job);
}

/* Groups as at a sign-in; what the answer leaves out stays. */
static void take_over(struct job *job, const struct renewal_record *record,
		      const struct oidc_identity *identity)
{
	const struct registry_identity known = {
		.issuer = record->issuer,
		.subject = record->subject,
		.groups = { identity->groups, identity->n_groups },
	};

	if (!identity->has_groups)
		return;
	job->holds++;
	registry_sign_in_identity(registry_of(job), &self, &known, false, on_told, job);
}

static void known_still(struct job *job, const struct renewal_record *record,
			const struct oidc_identity *identity)
{
	const struct renewal_provider *provider = job_provider(job->renewals, record);
	const char *why = provider->still_admits(provider->userdata, identity);

	if (!why) {
		take_over(job, record, identity);
	} else if (job->is_confirming) {
		free(job->excluded);
		job->excluded = strdup(why);
	} else {
		tell_gone(job, record, why);
	}
}

/*
 * A provider that changes tokens takes an old one for stolen. If its last answer was lost, that is
 * what this may be: nobody is to be locked out by a broken connection. Who can break it could keep
 * every answer away.
 */
static void known_no_more(struct job *job, const struct renewal_record *record, const char *why)
{
	if (job->is_unsure && record->changes)
		drop(job, record,
		     "an answer of the provider was lost, and with it the token; whether the "
		     "person leaves is seen again from their next sign-in on");
	else
		tell_gone(job, record, why);
}

/* The call is over. Return: what it was about, and the job is held; NULL: not any more. */
static const struct renewal_record *take_answer(struct job *job)
{
	const struct renewal_record *record = record_of(job);

	job->call = NULL;
	leave(job);
	if (record)
		job->holds++;
	return record;
}

static void on_refreshed(enum oidc_refresh result, const struct oidc_identity *identity,
			 const char *problem, void *userdata)
{
	struct job *job = userdata;
	const struct renewal_record *record = take_answer(job);

	if (!record)
		return;
	switch (result) {
	case OIDC_REFRESHED:
		known_still(job, record, identity);
		break;
	case OIDC_REFRESH_GONE:
		known_no_more(job, record, problem);
		break;
	case OIDC_REFRESH_SILENT:
		job->is_unsure = true;
		failed(job, problem);
		break;
	case OIDC_REFRESH_FAILED:
		failed(job, problem);
		break;
	}
	job_release(job);
}

static void on_revoked(const char *problem, void *userdata)
{
	struct job *job = userdata;
	const struct renewal_record *record = take_answer(job);

	if (!record)
		return;
	if (problem)
		failed(job, problem);
	if (!problem || job->failures >= MAX_REVOCATIONS)
		drop(job, record, NULL);
	job_release(job);
}

/* ---- asking ---- */

static int open_text(struct job *job, const struct renewal_record *record)
{
	int r = sealer_open(job->renewals->config.sealer, record->issuer, record->subject,
			    record->sealed, &job->text);

	if (r == 0 && !strchr(job->text, ' '))
		r = -EBADMSG;
	return r;
}

static int ask(struct job *job, const struct renewal_record *record,
	       const struct renewal_provider *provider, bool live)
{
	_cleanup_free_ char *nonce = nonce_of(job);
	const struct oidc_renewal renewal = { token_of(job), record->subject, nonce };
	struct oidc_call *call = NULL;
	int r;

	if (!nonce)
		return -ENOMEM;
	r = live ? provider->refresh(provider->userdata, &renewal, on_tokens, on_refreshed, job,
				     &call)
		 : provider->revoke(provider->userdata, renewal.refresh_token, on_revoked, job,
				    &call);
	if (r == 0)
		job->call = call;
	return r;
}

/* The job is held, and among those that ask. */
static void go_on(struct job *job, const struct renewal_record *record)
{
	const struct renewal_provider *provider = job_provider(job->renewals, record);
	bool live = registry_renewal_is_live(registry_of(job), record);
	int r = open_text(job, record);

	if (r == -EBADMSG)
		drop(job, record,
		     live ? "it was sealed by a coordinator with another key; whether the person "
			    "leaves is seen again from their next sign-in on"
			  : NULL);
	else if (r == 0 && !provider)
		drop(job, record, NULL);
	else if (r == 0)
		r = ask(job, record, provider, live);
	if (r < 0 && r != -EBADMSG)
		failed(job, r == -EBUSY ? "too many people are signing in" : strerror(-r));
	if (r < 0 || !provider)
		leave(job);
}

static void on_marked(const struct registry_result *result, void *userdata)
{
	struct job *job = userdata;
	const struct renewal_record *record = record_of(job);

	if (result->code == REGISTRY_OK && record && job->is_asking) {
		go_on(job, record);
	} else {
		if (result->code != REGISTRY_OK && result->code != REGISTRY_CONFLICT)
			failed(job, result->text);
		leave(job);
	}
	job_release(job);
}

void job_ask(struct job *job)
{
	const struct renewal_record *record = record_of(job);
	struct registry_renewal_at it = at(record);

	job->holds++;
	job->is_asking = true;
	job->renewals->n_asking++;
	if (record->changes && !record->asked &&
	    registry_renewal_is_live(registry_of(job), record)) {
		registry_ask_renewal(registry_of(job), &self, &it, on_marked, job);
		return;
	}
	go_on(job, record);
	job_release(job);
}
