#include "agent/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/node_key.h"
#include "common/conf.h"
#include "common/file.h"
#include "common/text.h"

struct state {
	char *dir;
	int dir_fd;
	struct node_key key, next_key;
	bool has_next;
	/* Of the newest map. */
	char *source; /* NULL: none seen yet */
	char *node;   /* id of this host in it; NULL: an older version has not noted it */
	uint64_t generation;
};

static const struct conf_field map_fields[] = {
	{ "Source", conf_read_string, offsetof(struct state, source),
	  .expected = "the source of a map" },
	{ "Node", conf_read_string, offsetof(struct state, node), .expected = "the id of a node" },
	{ "Generation", conf_read_u64, offsetof(struct state, generation), 0, UINT64_MAX,
	  "a number" },
};

_printf_(3, 4) static int fail(char **reterr_text, int error, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text)
		return -ENOMEM;
	*reterr_text = text;
	return error;
}

static int load_or_make(const struct state *state, const char *name, struct node_key *ret_key,
			char **reterr_text)
{
	int r = node_key_load(state->dir_fd, state->dir, name, ret_key, reterr_text);

	if (r == -ENOENT)
		r = node_key_make(state->dir_fd, state->dir, name, reterr_text);
	else
		return r;
	return r < 0 ? r : node_key_load(state->dir_fd, state->dir, name, ret_key, reterr_text);
}

static int open_keys(struct state *state, char **reterr_text)
{
	int r = load_or_make(state, STATE_KEY_FILE, &state->key, reterr_text);

	if (r < 0)
		return r;
	r = node_key_load(state->dir_fd, state->dir, STATE_NEXT_KEY_FILE, &state->next_key,
			  reterr_text);
	state->has_next = r == 0;
	return r == -ENOENT ? 0 : r;
}

int state_open(const char *dir, char **reterr_text, struct state **ret_state)
{
	_cleanup_(state_freep) struct state *state = NULL;
	int r;

	state = calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	state->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->dir_fd < 0)
		return fail(reterr_text, -errno, "%s: cannot be opened: %s", dir, strerror(errno));
	state->dir = strdup(dir);
	if (!state->dir)
		return -ENOMEM;
	r = open_keys(state, reterr_text);
	if (r < 0)
		return r;
	*ret_state = take_ptr(state);
	return 0;
}

struct state *state_free(struct state *state)
{
	if (!state)
		return NULL;
	wg_key_wipe(&state->key.private);
	wg_key_wipe(&state->next_key.private);
	close_fd(state->dir_fd);
	free(state->dir);
	free(state->source);
	free(state->node);
	free(state);
	return NULL;
}

const struct wg_key *state_private_key(const struct state *state)
{
	return &state->key.private;
}

const struct wg_key *state_public_key(const struct state *state)
{
	return &state->key.public;
}

const struct wg_key *state_next_public_key(const struct state *state)
{
	return state->has_next ? &state->next_key.public : NULL;
}

int state_make_next_key(struct state *state)
{
	_cleanup_free_ char *error = NULL;
	int r;

	if (state->has_next)
		return 0;
	r = load_or_make(state, STATE_NEXT_KEY_FILE, &state->next_key, &error);
	state->has_next = r == 0;
	return r;
}

/* In one step: at any time one of the files, or the other, is the key. */
int state_use_next_key(struct state *state)
{
	if (!state->has_next)
		return -ENOENT;
	if (renameat(state->dir_fd, STATE_NEXT_KEY_FILE, state->dir_fd, STATE_KEY_FILE) < 0)
		return -errno;
	(void)fsync(state->dir_fd);
	state->key = state->next_key;
	wg_key_wipe(&state->next_key.private);
	state->has_next = false;
	return 0;
}

int state_renew_key(struct state *state)
{
	int r;

	if (unlinkat(state->dir_fd, STATE_NEXT_KEY_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	state->has_next = false;
	r = state_make_next_key(state);
	return r < 0 ? r : state_use_next_key(state);
}

const char *state_dir(const struct state *state)
{
	return state->dir;
}

int state_dir_fd(const struct state *state)
{
	return state->dir_fd;
}

void state_forget_map(struct state *state)
{
	free(state->source);
	free(state->node);
	state->source = state->node = NULL;
	state->generation = 0;
}

int state_load_map(struct state *state, char **reterr_text)
{
	_cleanup_free_ char *path = NULL;
	int r;

	state_forget_map(state);
	path = text_printf("%s/%s", state->dir, STATE_MAP_FILE);
	if (!path)
		return -ENOMEM;
	r = conf_load(path, CONF_ANY_OWNER, map_fields, ARRAY_SIZE(map_fields), state, reterr_text);
	if (r < 0)
		state_forget_map(state);
	return r == -ENOENT ? 0 : r;
}

static bool is_from(const struct state *state, const char *source)
{
	return state->source && strcmp(state->source, source) == 0;
}

int state_check_generation(const struct state *state, const char *source, uint64_t generation,
			   char **reterr_text)
{
	if (!is_from(state, source) || generation >= state->generation)
		return 0;
	return fail(reterr_text, -ESTALE,
		    "%s: generation: %llu is older than %llu, which was in force already; expected "
		    "at least that (to go back on purpose, raise the map's generation, or stop "
		    "peergate-agent and remove %s/%s)",
		    source, (unsigned long long)generation, (unsigned long long)state->generation,
		    state->dir, STATE_MAP_FILE);
}

int state_check_kept(const struct state *state, const char *path, const char *source,
		     const char *node, uint64_t generation, char **reterr_text)
{
	if (!is_from(state, source))
		return fail(reterr_text, -ESTALE, "%s: the last map in force was not from %s", path,
			    source);
	if (!state->node || strcmp(state->node, node) != 0)
		return fail(reterr_text, -ESTALE,
			    "%s: for: the last map in force was not for node \"%s\"", path, node);
	if (generation < state->generation)
		return fail(reterr_text, -ESTALE,
			    "%s: generation: %llu is older than %llu, which was in force already",
			    path, (unsigned long long)generation,
			    (unsigned long long)state->generation);
	return 0;
}

int state_note_map(struct state *state, const char *source, const char *node, uint64_t generation)
{
	_cleanup_free_ char *source_copy = strdup(source), *node_copy = strdup(node);

	if (!source_copy || !node_copy)
		return -ENOMEM;
	state_forget_map(state);
	state->source = take_ptr(source_copy);
	state->node = take_ptr(node_copy);
	state->generation = generation;
	return 0;
}

char *state_map_text(const struct state *state)
{
	if (!state->source || !state->node)
		return NULL;
	return text_printf("Source=%s\nNode=%s\nGeneration=%llu\n", state->source, state->node,
			   (unsigned long long)state->generation);
}
