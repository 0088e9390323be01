/*
 * The coordinator for tests as a program, for hosts in a machine: test-coordinator PORT FILE.
 *
 * FILE gets its public key. Commands come on standard input, a line each; each is answered with a
 * line: approve, reject, expire NAME, delete NAME, publish, stop, start, counts, forwarding
 * (the SSH rule's: all of it). Of checks: rule ACTION (accept, check, none), pass, deny, lapse,
 * forget.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/file.h"
#include "common/text.h"
#include "tests/coordinator/coordinator.h"

static struct tc_node *named(struct tc *tc, const char *name)
{
	for (size_t i = 0; i < tc->n_nodes; i++)
		if (strcmp(tc->nodes[i].name, name) == 0)
			return &tc->nodes[i];
	return NULL;
}

static const char *about_node(struct tc *tc, const char *verb, const char *name)
{
	struct tc_node *node = named(tc, name);

	if (!node)
		return "no such node";
	if (strcmp(verb, "expire") == 0) {
		node->expired = true;
		tc_publish(tc);
	} else if (strcmp(verb, "delete") == 0) {
		tc_delete(tc, node);
	} else {
		return "unknown";
	}
	return "done";
}

static const char *set_rule(struct tc *tc, const char *action)
{
	static const char *const actions[] = { "accept", "check", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(action, actions[i]) != 0)
			continue;
		tc->ssh_action = i < 2 ? actions[i] : NULL;
		tc_publish(tc);
		return "done";
	}
	return "unknown";
}

static void allow_forwarding(struct tc *tc)
{
	tc->forwarding = true;
	tc_publish(tc);
}

static const char *about_checks(struct tc *tc, const char *verb)
{
	if (strcmp(verb, "pass") == 0 || strcmp(verb, "deny") == 0)
		tc_answer_checks(tc, verb[0] == 'p');
	else if (strcmp(verb, "lapse") == 0)
		tc_lapse_checks(tc);
	else if (strcmp(verb, "forget") == 0)
		tc_forget_checks(tc);
	else
		return "unknown";
	return "done";
}

static const char *obey(struct tc *tc, char *line)
{
	char *name = strchr(line, ' ');

	if (name)
		*name++ = '\0';
	if (name && strcmp(line, "rule") == 0)
		return set_rule(tc, name);
	if (name)
		return about_node(tc, line, name);
	if (strcmp(line, "approve") == 0 || strcmp(line, "reject") == 0)
		tc_approve(tc, line[0] == 'a');
	else if (strcmp(line, "publish") == 0)
		tc_publish(tc);
	else if (strcmp(line, "forwarding") == 0)
		allow_forwarding(tc);
	else if (strcmp(line, "stop") == 0)
		tc_stop(tc);
	else if (strcmp(line, "start") == 0)
		tc_start(tc);
	else if (strcmp(line, "counts") == 0)
		return NULL;
	else
		return about_checks(tc, line);
	return "done";
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct tc *tc = userdata;
	const char *answer;
	char line[256];

	if (!fgets(line, sizeof(line), stdin))
		return sd_event_exit(tc->event, 0);
	line[strcspn(line, "\n")] = '\0';
	answer = obey(tc, line);
	if (answer)
		puts(answer);
	else
		printf("enrol=%u wait=%u node=%u rotate=%u logout=%u map=%u check=%u held=%u\n",
		       tc->n_enrol, tc->n_wait, tc->n_node, tc->n_rotate, tc->n_logout, tc->n_map,
		       tc->n_check, tc_n_held(tc));
	fflush(stdout);
	return 0;
}

static int write_keys(const struct tc *tc, const char *path)
{
	char key[ED25519_TEXT_LEN];
	_cleanup_free_ char *text = NULL;

	ed25519_public_to_string(ED25519_COORDINATOR, ed25519_key_public(tc->key), key);
	text = text_printf("%s\n", key);
	return file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644);
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *auth_key = NULL;
	char key[ED25519_TEXT_LEN];
	sd_event *event = NULL;
	struct tc *tc;

	if (argc != 3)
		return 2;
	setvbuf(stdin, NULL, _IONBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (sd_event_default(&event) < 0)
		return 1;
	tc = tc_new(event, "0.0.0.0", (uint16_t)atoi(argv[1]));
	ed25519_public_to_string(ED25519_COORDINATOR, ed25519_key_public(tc->key), key);
	auth_key = text_printf("pgauth.id.secret.%s", key);
	tc->auth_key = auth_key;
	if (write_keys(tc, argv[2]) < 0 ||
	    sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_input, tc) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	sd_event_loop(event);
	tc_free(tc);
	sd_event_unref(event);
	return 0;
}
