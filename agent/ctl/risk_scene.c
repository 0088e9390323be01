/* Looking around in /proc and among the control groups. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/risk.h"
#include "common/file.h"
#include "common/text.h"

#define MAX_ANCESTORS 128
#define MAX_FILE      (1u << 20)

struct look {
	const struct risk_places *places;
	struct risk_scene *scene;
};

static void add_pid(struct risk_scene *scene, pid_t pid)
{
	/* Everything comes from 1; it is no monitor. */
	if (pid <= 1)
		return;
	for (size_t i = 0; i < scene->n_pids; i++)
		if (scene->pids[i] == pid)
			return;
	if (scene->n_pids < RISK_MAX_PIDS)
		scene->pids[scene->n_pids++] = pid;
	else
		scene->blind = true;
}

void risk_scene_add_address(struct risk_scene *scene, const char *text)
{
	struct ip_addr addr;

	if (ip_addr_parse(text, &addr) < 0)
		return;
	if (scene->n_addresses < RISK_MAX_ADDRESSES)
		scene->addresses[scene->n_addresses++] = addr;
	else
		scene->blind = true;
}

/* PLACE/PID/NAME, with a NUL behind. Return: 0, negative errno. */
static int read_proc(const struct look *look, pid_t pid, const char *name, char **ret_text,
		     size_t *ret_len)
{
	_cleanup_free_ char *path = text_printf("%s/%d/%s", look->places->proc, (int)pid, name);

	return path ? file_read(AT_FDCWD, path, MAX_FILE, ret_text, ret_len) : -ENOMEM;
}

/*
 * The fourth field of stat (proc(5)); the second may have anything in it. 0: it was put into this
 * process namespace from outside. Return: the parent; negative: not to be known.
 */
static pid_t parent_of(const struct look *look, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	const char *behind;
	size_t len;
	long parent;

	if (read_proc(look, pid, "stat", &text, &len) < 0)
		return -1;
	behind = strrchr(text, ')');
	if (!behind || strlen(behind) < 5)
		return -1;
	parent = strtol(behind + 3, NULL, 10);
	return parent >= 0 && parent < INT32_MAX ? (pid_t)parent : -1;
}

/* "CLIENT PORT SERVER PORT" (ssh(1)) */
static void take_connection(struct look *look, const char *value)
{
	_cleanup_free_ char *client = strndup(value, strcspn(value, " "));

	if (client)
		risk_scene_add_address(look->scene, client);
}

/* Only the process's own user, and root, may read it: what cannot be read is not counted. */
static void take_environment(struct look *look, pid_t pid)
{
	static const char variable[] = "SSH_CONNECTION=";
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (read_proc(look, pid, "environ", &text, &len) < 0)
		return;
	for (const char *at = text; at < text + len; at += strlen(at) + 1)
		if (strncmp(at, variable, strlen(variable)) == 0)
			take_connection(look, at + strlen(variable));
}

static void look_at_ancestors(struct look *look, pid_t pid)
{
	for (int i = 0; i < MAX_ANCESTORS; i++) {
		take_environment(look, pid);
		if (pid == 1)
			return;
		pid = parent_of(look, pid);
		if (pid == 0)
			return;
		/* Hidden from us (proc(5): hidepid), or gone meanwhile. */
		if (pid < 0)
			break;
		add_pid(look->scene, pid);
	}
	look->scene->blind = true;
}

/* Cut "/user.slice/user-0.slice/session-3.scope/below" after the scope, if there is one. */
static bool to_scope(char *path)
{
	char *scope = strstr(path, ".scope/");

	if (!scope)
		return false;
	scope[strlen(".scope")] = '\0';
	return true;
}

static void look_at_group(struct look *look, const char *group)
{
	_cleanup_free_ char *file = text_printf("%s%s/cgroup.procs", look->places->cgroup, group);
	_cleanup_free_ char *text = NULL;
	char *line, *rest;
	size_t len;

	if (!file || file_read(AT_FDCWD, file, MAX_FILE, &text, &len) < 0) {
		look->scene->blind = true;
		return;
	}
	for (rest = text; (line = strsep(&rest, "\n"));) {
		uint64_t pid;

		if (parse_u64(line, INT32_MAX, &pid) == 0 && pid > 0)
			add_pid(look->scene, parent_of(look, (pid_t)pid));
	}
}

/* The login's first process is in the group as well, and a child of the monitor. */
static void look_at_groups(struct look *look, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	char *line, *rest;
	size_t len;

	if (read_proc(look, pid, "cgroup", &text, &len) < 0) {
		look->scene->blind = true;
		return;
	}
	for (rest = text; (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "0::/", 4) != 0 || line[4] == '\0')
			continue;
		look_at_group(look, line + 3);
		if (to_scope(line + 3))
			look_at_group(look, line + 3);
	}
}

void risk_scene_read(const struct risk_places *places, pid_t pid, struct risk_scene *ret_scene)
{
	struct look look = { .places = places, .scene = ret_scene };

	*ret_scene = (struct risk_scene){ 0 };
	look_at_ancestors(&look, pid);
	look_at_groups(&look, pid);
}
