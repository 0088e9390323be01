#include "agent/hostfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "agent/names.h"
#include "agent/netmap/json.h"
#include "agent/ssh/known_hosts.h"
#include "common/file.h"
#include "common/log.h"
#include "common/names.h"
#include "common/text.h"

typedef int (*format_fn)(const struct netmap *map, char **ret_text, size_t *ret_len);

static int format_known_hosts(const struct netmap *map, char **ret_text, size_t *ret_len)
{
	int r = known_hosts_format(map, ret_text);

	if (r == 0)
		*ret_len = strlen(*ret_text);
	return r;
}

static const struct {
	const char *name;
	format_fn format;
} kinds[] = {
	{ "ssh_known_hosts", format_known_hosts },
	{ NAMES_FILE, names_of_map },
	{ HOSTFILES_NETMAP, netmap_to_json },
};

struct hostfiles {
	char *dir;
	bool outdated[ARRAY_SIZE(kinds)];
};

int hostfiles_new(const char *dir, struct hostfiles **ret_hostfiles)
{
	_cleanup_(hostfiles_freep) struct hostfiles *hostfiles = calloc(1, sizeof(*hostfiles));

	if (!hostfiles)
		return -ENOMEM;
	hostfiles->dir = strdup(dir);
	if (!hostfiles->dir)
		return -ENOMEM;
	*ret_hostfiles = take_ptr(hostfiles);
	return 0;
}

struct hostfiles *hostfiles_free(struct hostfiles *hostfiles)
{
	if (!hostfiles)
		return NULL;
	free(hostfiles->dir);
	free(hostfiles);
	return NULL;
}

void hostfiles_outdate(struct hostfiles *hostfiles)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		hostfiles->outdated[i] = true;
}

void hostfiles_remove(struct hostfiles *hostfiles)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_free_ char *path = text_printf("%s/%s", hostfiles->dir, kinds[i].name);

		if (!path || (unlink(path) < 0 && errno != ENOENT))
			log_warning("Could not remove %s of %s, continuing", kinds[i].name,
				    hostfiles->dir);
		hostfiles->outdated[i] = true;
	}
}

static int write_one(const struct hostfiles *hostfiles, size_t kind, const struct netmap *map)
{
	_cleanup_free_ char *path = text_printf("%s/%s", hostfiles->dir, kinds[kind].name);
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!path)
		return -ENOMEM;
	r = kinds[kind].format(map, &text, &len);
	return r < 0 ? r : file_replace(AT_FDCWD, path, text, len, 0644);
}

int hostfiles_write(struct hostfiles *hostfiles, const struct netmap *map)
{
	int ret = 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int r;

		if (!hostfiles->outdated[i])
			continue;
		r = write_one(hostfiles, i, map);
		hostfiles->outdated[i] = r < 0;
		if (r < 0)
			ret = log_warning_errno(
				r, "Could not write %s/%s, continuing with the old one",
				hostfiles->dir, kinds[i].name);
	}
	return ret;
}
