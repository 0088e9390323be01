/*
 * Give up everything: an empty root directory, another user, no new privileges, hard limits, a life
 * that is no longer than the parent's, and a list of the system calls that remain. Violations kill
 * the process (SIGSYS; the kernel's audit line names the call).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/cleanup.h"

enum sandbox_match {
	SANDBOX_ANY,	 /* no condition */
	SANDBOX_EQUAL,	 /* argument == value */
	SANDBOX_NO_BITS, /* argument has none of the bits in value */
};

struct sandbox_condition {
	enum sandbox_match match;
	unsigned arg; /* 0..5 */
	uint64_t value;
};

#define SANDBOX_MAX_CONDITIONS 2

struct sandbox_rule {
	const char *syscall; /* one that this architecture lacks is passed over */
	/* All of them hold; those that are SANDBOX_ANY always do. */
	struct sandbox_condition conditions[SANDBOX_MAX_CONDITIONS];
};

struct sandbox_limit {
	int resource; /* RLIMIT_... */
	rlim_t value; /* soft and hard */
};

struct sandbox_config {
	const char *root; /* must be an empty directory of root's that nobody else may write */
	uid_t uid;
	gid_t gid;
	const struct sandbox_limit *limits;
	size_t n_limits;
	const struct sandbox_rule *rules;
	size_t n_rules;
};

/*
 * Enter for good; needs root. Call while single-threaded, with no descriptor open that the process
 * must not have. Return: 0; negative errno and *reterr_text (the caller's): the process must exit.
 */
int sandbox_enter(const struct sandbox_config *config, char **reterr_text);
