/* Between renewals.c, which knows who there is, and job.c, which asks about one. */
#pragma once

#include <sys/queue.h>

#include "coord/registry/renewal.h"
#include "coord/registry/table.h"
#include "coord/renewal/renewals.h"

/* One kept token: asked about when it is due, given back when it is of no use any more. */
struct job {
	struct record_head head; /* the record's id */
	struct renewals *renewals;
	TAILQ_ENTRY(job) entry; /* of those whose turn it is */
	bool is_queued, is_asking;
	bool is_gone;	    /* not among the jobs any more; freed when nobody holds it */
	unsigned holds;	    /* by operations of the registry, and who is at work on it */
	uint64_t created;   /* of the record: which sign-in it is from */
	unsigned failures;  /* since the last answer */
	bool is_unsure;	    /* the provider may have changed the token, and we did not hear */
	bool is_confirming; /* what it answered is being written */
	char *excluded;	    /* why they may not sign in any more, to be written after that */
	char *text;	    /* while asking: "NONCE TOKEN" */
	sd_event_source *timer;
	struct oidc_call *call;
};
TAILQ_HEAD(job_queue, job);

struct renewals {
	sd_event *event;
	struct renewals_config config;
	struct registry_subscription *subscription;
	struct table jobs;
	struct job_queue queue;
	unsigned n_asking;
	sd_event_source *next; /* whose turn it is */
	bool is_stopped;
	struct renewals_stats stats;
	char *problem;
	uint64_t complained; /* CLOCK_BOOTTIME; 0: not yet */
	unsigned untold;     /* problems since then */
};

/* ---- job.c ---- */

/* By the record; NULL: it is configured no more. */
const struct renewal_provider *job_provider(const struct renewals *renewals,
					    const struct renewal_record *record);
/* It is its turn. */
void job_ask(struct job *job);
/* Whatever is under way is dropped. */
void job_cancel(struct job *job);
/* A hold less; with the last one, it waits for its next turn, or is freed. */
void job_release(struct job *job);

/* ---- renewals.c ---- */

/* Its next turn, by what is known now. */
void job_wait(struct job *job);
/* Others may have theirs. */
void renewals_go_on(struct renewals *renewals);
void renewals_complain(struct renewals *renewals, const struct renewal_record *record,
		       const char *problem);
