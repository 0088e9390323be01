#include "coord/renewal/renewals.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/text.h"
#include "coord/renewal/internal.h"
#include "coord/renewal/schedule.h"

#define MAX_ASKING    4u
#define COMPLAIN_USEC (60 * USEC_PER_SEC)
#define REVOKE_EVERY  (600 * USEC_PER_SEC) /* the longest between two tries */

int renewal_seal(const struct sealer *sealer, const char *issuer, const char *subject,
		 const char *nonce, const char *refresh_token, char **ret_sealed)
{
	char *text = text_printf("%s %s", nonce, refresh_token);
	int r = text ? sealer_seal(sealer, issuer, subject, text, ret_sealed) : -ENOMEM;

	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return r;
}

void renewals_complain(struct renewals *renewals, const struct renewal_record *record,
		       const char *problem)
{
	uint64_t now = clock_usec(CLOCK_BOOTTIME);
	_cleanup_free_ char *text = NULL;

	free(renewals->problem);
	renewals->problem = text_printf("oidc:%s: %s", record->provider, problem);
	if (renewals->complained && now - renewals->complained < COMPLAIN_USEC) {
		renewals->untold++;
		return;
	}
	text = text_printf("%s: whether the provider knows them still is not known at the moment: "
			   "oidc:%s: %s (%u more such lines were left out)",
			   record->user, record->provider, problem, renewals->untold);
	if (text)
		renewals->config.problem(text, renewals->config.userdata);
	renewals->complained = now;
	renewals->untold = 0;
}

/* ---- turns ---- */

static int on_next(sd_event_source *source, void *userdata)
{
	struct renewals *renewals = userdata;

	while (renewals->n_asking < MAX_ASKING && !TAILQ_EMPTY(&renewals->queue)) {
		struct job *job = TAILQ_FIRST(&renewals->queue);

		TAILQ_REMOVE(&renewals->queue, job, entry);
		job->is_queued = false;
		job_ask(job);
	}
	return 0;
}

void renewals_go_on(struct renewals *renewals)
{
	if (!renewals->is_stopped)
		(void)sd_event_source_set_enabled(renewals->next, SD_EVENT_ONESHOT);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct job *job = userdata;

	TAILQ_INSERT_TAIL(&job->renewals->queue, job, entry);
	job->is_queued = true;
	renewals_go_on(job->renewals);
	return 0;
}

/* UINT64_MAX: never, as things are. */
static uint64_t wait_of(const struct job *job, const struct renewal_record *record)
{
	const struct renewals *renewals = job->renewals;
	const struct renewal_provider *provider = job_provider(renewals, record);
	bool live = registry_renewal_is_live(renewals->config.registry, record);
	uint64_t every = live && provider ? provider->every_usec : REVOKE_EVERY, random;

	if (live && (!provider || every == 0))
		return UINT64_MAX;
	if (job->failures > 0) {
		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			random = 0;
		return renewal_retry(job->failures, every, random);
	}
	return live ? renewal_wait(record->confirmed, every, record->head.id,
				   registry_now(renewals->config.registry))
		    : 0;
}

void job_wait(struct job *job)
{
	const struct renewal_record *record;
	uint64_t wait;
	int r;

	if (job->is_gone || job->renewals->is_stopped || job->is_asking || job->is_queued ||
	    job->holds > 0)
		return;
	record = registry_renewal(job->renewals->config.registry, job->head.id);
	wait = record ? wait_of(job, record) : UINT64_MAX;
	job->timer = sd_event_source_disable_unref(job->timer);
	if (wait == UINT64_MAX)
		return;
	r = sd_event_add_time_relative(job->renewals->event, &job->timer, CLOCK_BOOTTIME, wait,
				       wait / 16 + 1, on_due, job);
	if (r < 0)
		renewals_complain(job->renewals, record, strerror(-r));
}

/* ---- who there is ---- */

static struct job *find(const struct renewals *renewals, const char *id)
{
	return (struct job *)table_find(&renewals->jobs, id);
}

static void stop(struct job *job)
{
	job_cancel(job);
	job->timer = sd_event_source_disable_unref(job->timer);
	if (job->is_queued)
		TAILQ_REMOVE(&job->renewals->queue, job, entry);
	job->is_queued = false;
}

static void forget(struct renewals *renewals, struct job *job)
{
	table_take(&renewals->jobs, job->head.id);
	job->holds++;
	stop(job);
	job->is_gone = true;
	job_release(job);
}

static int add(struct renewals *renewals, const struct renewal_record *record)
{
	struct job *job = calloc(1, sizeof(*job));
	struct record_head *old;

	if (!job)
		return -ENOMEM;
	job->renewals = renewals;
	job->created = record->created;
	job->is_unsure = record->asked;
	job->head.id = strdup(record->head.id);
	if (!job->head.id || table_put(&renewals->jobs, &job->head, &old) < 0) {
		free(job->head.id);
		free(job);
		return -ENOMEM;
	}
	job_wait(job);
	return 0;
}

