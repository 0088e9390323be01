#include "sshgw/net/filter.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static const struct sandbox_rule rules[] = {
	/* bytes between descriptors that were handed in */
	{ "read" },
	{ "write" },
	{ "readv" },
	{ "writev" },
	{ "recvfrom" },
	{ "recvmsg" },
	{ "sendto" },
	{ "sendmsg" },
	{ "poll" },
	{ "ppoll" },
	{ "close" },
	{ "shutdown" },
	{ "fcntl", { { SANDBOX_EQUAL, 1, F_GETFL } } },
	{ "fcntl", { { SANDBOX_EQUAL, 1, F_SETFL } } },
	{ "ioctl", { { SANDBOX_EQUAL, 1, TIOCSWINSZ } } },
	{ "setsockopt", { { SANDBOX_EQUAL, 1, IPPROTO_TCP }, { SANDBOX_EQUAL, 2, TCP_QUICKACK } } },
	{ "getsockopt" },
	/* memory: nothing that could become code */
	{ "brk" },
	{ "munmap" },
	{ "mremap" },
	{ "madvise" },
	{ "mmap", { { SANDBOX_NO_BITS, 2, PROT_EXEC } } },
	{ "mprotect", { { SANDBOX_NO_BITS, 2, PROT_EXEC } } },
	/* itself */
	{ "futex" },
	{ "getpid" },
	{ "getrandom" },
	{ "clock_gettime" },
	{ "gettimeofday" },
	{ "clock_nanosleep" },
	{ "rt_sigreturn" },
	{ "rt_sigprocmask" },
	{ "restart_syscall" },
	{ "exit" },
	{ "exit_group" },
};

/* No file, no process, no core (it would hold session keys). */
static const struct sandbox_limit limits[] = {
	{ RLIMIT_FSIZE, 0 },	 { RLIMIT_NPROC, 0 },	      { RLIMIT_CORE, 0 },
	{ RLIMIT_NOFILE, 1024 }, { RLIMIT_AS, 1024ul << 20 },
};

const struct sandbox_config net_sandbox = {
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
};
