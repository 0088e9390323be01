#include "tests/unit/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char *scratch_new(void)
{
	char *folder = strdup(access("/dev/shm", W_OK) == 0 ? "/dev/shm/peergate-test.XXXXXX"
							    : "/tmp/peergate-test.XXXXXX");

	assert_non_null(mkdtemp(folder));
	return folder;
}

void scratch_empty(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
	closedir(dir);
}

char *scratch_remove(char *folder)
{
	scratch_empty(folder);
	assert_int_equal(rmdir(folder), 0);
	free(folder);
	return NULL;
}
