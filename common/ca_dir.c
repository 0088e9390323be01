#include "common/ca_dir.h"

#include <dirent.h>
#include <string.h>

#define HASH_CHARS 8

/* "1d3472b9.0": the first one of that hash. */
static bool is_hash(const char *name)
{
	return strspn(name, "0123456789abcdef") == HASH_CHARS &&
	       strcmp(name + HASH_CHARS, ".0") == 0;
}

bool is_ca_dir(const char *path)
{
	DIR *dir = path ? opendir(path) : NULL;
	const struct dirent *entry = NULL;

	while (dir && (entry = readdir(dir)))
		if (is_hash(entry->d_name))
			break;
	if (dir)
		closedir(dir);
	return entry;
}
