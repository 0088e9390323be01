#include "agent/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/conf.h"
#include "common/file.h"
#include "common/text.h"

#define KEY_FILE_MAX 256

struct state {
	char *dir;
	int dir_fd;
	struct wg_key private_key, public_key;
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

static int make_key(const struct state *state, char **reterr_text)
{
	char text[WG_KEY_B64LEN + 1];
	struct wg_key key;
	int r;

	r = wg_key_generate(&key);
	if (r < 0)
		return fail(reterr_text, r, "cannot make a node key: %s", strerror(-r));
	wg_key_to_string(&key, text);
	text[WG_KEY_B64LEN - 1] = '\n';
	r = file_write_new(state->dir_fd, STATE_KEY_FILE, text, WG_KEY_B64LEN, 0600);
	explicit_bzero(text, sizeof(text));
	wg_key_wipe(&key);
	/* Somebody else was faster: theirs is the key. */
	if (r < 0 && r != -EEXIST)
		return fail(reterr_text, r, "%s/%s: cannot be written: %s", state->dir,
			    STATE_KEY_FILE, strerror(-r));
	return 0;
}

/* Return: 0, -ENOENT without a text, negative errno and *reterr_text. */
static int open_key(const struct state *state, char **reterr_text, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = openat(state->dir_fd, STATE_KEY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(reterr_text, -errno, "%s/%s: cannot be opened: %s", state->dir,
			    STATE_KEY_FILE, strerror(errno));
	if (st.st_mode & 077)
		return fail(reterr_text, -EPERM,
			    "%s/%s: others may read or write the node's key (mode %04o); expected "
			    "0600",
			    state->dir, STATE_KEY_FILE, st.st_mode & 07777);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int parse_key(struct state *state, char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	if (wg_key_parse(text, &state->private_key) < 0 || wg_key_is_zero(&state->private_key))
		return -EINVAL;
	return wg_key_public(&state->private_key, &state->public_key);
}

/* Return: 0, -ENOENT without a text, negative errno and *reterr_text. */
static int load_key(struct state *state, char **reterr_text)
{
	_cleanup_close_ int fd = -1;
	char *text = NULL;
	size_t len;
	int r;

	r = open_key(state, reterr_text, &fd);
	if (r < 0)
		return r;
	r = file_read_fd(fd, KEY_FILE_MAX, &text, &len);
	if (r < 0)
		return fail(reterr_text, r, "%s/%s: cannot be read: %s", state->dir, STATE_KEY_FILE,
			    file_read_problem(r));
	r = parse_key(state, text, len);
	explicit_bzero(text, len);
	free(text);
	if (r < 0)
		return fail(reterr_text, r,
			    "%s/%s: is no private key; expected one line as wg(8) genkey prints it "
			    "(remove the file to make a new node of this host)",
			    state->dir, STATE_KEY_FILE);
	return 0;
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
	r = load_key(state, reterr_text);
	if (r == -ENOENT) {
		r = make_key(state, reterr_text);
		if (r == 0)
			r = load_key(state, reterr_text);
	}
	if (r < 0)
		return r;
	*ret_state = take_ptr(state);
	return 0;
}

struct state *state_free(struct state *state)
{
	if (!state)
		return NULL;
	wg_key_wipe(&state->private_key);
	close_fd(state->dir_fd);
	free(state->dir);
	free(state->source);
	free(state->node);
	free(state);
	return NULL;
}

const struct wg_key *state_private_key(const struct state *state)
{
	return &state->private_key;
}

const struct wg_key *state_public_key(const struct state *state)
{
	return &state->public_key;
}

const char *state_dir(const struct state *state)
{
	return state->dir;
}

int state_dir_fd(const struct state *state)
{
	return state->dir_fd;
}

static void forget_map(struct state *state)
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

	forget_map(state);
	path = text_printf("%s/%s", state->dir, STATE_MAP_FILE);
	if (!path)
		return -ENOMEM;
	r = conf_load(path, CONF_ANY_OWNER, map_fields, ARRAY_SIZE(map_fields), state, reterr_text);
	if (r < 0)
		forget_map(state);
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
	forget_map(state);
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