/* Without memory, it is known at the next change, or start. */
static void look(struct renewals *renewals, const struct renewal_record *record)
{
	struct job *job = find(renewals, record->head.id);

	/* Of another sign-in: what was asked about the old token is of no interest. */
	if (job && job->created != record->created) {
		forget(renewals, job);
		job = NULL;
	}
	if (job)
		job_wait(job);
	else if (add(renewals, record) < 0)
		renewals_complain(renewals, record, strerror(ENOMEM));
}

static void look_at_all(struct renewals *renewals, const char *user)
{
	const struct registry *registry = renewals->config.registry;

	for (size_t i = 0; i < registry_n_renewals(registry); i++) {
		const struct renewal_record *record = registry_renewal_at(registry, i);

		if (!user || strcmp(record->user, user) == 0)
			look(renewals, record);
	}
}

static void reset(struct renewals *renewals)
{
	for (size_t i = renewals->jobs.n; i > 0; i--) {
		struct job *job = (struct job *)renewals->jobs.items[i - 1];

		if (!registry_renewal(renewals->config.registry, job->head.id))
			forget(renewals, job);
	}
	look_at_all(renewals, NULL);
}

static void on_changes(uint64_t revision, const struct registry_change *changes, size_t n,
		       void *userdata)
{
	struct renewals *renewals = userdata;

	for (size_t i = 0; i < n; i++) {
		const struct registry_change *change = &changes[i];
		const struct renewal_record *record;
		struct job *job;

		if (change->kind == REGISTRY_RESET)
			reset(renewals);
		if (change->kind == REGISTRY_USER)
			look_at_all(renewals, change->id);
		if (change->kind != REGISTRY_RENEWAL)
			continue;
		record = registry_renewal(renewals->config.registry, change->id);
		job = find(renewals, change->id);
		if (record)
			look(renewals, record);
		else if (job)
			forget(renewals, job);
	}
}

/* ---- beginning and end ---- */

int renewals_new(sd_event *event, const struct renewals_config *config,
		 struct renewals **ret_renewals)
{
	_cleanup_(renewals_freep) struct renewals *renewals = calloc(1, sizeof(*renewals));
	int r;

	if (!renewals)
		return -ENOMEM;
	TAILQ_INIT(&renewals->queue);
	renewals->event = sd_event_ref(event);
	renewals->config = *config;
	r = sd_event_add_defer(event, &renewals->next, on_next, renewals);
	if (r >= 0)
		r = sd_event_source_set_enabled(renewals->next, SD_EVENT_OFF);
	if (r >= 0)
		r = registry_subscribe(config->registry, on_changes, renewals,
				       &renewals->subscription);
	if (r < 0)
		return r;
	reset(renewals);
	*ret_renewals = take_ptr(renewals);
	return 0;
}

void renewals_stop(struct renewals *renewals)
{
	if (!renewals || renewals->is_stopped)
		return;
	renewals->subscription = registry_subscription_free(renewals->subscription);
	renewals->is_stopped = true;
	renewals->next = sd_event_source_disable_unref(renewals->next);
	for (size_t i = 0; i < renewals->jobs.n; i++)
		stop((struct job *)renewals->jobs.items[i]);
}

struct renewals *renewals_free(struct renewals *renewals)
{
	if (!renewals)
		return NULL;
	renewals_stop(renewals);
	while (renewals->jobs.n > 0)
		forget(renewals, (struct job *)renewals->jobs.items[renewals->jobs.n - 1]);
	free(renewals->jobs.items);
	free(renewals->problem);
	sd_event_unref(renewals->event);
	free(renewals);
	return NULL;
}

/* ---- for people ---- */

uint64_t renewals_notice_usec(const struct renewals *renewals, const char *issuer,
			      const char *subject)
{
	const struct registry *registry = renewals->config.registry;
	const struct renewal_record *record = registry_renewal_of(registry, issuer, subject);
	const struct renewal_provider *provider = record ? job_provider(renewals, record) : NULL;

	return provider && registry_renewal_is_live(registry, record) ? provider->every_usec : 0;
}

void renewals_get_stats(const struct renewals *renewals, struct renewals_stats *ret_stats)
{
	struct renewals_stats stats = renewals->stats;

	stats.kept = renewals->jobs.n;
	for (size_t i = 0; i < renewals->jobs.n; i++)
		stats.failing += ((const struct job *)renewals->jobs.items[i])->failures > 0;
	stats.problem = stats.failing > 0 ? renewals->problem : NULL;
	*ret_stats = stats;
}
