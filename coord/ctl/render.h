/*
 * What coordctl says: results of the policy compiler in, text (render) or JSON out. Nothing is read
 * or asked. Each render function returns 0 or -ENOMEM, each JSON function NULL when out of memory.
 * Text is made fit for a terminal here.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/cli/style.h"
#include "coord/ctl/names.h"
#include "coord/ctl/source.h"
#include "coord/policy/question.h"

/* ---- check, test ---- */

struct ctl_check {
	const struct source *source;
	const struct policy_problems *problems;
	bool tested; /* else the policy could not even be read */
	struct policy_test_result tests;
	bool imagined; /* on nodes that were made up */
	bool strict;   /* warnings count */
};
bool ctl_check_is_good(const struct ctl_check *check);
int ctl_render_check(const struct ctl_check *check, const struct cli_out *out);
/* The same when only the tests were asked about. */
int ctl_render_tests(const struct ctl_check *check, const struct cli_out *out);
json_t *ctl_check_json(const struct ctl_check *check);

/* ---- explain ---- */

struct ctl_explained {
	const struct source *source;
	const struct policy_question *question;
	const struct policy_answers *answers;
};
int ctl_render_explained(const struct ctl_explained *explained, const struct cli_out *out);

/* ---- diff ---- */

int ctl_render_diff(const struct policy_diff *diff, const struct source *old_source,
		    const struct source *new_source, const struct cli_out *out);

/* ---- compile ---- */

/* compiled: packet_filter, ssh_rules, peers, peer_routes, auto_approved; see ctl_node_json(). */
int ctl_render_node(const struct policy_node *node, const json_t *compiled, struct ctl_names *names,
		    const struct cli_out *out);
json_t *ctl_node_json(struct policy_engine *engine, uint32_t node);
/* The parts of it that are tables. */
int ctl_render_filter(const json_t *rules, struct ctl_names *names, const struct cli_out *out);
int ctl_render_ssh(const json_t *rules, struct ctl_names *names, const struct cli_out *out);
