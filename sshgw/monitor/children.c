#include "sshgw/monitor/children.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "common/log.h"
#include "sshgw/monitor/check.h"
#include "sshgw/monitor/login.h"

/* ---- those that close what could make us wait (common/passed.h) ---- */

static bool is_known(const struct monitor *m, pid_t pid)
{
	for (size_t i = 0; i < MON_N_PEERS; i++)
		if (m->peers[i].pidfd >= 0 && m->peers[i].pid == pid)
			return true;
	return false;
}

/* One that we know hides those behind it until its turn has come, and is followed by this. */
static void reap_others(const struct monitor *m)
{
	siginfo_t info = { 0 };

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0 &&
	       !is_known(m, info.si_pid)) {
		waitpid(info.si_pid, NULL, 0);
		info.si_pid = 0;
	}
}

static void on_child(struct loop_source *source, const struct signalfd_siginfo *info,
		     void *userdata)
{
	reap_others(userdata);
}

int children_init(struct monitor *m)
{
	return loop_add_signal(m->loop, SIGCHLD, on_child, m, &m->children);
}

/* ---- net and leader ---- */

/* Return: whether it ended in a way that it should not. */
static bool log_exit(const struct monitor *m, const struct mon_peer *peer, const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED) {
		log_debug("The %s process ended with status %d", peer->name, info->si_status);
		return false;
	}
	if (info->si_status == SIGKILL && m->state == MON_ENDING)
		return false;
	if (info->si_status == SIGSYS)
		log_error("The %s process made a system call that its sandbox forbids (see the "
			  "kernel's audit message)",
			  peer->name);
	else
		log_error("The %s process was killed by signal %d", peer->name, info->si_status);
	return true;
}

/* It had the connection: that is over, and so is what is to be known of it. */
static void net_ended(struct monitor *m, const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED) {
		story_net_exited(m, info->si_status);
	} else if (info->si_status != SIGKILL) {
		story_net_crashed(m);
	}
	story_why(m, story_net_gone);
	story_end(m);
}

static void on_exit_event(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	struct monitor *m = userdata;
	enum mon_peer_index index = m->peers[MON_NET].pidfd == fd ? MON_NET : MON_LEADER;
	struct mon_peer *peer = &m->peers[index];
	siginfo_t info = { 0 };
	bool crashed;

	/* Not reaped yet, it can be asked for the last time where it is. */
	if (index == MON_LEADER && m->state == MON_ENDING)
		mon_end_opened(m);
	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	crashed = log_exit(m, peer, &info);
	peer->exit = loop_source_free(peer->exit);
	peer->pidfd = close_fd(peer->pidfd);
	reap_others(m);
	if (index == MON_NET) {
		mon_drain(m, MON_NET);
		net_ended(m, &info);
	}
	if (index == MON_LEADER)
		login_leader_lost(m);
	else if (!crashed)
		check_client_gone(m);
	mon_end(m, crashed ? MON_END_KILLED : MON_END_GONE, NULL,
		index == MON_NET ? story_net_gone : "the session ended");
	mon_end_child_gone(m);
}

int mon_watch_exit(struct monitor *m, enum mon_peer_index index, pid_t pid, int pidfd)
{
	struct mon_peer *peer = &m->peers[index];

	peer->pid = pid;
	peer->pidfd = pidfd;
	return loop_add_io(m->loop, pidfd, EPOLLIN, on_exit_event, m, &peer->exit);
}
