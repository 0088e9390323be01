/* coordctl: what its verbs share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/cli/cli.h"
#include "common/cli/style.h"
#include "coord/ctl/client.h"
#include "coord/ctl/source.h"
#include "coord/policy/policy.h"

/* Exit status besides those of cli.h: a file cannot be read, or what it holds cannot be used. */
enum {
	CTL_NO_ANSWER = CLI_UNREACHABLE,
};

#define CTL_MAX_WORDS 32u /* of an option that may come again and again */

/* Words of --tag, --role, --scope. */
struct ctl_words {
	const char *items[CTL_MAX_WORDS];
	size_t n;
};

struct ctl {
	bool json;
	bool strict;	   /* of policy check: warnings count */
	const char *nodes; /* --nodes FILE */
	const char *node;  /* of policy compile: --node NAME */
	const char *proto; /* of policy explain: --proto NAME */
	bool stdin_taken;  /* some file was "-" */

	struct client_config server;
	struct client *client; /* NULL: not asked yet */
	uint64_t now_usec;     /* the time of day */

	struct ctl_words tags, roles, scopes;
	const char *user, *name, *description, *expires;
	bool reusable, ephemeral, no_roles, set_password_link;

	const char *confirm_within, *if_version, *version, *comment;
	const char *since;
	bool follow;

	const char *state_dir; /* of init and restore */
	struct ctl_init {
		const char *config; /* the file */
		const char *domain, *listen, *certificate, *private_key;
	} init;

	struct cli_out out, err; /* answers; what stands in their way */
};

/* "coordctl: ..." on err. The text is made fit for a terminal here. Return: CTL_NO_ANSWER. */
int ctl_tell(const struct ctl *ctl, const char *fmt, ...) _printf_(2, 3);
/* The same, for a command line that makes no sense. Return: CLI_USAGE. */
int ctl_tell_usage(const struct ctl *ctl, const char *fmt, ...) _printf_(2, 3);
/* Turn 0 or a negative errno, which is told, into an exit status. */
int ctl_rendered(const struct ctl *ctl, int r);
/* For --json; takes value (NULL: out of memory). Return: exit status. */
int ctl_print_json(const struct ctl *ctl, json_t *value);

/* ---- ask.c: asking the coordinator. Each returns an exit status, after telling what is wrong.
 * ---- */

/* body: the caller gives it away; NULL: none. The answer is the caller's, an object. */
int ctl_ask(struct ctl *ctl, const char *method, const char *path, json_t *body,
	    json_t **ret_reply);
/* The same for a path with a word in it, as client_path() puts it together. */
int ctl_ask_about(struct ctl *ctl, const char *method, const char *prefix, const char *word,
		  const char *suffix, json_t *body, json_t **ret_reply);
/* Whatever is asked and answered; a status that is not 200 is told, unless it is this one. */
int ctl_ask_raw(struct ctl *ctl, const struct client_request *request, unsigned also,
		struct client_reply *ret_reply);
/* Parse an answer. */
int ctl_read_reply(struct ctl *ctl, const struct client_reply *reply, json_t **ret_json);
/* Tell the {"error"} of an answer. */
int ctl_tell_refused(struct ctl *ctl, const struct client_reply *reply);
/* Is there a coordinator that can be asked: one that was named, or one on this host? */
bool ctl_has_coordinator(const struct ctl *ctl);
/* "5m", "never" to seconds, or "never", as bodies have it. */
int ctl_read_lifetime(struct ctl *ctl, const char *option, const char *text, json_t **ret_value);
/* For verbs of which "no" is an answer: a refusal is none. */
int ctl_unanswered(int status);
/* Send a policy's text; one that is refused is told. The answer is the caller's. */
int ctl_send_policy(struct ctl *ctl, const char *path, const struct source *source,
		    json_t **ret_reply);
/* The policy in force. */
int ctl_get_policy(struct ctl *ctl, struct source *ret_source);
/* Words as a JSON array; NULL: out of memory. */
json_t *ctl_words_json(const struct ctl_words *words);

/* With --json the answer itself, else what render() makes of it. Takes reply. */
int ctl_show(struct ctl *ctl, json_t *reply,
	     int (*render)(const struct ctl *ctl, const json_t *reply));

/* verb_user.c: make a link that sets somebody's password, and show it. */
int ctl_password_link(struct ctl *ctl, const char *login);

/* ---- list.c ---- */

struct cli_column;
struct cli_table;

struct ctl_list {
	const char *path; /* what is asked for; the array is the answer's member of this name */
	const char *sort; /* the member that they are sorted by */
	const struct cli_column *columns;
	size_t n_columns;
	void (*row)(struct cli_table *table, const json_t *item, uint64_t now_usec);
	const char *none; /* said if there are none */
};
/* Return: exit status. */
int ctl_show_list(struct ctl *ctl, const struct ctl_list *list);
/* Of an answer that is there, which may have several. Return: 0, -ENOMEM. */
int ctl_print_list(const struct ctl *ctl, const struct ctl_list *list, const json_t *reply);

