#include "tests/privsep/mute_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/text.h"

#define ROOT	FUSE_ROOT_ID
#define FILE_ID 2

static pid_t server;
static char *mounted;
static int file;

/* ---- the server ---- */

static void answer(int dev, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + len),
					.error = error,
					.unique = unique };
	struct iovec iov[] = { { &head, sizeof(head) }, { (void *)data, len } };

	if (writev(dev, iov, ARRAY_SIZE(iov)) < 0)
		_exit(1);
}

static void serve_one(int dev, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					    .minor = 31,
					    .max_write = 4096 };
	const struct fuse_attr root = { .ino = ROOT, .mode = S_IFDIR | 0755, .nlink = 2 };
	const struct fuse_attr_out root_out = { .attr = root };
	const struct fuse_entry_out entry = {
		.nodeid = FILE_ID, .attr = { .ino = FILE_ID, .mode = S_IFREG | 0666, .nlink = 1 }
	};
	const struct fuse_open_out opened = { .fh = 1 };

	if (in->opcode == FUSE_INIT)
		answer(dev, in->unique, 0, &init, sizeof(init));
	else if (in->opcode == FUSE_LOOKUP)
		answer(dev, in->unique, 0, &entry, sizeof(entry));
	else if (in->opcode == FUSE_GETATTR && in->nodeid == ROOT)
		answer(dev, in->unique, 0, &root_out, sizeof(root_out));
	else if (in->opcode == FUSE_OPEN)
		answer(dev, in->unique, 0, &opened, sizeof(opened));
	else if (in->nodeid != FILE_ID)
		answer(dev, in->unique, -ENOSYS, NULL, 0);
}

static _Noreturn void serve(int dev)
{
	static union {
		struct fuse_in_header head;
		char bytes[64 << 10];
	} in;

	for (;;) {
		ssize_t n = read(dev, &in, sizeof(in));

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			_exit(0);
		if (n > 0)
			serve_one(dev, &in.head);
	}
}

/* ---- the mount ---- */

int mute_fs_open(const char *dir)
{
	_cleanup_close_ int dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	_cleanup_free_ char *options =
		text_printf("fd=%d,rootmode=40000,user_id=%u,group_id=0", dev, getuid());
	_cleanup_free_ char *path = text_printf("%s/file", dir);

	if (dev < 0) {
		print_message("no /dev/fuse: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mount("mute", dir, "fuse", MS_NOSUID | MS_NODEV, options), 0);
	server = fork();
	assert_true(server >= 0);
	if (server == 0)
		serve(dev);
	mounted = strdup(dir);
	file = open(path, O_RDWR | O_CLOEXEC);
	assert_true(file >= 0);
	return file;
}

static void join(pid_t other, pid_t pid)
{
	_cleanup_free_ char *from = text_printf("/proc/%d/cgroup", other), *procs = NULL;
	_cleanup_fclose_ FILE *in = fopen(from, "re"), *out = NULL;
	char line[512], *path = NULL;

	assert_non_null(in);
	while (!path && fgets(line, sizeof(line), in))
		path = strncmp(line, "0::", 3) == 0 ? line + 3 : NULL;
	assert_non_null(path);
	path[strcspn(path, "\n")] = '\0';
	procs = text_printf("/sys/fs/cgroup%s/cgroup.procs", path);
	out = fopen(procs, "we");
	assert_non_null(out);
	assert_true(fprintf(out, "%d\n", pid) > 0);
}

void mute_fs_join(pid_t other)
{
	join(other, server);
}

/* Its question has been read, so that its wait is no longer one that SIGKILL ends (fuse(4)). */
void mute_fs_hang(pid_t other)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct stat st;

		_exit(stat(mute_fs_path(), &st) < 0);
	}
	join(other, pid);
	usleep(200000);
}

const char *mute_fs_path(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/file", mounted);
	return path;
}

void mute_fs_end(void)
{
	if (server <= 0)
		return;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	close(file);
	umount2(mounted, MNT_DETACH);
	rmdir(mounted);
	free(mounted);
	mounted = NULL;
	server = 0;
}
