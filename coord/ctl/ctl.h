/* coordctl: what its verbs share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/cli/cli.h"
#include "common/cli/style.h"
#include "coord/ctl/source.h"
#include "coord/policy/policy.h"

/* Exit status besides those of cli.h: a file cannot be read, or what it holds cannot be used. */
enum {
	CTL_NO_ANSWER = CLI_UNREACHABLE,
};

struct ctl {
	bool json;
	bool strict;		 /* of check: warnings count */
	const char *nodes;	 /* --nodes FILE */
	const char *node;	 /* of compile: --node NAME */
	const char *proto;	 /* of explain: --proto NAME */
	bool stdin_taken;	 /* some file was "-" */
	struct cli_out out, err; /* answers; what stands in their way */
};

/* "coordctl: ..." on err. The text is made fit for a terminal here. Return: CTL_NO_ANSWER. */
int ctl_tell(const struct ctl *ctl, const char *fmt, ...) _printf_(2, 3);
/* The same, for a command line that makes no sense. Return: CLI_USAGE. */
int ctl_tell_usage(const struct ctl *ctl, const char *fmt, ...) _printf_(2, 3);
/* Turn 0 or a negative errno, which is told, into an exit status. */
int ctl_rendered(const struct ctl *ctl, int r);
/* Write JSON, without what a terminal could take for more than text. Return: 0, -EIO, -ENOMEM. */
int ctl_dump_json(const struct ctl *ctl, const json_t *value, size_t flags);
/* For --json; takes value (NULL: out of memory). Return: exit status. */
int ctl_print_json(const struct ctl *ctl, json_t *value);

/* ---- input.c. Each returns CLI_OK, or an exit status after telling what is wrong. ---- */

/* A policy file, as far as it could be read. */
struct ctl_policy {
	struct source source;
	struct policy_problems problems;
	struct policy *policy; /* NULL: refused, there are errors in problems */
};
void ctl_policy_done(struct ctl_policy *policy);

/* CLI_OK also if the policy is refused. */
int ctl_read_policy(struct ctl *ctl, const char *path, struct ctl_policy *ret_policy);
/* The file of --nodes. */
int ctl_read_network(struct ctl *ctl, struct policy_network **ret_network);

/* A policy without errors, applied to a network. On failure too, ctl_setup_done() frees. */
struct ctl_setup {
	struct ctl_policy policy;
	struct policy_network *network;
	struct policy_engine *engine;
};
void ctl_setup_done(struct ctl_setup *setup);
/* On the network of --nodes. */
int ctl_set_up(struct ctl *ctl, const char *path, struct ctl_setup *setup);
/* The same for a second policy; the network is borrowed. */
int ctl_set_up_on(struct ctl *ctl, const char *path, const struct policy_network *network,
		  struct ctl_setup *setup);

/* ---- verbs ---- */

int verb_policy_check(int argc, char **argv, void *userdata);
int verb_policy_test(int argc, char **argv, void *userdata);
int verb_policy_compile(int argc, char **argv, void *userdata);
int verb_policy_explain(int argc, char **argv, void *userdata);
int verb_policy_diff(int argc, char **argv, void *userdata);

extern const struct cli_program ctl_program;