/* ---- input.c. Each returns CLI_OK, or an exit status after telling what is wrong. ---- */

/* Any file, pipe, or "-", of max bytes at most. */
int ctl_read_source(struct ctl *ctl, const char *path, size_t max, struct source *ret_source);

/* A policy file, as far as it could be read. */
struct ctl_policy {
	struct source source;
	struct policy_problems problems;
	struct policy *policy; /* NULL: refused, there are errors in problems */
};
void ctl_policy_done(struct ctl_policy *policy);

/* CLI_OK also if the policy is refused. network: NULL, or what says which groups are mapped. */
int ctl_read_policy(struct ctl *ctl, const char *path, const struct policy_network *network,
		    struct ctl_policy *ret_policy);
/* network.c: the file of --nodes, or what the coordinator knows. */
int ctl_read_network(struct ctl *ctl, struct policy_network **ret_network);

/* A policy without errors, applied to a network. On failure too, ctl_setup_done() frees. */
struct ctl_setup {
	struct ctl_policy policy;
	struct policy_network *network;
	struct policy_engine *engine;
};
void ctl_setup_done(struct ctl_setup *setup);
/* On the network that ctl_read_network() finds. */
int ctl_set_up(struct ctl *ctl, const char *path, struct ctl_setup *setup);
/* The same for a second policy; the network is borrowed. */
int ctl_set_up_on(struct ctl *ctl, const char *path, const struct policy_network *network,
		  struct ctl_setup *setup);

/* ---- verbs ---- */

int verb_status(int argc, char **argv, void *userdata);
int verb_users_list(int argc, char **argv, void *userdata);
int verb_users_add(int argc, char **argv, void *userdata);
int verb_users_set(int argc, char **argv, void *userdata);
int verb_users_delete(int argc, char **argv, void *userdata);
int verb_users_show(int argc, char **argv, void *userdata);
int verb_users_password_link(int argc, char **argv, void *userdata);
int verb_users_suspend(int argc, char **argv, void *userdata);
int verb_users_resume(int argc, char **argv, void *userdata);
int verb_users_sign_out(int argc, char **argv, void *userdata);
int verb_users_totp_reset(int argc, char **argv, void *userdata);
int verb_users_unbind(int argc, char **argv, void *userdata);
int verb_users_groups(int argc, char **argv, void *userdata);
int verb_nodes_list(int argc, char **argv, void *userdata);
int verb_nodes_show(int argc, char **argv, void *userdata);
int verb_nodes_approve(int argc, char **argv, void *userdata);
int verb_nodes_reject(int argc, char **argv, void *userdata);
int verb_nodes_expire(int argc, char **argv, void *userdata);
int verb_nodes_delete(int argc, char **argv, void *userdata);
int verb_nodes_rename(int argc, char **argv, void *userdata);
int verb_nodes_tag(int argc, char **argv, void *userdata);
int verb_nodes_assign(int argc, char **argv, void *userdata);
int verb_nodes_set_expiry(int argc, char **argv, void *userdata);
int verb_nodes_disable_expiry(int argc, char **argv, void *userdata);
int verb_auth_list(int argc, char **argv, void *userdata);
int verb_checks_list(int argc, char **argv, void *userdata);
int verb_checks_revoke(int argc, char **argv, void *userdata);
int verb_authkeys_create(int argc, char **argv, void *userdata);
int verb_authkeys_list(int argc, char **argv, void *userdata);
int verb_authkeys_revoke(int argc, char **argv, void *userdata);
int verb_apikeys_create(int argc, char **argv, void *userdata);
int verb_apikeys_list(int argc, char **argv, void *userdata);
int verb_apikeys_revoke(int argc, char **argv, void *userdata);
int verb_policy_get(int argc, char **argv, void *userdata);
int verb_policy_set(int argc, char **argv, void *userdata);
int verb_policy_confirm(int argc, char **argv, void *userdata);
int verb_policy_history(int argc, char **argv, void *userdata);
int verb_policy_rollback(int argc, char **argv, void *userdata);
int verb_events(int argc, char **argv, void *userdata);
int verb_debug_map(int argc, char **argv, void *userdata);
int verb_metrics(int argc, char **argv, void *userdata);
int verb_backup(int argc, char **argv, void *userdata);
int verb_restore(int argc, char **argv, void *userdata);
int verb_init(int argc, char **argv, void *userdata);
int verb_policy_check(int argc, char **argv, void *userdata);
int verb_policy_test(int argc, char **argv, void *userdata);
int verb_policy_compile(int argc, char **argv, void *userdata);
int verb_policy_explain(int argc, char **argv, void *userdata);
int verb_policy_diff(int argc, char **argv, void *userdata);

extern const struct cli_program ctl_program;
