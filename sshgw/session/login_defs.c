#include "sshgw/session/login_defs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/file.h"
#include "common/text.h"

#define MAX_FILE      (256u << 10)
#define DEFAULT_PATH  "/usr/local/bin:/usr/bin:/bin:/usr/games"
#define DEFAULT_SUPER "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define SPACE	      " \t"

/*
 * The value of the last line "NAME value" in text, quotes and trailing space removed.
 * Return: the caller's to free; NULL when there is none (or no memory, which the defaults cover).
 */
static char *find_setting(const char *text, const char *name)
{
	size_t name_len = strlen(name);
	char *value = NULL;

	for (const char *line = text; line; line = strchr(line, '\n')) {
		size_t len;

		line += strspn(line, SPACE "\n");
		if (strncmp(line, name, name_len) != 0 || !strchr(SPACE, line[name_len]) ||
		    !line[name_len])
			continue;
		line += name_len;
		line += strspn(line, SPACE "\"");
		len = strcspn(line, "\n\"");
		while (len > 0 && strchr(SPACE "\r", line[len - 1]))
			len--;
		free(value);
		value = strndup(line, len);
	}
	return value;
}

/* ENV_PATH and ENV_SUPATH are written as "PATH=/bin:..." or as "/bin:...". */
static char *find_path(const char *text, const char *name, const char *otherwise)
{
	_cleanup_free_ char *value = find_setting(text, name);
	const char *path = value;

	if (path && strncmp(path, "PATH=", 5) == 0)
		path += 5;
	return strdup(path && *path ? path : otherwise);
}

int login_defs_parse(const char *text, struct login_defs *ret_defs)
{
	_cleanup_(login_defs_done) struct login_defs defs = { 0 };
	_cleanup_free_ char *uid_max = find_setting(text, "LASTLOG_UID_MAX");
	uint64_t value = UINT32_MAX;

	defs.path = find_path(text, "ENV_PATH", DEFAULT_PATH);
	defs.root_path = find_path(text, "ENV_SUPATH", DEFAULT_SUPER);
	if (!defs.path || !defs.root_path)
		return -ENOMEM;
	if (uid_max)
		(void)parse_u64(uid_max, UINT32_MAX, &value);
	defs.lastlog_uid_max = (uid_t)value;
	*ret_defs = defs;
	defs = (struct login_defs){ 0 };
	return 0;
}

int login_defs_read(const char *path, struct login_defs *ret_defs)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (file_read(AT_FDCWD, path, MAX_FILE, &text, &len) < 0)
		return login_defs_parse("", ret_defs);
	return login_defs_parse(text, ret_defs);
}

void login_defs_done(struct login_defs *defs)
{
	free(defs->path);
	free(defs->root_path);
	*defs = (struct login_defs){ 0 };
}
