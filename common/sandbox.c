#include "common/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/text.h"

/* Return: 0, -ENOTEMPTY, negative errno. Takes fd. */
static int check_empty(int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		close_fd(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = -ENOTEMPTY;
	closedir(dir);
	return r;
}

/* What is checked is what is entered: by descriptor, not by name. */
static int enter_root(const char *root)
{
	_cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	r = check_empty(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	if (r < 0)
		return r;
	if (fchdir(fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	/* Believe nothing: root must be out of reach now. */
	if (setuid(0) == 0 || getuid() != uid || geteuid() != uid || getegid() != gid)
		return -EPERM;
	return 0;
}

static int set_limits(const struct sandbox_limit *limits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct rlimit rl = { limits[i].value, limits[i].value };

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &rl) < 0)
			return -errno;
	}
	return 0;
}

static int add_rule(scmp_filter_ctx ctx, const struct sandbox_rule *rule)
{
	int nr = seccomp_syscall_resolve_name(rule->syscall);
	struct scmp_arg_cmp cmp[SANDBOX_MAX_CONDITIONS];
	unsigned n = 0;

	if (nr < 0)
		return 0;
	for (size_t i = 0; i < SANDBOX_MAX_CONDITIONS; i++) {
		const struct sandbox_condition *c = &rule->conditions[i];

		switch (c->match) {
		case SANDBOX_ANY:
			break;
		case SANDBOX_EQUAL:
			cmp[n++] = (struct scmp_arg_cmp){ c->arg, SCMP_CMP_EQ, c->value, 0 };
			break;
		case SANDBOX_NO_BITS:
			cmp[n++] = (struct scmp_arg_cmp){ c->arg, SCMP_CMP_MASKED_EQ, c->value, 0 };
			break;
		}
	}
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, n, cmp);
}

static int load_filter(const struct sandbox_rule *rules, size_t n)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_rule(ctx, &rules[i]);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int sandbox_enter(const struct sandbox_config *config, char **reterr_text)
{
	const char *what = "enter the empty root directory";
	int r;

	r = enter_root(config->root);
	if (r == 0) {
		what = "become the sandbox user";
		r = become(config->uid, config->gid);
	}
	if (r == 0) {
		what = "forbid new privileges";
		/* The parent is who watches us: without it we end (the change of user clears this).
		 */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
		    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			r = -errno;
	}
	if (r == 0) {
		what = "set resource limits";
		r = set_limits(config->limits, config->n_limits);
	}
	if (r == 0) {
		what = "load the system call filter";
		r = load_filter(config->rules, config->n_rules);
	}
	if (r < 0)
		*reterr_text = text_printf("Could not %s (root %s, uid %u): %s", what, config->root,
					   (unsigned)config->uid, strerror(-r));
	return r;
}
