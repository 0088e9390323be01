/* up, down, login, logout, set. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/link.h"
#include "agent/ctl/risk.h"
#include "common/cli/value.h"
#include "common/file.h"

#define MAX_KEY_FILE 4096u

/* ---- parameters ---- */

/* "-" is standard input: a key on the command line is there for everybody to see. */
static int read_key_file(const char *path, char **ret_key)
{
	_cleanup_close_ int fd = -1;
	char *text = NULL;
	size_t len;
	int r;

	if (strcmp(path, "-") != 0)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (strcmp(path, "-") != 0 && fd < 0)
		return ctl_tell(CLI_NO, "%s: %s", path, strerror(errno));
	r = file_read_stream(fd >= 0 ? fd : STDIN_FILENO, MAX_KEY_FILE, &text, &len);
	if (r < 0)
		return ctl_tell(CLI_NO, "%s: %s", path, strerror(-r));
	text[strcspn(text, "\r\n")] = '\0';
	*ret_key = text;
	return CLI_OK;
}

/* "tag:a,tag:b". NULL: no memory. */
static json_t *json_tags(const char *list)
{
	_cleanup_free_ char *copy = strdup(list);
	json_t *tags = json_array();
	char *rest = copy, *tag;

	while (copy && (tag = strsep(&rest, ",")))
		if (tag[0])
			json_array_append_new(tags, json_string(tag));
	return tags;
}

/* Return: CLI_OK and *ret_params; exit status. */
static int make_params(const struct ctl *ctl, json_t **ret_params)
{
	_cleanup_free_ char *file_key = NULL;
	const struct ctl_up *up = &ctl->up;
	json_t *params;
	int r = CLI_OK;

	if (up->auth_key && up->auth_key_file)
		return ctl_tell(CLI_USAGE, "--auth-key and --auth-key-file do not go together");
	if (up->auth_key_file)
		r = read_key_file(up->auth_key_file, &file_key);
	if (r != CLI_OK)
		return r;
	params = json_pack("{s:s*, s:s*, s:s*, s:s*}", "coordinator", up->coordinator,
			   "coordinatorKey", up->coordinator_key, "authKey",
			   file_key ? file_key : up->auth_key, "hostname", up->hostname);
	if (params && up->tags)
		json_object_set_new(params, "tags", json_tags(up->tags));
	if (params && up->set_ssh)
		json_object_set_new(params, "ssh", json_boolean(up->ssh));
	if (file_key)
		explicit_bzero(file_key, strlen(file_key));
	*ret_params = params;
	return params ? CLI_OK : ctl_rendered(-ENOMEM);
}

/* ---- up, login ---- */

static int take_link(struct ctl *ctl, const json_t *reply)
{
	const json_t *link = json_object_get(reply, "link");
	int r = CLI_OK;

	if (!ctl->json)
		r = ctl_rendered(ctl_render_link(link, ctl->link, &ctl->out));
	json_decref(ctl->link);
	ctl->link = json_incref((json_t *)link);
	fflush(ctl->out.file);
	return r;
}

static bool is_connected(const json_t *link)
{
	return strcmp(value_text(link, "state"), "connected") == 0 &&
	       strcmp(value_text(link, "join"), "idle") == 0;
}

static int begin_and_wait(struct ctl *ctl, const char *method)
{
	json_t *params = NULL;
	int r;

	r = make_params(ctl, &params);
	if (r != CLI_OK)
		return r;
	r = ctl_stream(ctl, method, params, take_link);
	if (ctl->json && ctl->link)
		(void)ctl_print_json(ctl, ctl->link);
	if (r == CLI_OK && !is_connected(ctl->link))
		r = CLI_NO;
	json_decref(ctl->link);
	ctl->link = NULL;
	return r;
}

/* SSH that is switched off ends every connection. */
static bool switches_ssh_off(const struct ctl *ctl)
{
	return ctl->up.set_ssh && !ctl->up.ssh;
}

int verb_up(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	int r = CLI_OK;

	if (switches_ssh_off(ctl))
		r = risk_ask_all(ctl);
	return r == CLI_OK ? begin_and_wait(ctl, "Up") : r;
}

int verb_login(int argc, char **argv, void *userdata)
{
	return begin_and_wait(userdata, "Login");
}

/* ---- down, logout, set ---- */

static int simply(struct ctl *ctl, const char *method, json_t *params, const char *done)
{
	json_auto_t *reply = NULL;
	int r = ctl_call(ctl, method, params, NULL, &reply);

	if (r != CLI_OK)
		return r;
	if (ctl->json)
		return ctl_print_json(ctl, reply);
	fprintf(ctl->out.file, "%s\n", done);
	return CLI_OK;
}

int verb_down(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	int r = risk_ask_all(ctl);

	return r == CLI_OK ? simply(ctl, "Down", NULL,
				    "Down: this host has left the mesh, and stays enrolled.")
			   : r;
}

int verb_logout(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	int r = risk_ask_all(ctl);

	return r == CLI_OK ? simply(ctl, "Logout", NULL,
				    "Logged out: this host's key has been given back.")
			   : r;
}

int verb_set(int argc, char **argv, void *userdata)
{
	struct ctl *ctl = userdata;
	json_t *params = NULL;
	int r = CLI_OK;

	if (!ctl->up.set_ssh && !ctl->up.hostname)
		return ctl_tell(CLI_USAGE, "set: nothing to set; there are --ssh, --no-ssh and "
					   "--hostname");
	if (switches_ssh_off(ctl))
		r = risk_ask_all(ctl);
	if (r == CLI_OK)
		r = make_params(ctl, &params);
	if (r != CLI_OK)
		return r;
	return simply(ctl, "Set", params,
		      ctl->up.hostname
			      ? "Set. The name in the mesh stays the one that the host enrolled "
				"with; an operator changes it with 'coordctl nodes rename'."
			      : "Set.");
}
