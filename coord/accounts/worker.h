/* One thread for what takes long, beside an event loop: a bounded queue in, an eventfd out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"

struct worker;

/* Embedded at the beginning of the job's own struct. */
struct job {
	struct job *next;
	/* In the thread. It sees nothing but the job: everything else belongs to the loop. */
	void (*run)(struct job *job);
	/* In the loop, after it, or (is_run is false) without it: the worker ends. The job is the
	 * callee's from then on. */
	void (*done)(struct job *job);
	bool is_run;
};

/* At most max jobs wait. event is borrowed. Return: 0, negative errno. */
int worker_new(sd_event *event, size_t max, struct worker **ret_worker);
/* Waits for the job that is being run; all that are left are done. */
struct worker *worker_free(struct worker *worker);
DEFINE_CLEANUP(struct worker *, worker_free);

/* Return: 0: done() will be called; -ENOBUFS: too many wait. */
int worker_add(struct worker *worker, struct job *job);
