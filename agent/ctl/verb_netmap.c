/*
 * "netmap check": the map is judged by the agent's own code, here, and compared with the one in
 * force, which the agent leaves beside its socket for everybody to read. Only what the agent alone
 * knows is asked of it, and missed if it does not run.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "agent/api/warnings.h"
#include "agent/ctl/ctl.h"
#include "agent/ctl/render.h"
#include "agent/ctl/sessions_ended.h"
#include "agent/hostfiles.h"
#include "agent/mapdiff/mapdiff.h"
#include "agent/netmap/netmap.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/text.h"

struct check {
	struct ctl *ctl;
	const char *path;
	uint64_t now_usec;
	struct netmap *map;	 /* of path */
	struct netmap *in_force; /* NULL: none */
	json_t *status;		 /* NULL: the agent does not answer */
	char *problem;		 /* why the agent would refuse the map; NULL: it would not */
};

static void check_done(struct check *check)
{
	netmap_free(check->map);
	netmap_free(check->in_force);
	json_decref(check->status);
	free(check->problem);
}

static int no_memory(void)
{
	return ctl_rendered(-ENOMEM);
}

/* Return: 0; -EINVAL with *reterr_text and other errnos. */
static int load_map(const char *path, char **reterr_text, struct netmap **ret_map)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = file_read(AT_FDCWD, path, NETMAP_MAX_BYTES, &text, &len);
	return r < 0 ? r : netmap_parse(text, len, path, reterr_text, ret_map);
}

/* Return: exit status. */
static int load_in_force(struct check *check)
{
	const char *slash = strrchr(check->ctl->socket, '/');
	_cleanup_free_ char *error = NULL, *path = NULL;
	int r;

	path = text_printf("%.*s" HOSTFILES_NETMAP,
			   slash ? (int)(slash + 1 - check->ctl->socket) : 0, check->ctl->socket);
	if (!path)
		return no_memory();
	r = load_map(path, &error, &check->in_force);
	if (r == 0 || r == -ENOENT)
		return CLI_OK;
	if (error)
		return ctl_tell(CLI_NO, "%s", error);
	return ctl_tell(CLI_NO, "%s: cannot be read: %s", path, file_read_problem(r));
}

/* What the agent would say of this map besides. Return: 0, -ENOMEM. */
static int judge(struct check *check)
{
	const struct netmap *map = check->map, *in_force = check->in_force;
	const char *text = json_string_value(json_object_get(check->status, "publicKey"));
	struct wg_key own_key;
	int r = 0;

	if (in_force && map->generation < in_force->generation)
		check->problem = text_printf("%s: generation: %" PRIu64 " is older than %" PRIu64
					     ", which is in force; expected at least that",
					     check->path, map->generation, in_force->generation);
	else if (text && wg_key_parse(text, &own_key) == 0)
		r = netmap_check_own_key(map, &own_key, check->path, &check->problem);
	return r == -ENOMEM ? r : 0;
}

/* Return: exit status; CLI_NO too when the map would be refused (and *ret_result is NULL). */
static int tell_refused(struct check *check, const char *problem)
{
	json_auto_t *result = NULL;

	if (!check->ctl->json)
		return ctl_tell(CLI_NO, "%s", problem);
	result = json_pack("{s:s, s:b, s:s}", "file", check->path, "good", false, "problem",
			   problem);
	if (!result)
		return no_memory();
	(void)ctl_print_json(check->ctl, result);
	return CLI_NO;
}

static int tell_unreadable(const struct check *check, int error)
{
	if (error == -EFBIG)
		return ctl_tell(CLI_NO, "%s: is too large; expected %u MiB at most", check->path,
				NETMAP_MAX_BYTES >> 20);
	return ctl_tell(CLI_NO, "%s: cannot be read: %s", check->path, file_read_problem(error));
}

static json_t *json_result(struct check *check, json_t *changes)
{
	const struct netmap *map = check->map;
	json_auto_t *result = NULL;

	result = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:b, s:o, s:o}", "file", check->path,
			   "good", true, "generation", (json_int_t)map->generation, "peers",
			   (json_int_t)map->n_peers, "filterRules", (json_int_t)map->n_filter,
			   "sshRules", (json_int_t)map->n_ssh_rules, "ssh", map->self.ssh,
			   "changes", changes, "warnings", map_warnings(map, check->now_usec));
	if (!result)
		return NULL;
	if (check->in_force &&
	    json_object_set_new(result, "inForce",
				json_integer((json_int_t)check->in_force->generation)) < 0)
		return NULL;
	return take_ptr(result);
}

/* The sessions that the map would end; none are known without an agent. Return: 0, -ENOMEM. */
static int add_sessions(struct check *check, json_t *result)
{
	json_t *sessions = NULL;
	int r;

	if (!check->status || !check->in_force)
		return 0;
	r = sessions_ended(check->ctl, check->in_force, check->map, check->now_usec, &sessions);
	if (r < 0 || !sessions)
		return r;
	return json_object_set_new(result, "sessionsEnded", sessions) < 0 ? -ENOMEM : 0;
}

static int compare(struct check *check)
{
	_cleanup_free_ char *error = NULL;
	json_auto_t *result = NULL;
	json_t *changes = NULL;
	int r;

	r = mapdiff_build(check->in_force, check->map, check->now_usec, &error, &changes);
	if (r == -E2BIG)
		return tell_refused(check, error ? error : "packet filter is too large");
	if (r < 0)
		return no_memory();
	result = json_result(check, changes);
	if (!result || add_sessions(check, result) < 0)
		return no_memory();
	return check->ctl->json ? ctl_print_json(check->ctl, result)
				: ctl_rendered(ctl_render_netmap_check(result, &check->ctl->out));
}

static int run(struct check *check)
{
	int status, r;

	r = load_map(check->path, &check->problem, &check->map);
	if (r == -EINVAL && check->problem)
		return tell_refused(check, check->problem);
	if (r < 0)
		return tell_unreadable(check, r);
	status = load_in_force(check);
	if (status != CLI_OK)
		return status;
	check->status = ctl_ask(check->ctl, "Status");
	if (judge(check) < 0)
		return no_memory();
	return check->problem ? tell_refused(check, check->problem) : compare(check);
}

int verb_netmap_check(int argc, char **argv, void *userdata)
{
	_cleanup_(check_done) struct check check = {
		.ctl = userdata,
		.path = argv[0],
		.now_usec = clock_usec(CLOCK_REALTIME),
	};

	return run(&check);
}
