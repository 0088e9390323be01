#include "sshgw/listener/keys_process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "common/chan.h"
#include "common/log.h"
#include "sshgw/build.h"
#include "sshgw/child.h"
#include "sshgw/msg.h"

struct keys_process {
	sd_event *event;
	int exe_fd;
	int control_fd, pidfd; /* -1: it does not run */
	pid_t pid;
	sd_event_source *exit;
};

static void forget(struct keys_process *keys)
{
	keys->exit = sd_event_source_disable_unref(keys->exit);
	keys->control_fd = close_fd(keys->control_fd);
	keys->pidfd = close_fd(keys->pidfd);
}

/*
 * It is reaped with the monitors. The next connection starts another one; those that are open can
 * exchange keys no more.
 */
static int on_exit_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	log_error("The keys process has ended; the next connection starts another one");
	forget(userdata);
	return 0;
}

static int start(struct keys_process *keys)
{
	const char *const argv[] = { "peergate-sshgw-keys", build_id(), NULL };
	_cleanup_free_ char *journal = log_journal_env();
	const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", journal, NULL };
	struct child_spec spec = { .exe_fd = keys->exe_fd, .argv = argv, .envp = envp, .n_fds = 1 };
	int pair[2], r;

	r = chan_pair(pair);
	if (r < 0)
		return r;
	spec.fds[0] = pair[1];
	r = child_spawn(&spec, &keys->pid, &keys->pidfd);
	close_fd(pair[1]);
	keys->control_fd = pair[0];
	if (r == 0)
		r = sd_event_add_io(keys->event, &keys->exit, keys->pidfd, EPOLLIN, on_exit_event,
				    keys);
	if (r < 0)
		forget(keys);
	return r < 0 ? r : 0;
}

int keys_process_new(sd_event *event, int exe_fd, struct keys_process **ret_keys)
{
	_cleanup_(keys_process_freep) struct keys_process *keys = calloc(1, sizeof(*keys));
	int r;

	if (!keys)
		return -ENOMEM;
	*keys = (struct keys_process){
		.event = sd_event_ref(event), .exe_fd = exe_fd, .control_fd = -1, .pidfd = -1
	};
	r = start(keys);
	if (r < 0)
		return log_error_errno(r, "Could not start the keys process");
	*ret_keys = take_ptr(keys);
	return 0;
}

struct keys_process *keys_process_free(struct keys_process *keys)
{
	if (!keys)
		return NULL;
	forget(keys);
	sd_event_unref(keys->event);
	free(keys);
	return NULL;
}

pid_t keys_process_pid(const struct keys_process *keys)
{
	return keys->pid;
}

static int ask_to_serve(struct keys_process *keys, int fd)
{
	int r = keys->control_fd < 0 ? start(keys) : 0;

	return r < 0 ? r : chan_send(keys->control_fd, KEYS_SERVE, NULL, &fd, 1);
}

int keys_process_open(struct keys_process *keys, int *ret_fd)
{
	int pair[2], r = chan_pair(pair);

	if (r < 0)
		return r;
	r = ask_to_serve(keys, pair[1]);
	if (r == -EPIPE || r == -ECONNRESET) {
		log_error("The keys process does not listen any more, starting another one");
		forget(keys);
		r = ask_to_serve(keys, pair[1]);
	}
	close_fd(pair[1]);
	if (r < 0) {
		close_fd(pair[0]);
		return r;
	}
	*ret_fd = pair[0];
	return 0;
}
