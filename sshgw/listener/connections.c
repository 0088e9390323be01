#include "sshgw/listener/connections.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/child.h"
#include "sshgw/listener/limits.h"
#include "sshgw/listener/penalties.h"
#include "sshgw/steps.h"

/* How far it has come: so says the number of bytes in the status pipe (sshgw/steps.h). */
enum stage {
	STAGE_NEW,
	STAGE_HELD, /* a person is asked; it has its own limit of time */
	STAGE_LOGGED_IN,
	STAGE_LEFT, /* only programs that it left running are there */
};

struct connection {
	struct connections *all;
	struct connection *next, **link;
	struct ip_addr peer;
	pid_t monitor; /* alive as long as the pipe is not at its end */
	enum stage stage;
	bool given_up; /* told to end what it left running: counts no more */
	bool is_child; /* ours, and not waited for yet: how it ends we will be told */
	int status_fd; /* -1: it was at its end */
	sd_event_source *status;
};

struct connections {
	sd_event *event;
	struct limits live, unauthenticated, held, left;
	struct penalties penalties;
	struct connection *list;
	uint64_t told_usec; /* when somebody was last told to have been turned away; 0: never */
	unsigned n_untold;  /* who came since then */
};

int connections_new(sd_event *event, struct connections **ret_connections)
{
	struct connections *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->event = sd_event_ref(event);
	*ret_connections = all;
	return 0;
}

void connections_set_limits(struct connections *all, const struct ceiling *ceiling)
{
	all->live.max_total = ceiling->max_connections;
	all->live.max_per_peer = ceiling->max_connections_per_peer;
	all->unauthenticated.max_total = ceiling->max_unauthenticated;
	all->unauthenticated.max_per_peer = ceiling->max_unauthenticated_per_peer;
	all->held.max_total = ceiling->max_held;
	all->held.max_per_peer = ceiling->max_held_per_peer;
	all->left.max_total = ceiling->max_left_running;
	all->left.max_per_peer = ceiling->max_left_running_per_peer;
	all->penalties.after = ceiling->penalty_after;
	all->penalties.first_usec = ceiling->penalty_usec;
	all->penalties.max_usec = ceiling->max_penalty_usec;
}

struct connections_count connections_count(const struct connections *all)
{
	return (struct connections_count){
		.live = all->live.n,
		.unauthenticated = all->unauthenticated.n,
		.held = all->held.n,
		.left = all->left.n,
	};
}

/* ---- counting ---- */

/* Besides that it is there at all. NULL: none. */
static struct limits *counted_as(struct connection *c)
{
	switch (c->stage) {
	case STAGE_NEW:
		return &c->all->unauthenticated;
	case STAGE_HELD:
		return &c->all->held;
	case STAGE_LOGGED_IN:
	case STAGE_LEFT:
		break;
	}
	return NULL;
}

static void count_in(struct connection *c)
{
	struct connections *all = c->all;
	int r;

	if (c->given_up)
		return;
	r = limits_enter(c->stage == STAGE_LEFT ? &all->left : &all->live, &c->peer);
	if (r == 0 && counted_as(c))
		r = limits_enter(counted_as(c), &c->peer);
	if (r < 0)
		log_warning_errno(r, "Could not count a connection, continuing");
}

static void count_out(struct connection *c)
{
	struct connections *all = c->all;

	if (c->given_up)
		return;
	limits_leave(c->stage == STAGE_LEFT ? &all->left : &all->live, &c->peer);
	if (counted_as(c))
		limits_leave(counted_as(c), &c->peer);
}

/* Whoever floods us shall not flood the journal: one line a second, with how many it stands for. */
static bool may_tell(struct connections *all)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC);

	if (all->told_usec && now - all->told_usec < USEC_PER_SEC) {
		all->n_untold++;
		return false;
	}
	all->told_usec = now;
	return true;
}

static void tell(struct connections *all, int level, const struct ip_addr *peer,
		 const char *consequence, const char *why)
{
	char text[IP_ADDR_STRLEN], more[64] = "";

	if (!may_tell(all))
		return;
	if (all->n_untold)
		snprintf(more, sizeof(more), " (and %u more meanwhile)", all->n_untold);
	all->n_untold = 0;
	ip_addr_to_string(peer, text);
	log_with(level, 0, LOG_FIELDS({ "PEER", text }), "%s %s: %s%s", consequence, text, why,
		 more);
}

/*
 * Log that there is no room, if so says the answer. key: of the limit, in sshgw.conf; consequence:
 * what happens now. Return: whether there is room.
 */
static bool tell_limit(struct connections *all, const struct limits *limits,
		       enum limits_answer answer, const struct ip_addr *peer, const char *key,
		       const char *consequence)
{
	char why[128];

	switch (answer) {
	case LIMITS_OK:
		return true;
	case LIMITS_TOTAL:
		snprintf(why, sizeof(why), "there are %zu of %s= already", limits->n, key);
		break;
	case LIMITS_PER_PEER:
		snprintf(why, sizeof(why), "it has %zu of %sPerPeer= already", limits->max_per_peer,
			 key);
		break;
	case LIMITS_SHARE:
		snprintf(why, sizeof(why), "it has its share of what is left of %s=", key);
		break;
	}
	tell(all, LOG_WARNING, peer, consequence, why);
	return false;
}

static bool has_room(struct connections *all, const struct limits *limits,
		     const struct ip_addr *peer, const char *key, const char *consequence)
{
	return tell_limit(all, limits, limits_admit(limits, peer), peer, key, consequence);
}

bool connections_admit(struct connections *all, const struct ip_addr *peer)
{
	static const char closed[] = "Closed a connection from";

	return has_room(all, &all->live, peer, "MaxConnections", closed) &&
	       has_room(all, &all->unauthenticated, peer, "MaxUnauthenticated", closed);
}

/* ---- penalties ---- */

static unsigned seconds(uint64_t usec)
{
	return (unsigned)((usec + USEC_PER_SEC - 1) / USEC_PER_SEC);
}

uint64_t connections_penalty(struct connections *all, const struct ip_addr *peer)
{
	uint64_t left = penalties_left(&all->penalties, peer, clock_usec(CLOCK_MONOTONIC));
	char why[128];

	if (left == 0)
		return 0;
	snprintf(why, sizeof(why), "its connections misbehaved, for %u s more (PenaltyAfter=)",
		 seconds(left));
	tell(all, LOG_WARNING, peer, "Closed a connection from", why);
	return left;
}

static void penalise(struct connections *all, const struct ip_addr *peer)
{
	uint64_t usec = penalties_note(&all->penalties, peer, clock_usec(CLOCK_MONOTONIC));
	char text[IP_ADDR_STRLEN];

	if (usec == 0)
		return;
	ip_addr_to_string(peer, text);
	log_with(LOG_WARNING, 0, LOG_FIELDS({ "EVENT", "penalty" }, { "PEER", text }),
		 "Refusing connections from %s for %u s: %u of them broke the protocol or never "
		 "logged in, within a minute (PenaltyAfter=)",
		 text, seconds(usec), (unsigned)all->penalties.after);
}

void connections_reset(struct connections *all, const struct ip_addr *peer)
{
	/* Some load balancers look so whether somebody listens: nobody has to do anything. */
	tell(all, LOG_INFO, peer, "Closed a connection from", "it was reset at once");
	penalise(all, peer);
}

/* ---- one connection ---- */

static void connection_free(struct connection *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	sd_event_source_disable_unref(c->status);
	close_fd(c->status_fd);
	free(c);
}

static enum stage read_stage(int fd)
{
	static const enum stage stages[] = {
		STAGE_NEW,
		[MON_STEP_LOGGED_IN] = STAGE_LOGGED_IN,
		[MON_STEP_LEFT] = STAGE_LEFT,
		[MON_STEP_HELD] = STAGE_HELD,
		[MON_STEP_HELD + MON_STEP_LOGGED_IN] = STAGE_LOGGED_IN,
		[MON_STEP_HELD + MON_STEP_LEFT] = STAGE_LEFT,
	};
	int n = 0;

	if (ioctl(fd, FIONREAD, &n) < 0 || n < 0)
		return STAGE_NEW;
	return (size_t)n < ARRAY_SIZE(stages) ? stages[n] : STAGE_LEFT;
}

/*
 * Its number, which may have come to us through the service manager, is its own as long as the pipe
 * is not at its end: if it still is not once we have a descriptor, that is the monitor's.
 */
static void signal_monitor(const struct connection *c, int sig)
{
	_cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, c->monitor, 0);
	struct pollfd pipe = { .fd = c->status_fd };

	if (poll(&pipe, 1, 0) >= 0 && !(pipe.revents & (POLLHUP | POLLERR)))
		child_signal(pidfd, sig);
}

/* That is over; NULL: there is none. */
static struct connection *newest_left(const struct connections *all, const struct ip_addr *peer)
{
	for (struct connection *c = all->list; c; c = c->next)
		if (c->stage == STAGE_LEFT && !c->given_up && ip_addr_equal(&c->peer, peer))
			return c;
	return NULL;
}

/*
 * Who was let in is never locked out by what he left running: connections that are over count for
 * themselves. There is an end to that, too: of a peer that has as many as it may the newest has to
 * go, and of all the newest of the one that has most: who leaves much has his own ended by that,
 * not what others left.
 */
static void limit_left(struct connection *c)
{
	struct limits *left = &c->all->left;
	enum limits_answer answer = limits_check(left, &c->peer);
	const struct ip_addr *most =
		answer == LIMITS_TOTAL ? limits_greediest(left, &c->peer) : NULL;
	struct connection *last = most ? newest_left(c->all, most) : NULL;

	if (!last)
		last = c;
	if (tell_limit(c->all, left, answer, &last->peer, "MaxLeftRunning",
		       "Ending what was left running by a connection from"))
		return;
	signal_monitor(last, SIGTERM);
	if (last != c)
		count_out(last);
	last->given_up = true;
}

static void enter_stage(struct connection *c, enum stage stage)
{
	if (stage <= c->stage)
		return;
	count_out(c);
	if (stage == STAGE_LEFT)
		limit_left(c);
	if (stage == STAGE_HELD && !has_room(c->all, &c->all->held, &c->peer, "MaxHeldLogins",
					     "Refusing a login that waits for a check, from"))
		signal_monitor(c, MON_SIGNAL_NO_ROOM);
	c->stage = stage;
	count_in(c);
}

/* Its status may be known already, or is to come. */
static void connection_over(struct connection *c)
{
	count_out(c);
	c->status = sd_event_source_disable_unref(c->status);
	c->status_fd = close_fd(c->status_fd);
	if (!c->is_child)
		connection_free(c);
}

static int on_status(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct connection *c = userdata;

	if (revents & (EPOLLHUP | EPOLLERR)) {
		connection_over(c);
	} else {
		enter_stage(c, read_stage(fd));
	}
	return 0;
}

/* Takes fd on success. */
static int connection_new(struct connections *all, const struct ip_addr *peer, pid_t monitor,
			  int fd)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct connection){
		.all = all,
		.peer = *peer,
		.monitor = monitor,
		.stage = read_stage(fd),
		.status_fd = -1,
		.next = all->list,
		.link = &all->list,
	};
	if (c->next)
		c->next->link = &c->next;
	all->list = c;
	/* By its edges, since the bytes stay where they are. */
	r = sd_event_add_io(all->event, &c->status, fd, EPOLLIN | EPOLLET, on_status, c);
	if (r < 0) {
		connection_free(c);
		return r;
	}
	c->status_fd = fd;
	count_in(c);
	return 0;
}

struct connections *connections_free(struct connections *all)
{
	if (!all)
		return NULL;
	while (all->list)
		connection_free(all->list);
	limits_done(&all->live);
	limits_done(&all->unauthenticated);
	limits_done(&all->held);
	limits_done(&all->left);
	penalties_done(&all->penalties);
	sd_event_unref(all->event);
	free(all);
	return NULL;
}

void connections_monitor_exited(struct connections *all, pid_t monitor, bool misbehaved)
{
	struct connection *c = all->list;

	while (c && !(c->is_child && c->monitor == monitor))
		c = c->next;
	if (!c)
		return;
	if (misbehaved)
		penalise(all, &c->peer);
	c->is_child = false;
	/* Else the end of its pipe is still to be read. */
	if (c->status_fd < 0)
		connection_free(c);
}

/* ---- the service manager's store ---- */

/* "PID/ADDRESS", in which "-" stands for the colons that a name may not have. */
static void store(const struct connection *c)
{
	char address[IP_ADDR_STRLEN];
	_cleanup_free_ char *state = NULL;
	int r;

	ip_addr_to_string(&c->peer, address);
	for (char *p = address; *p; p++)
		*p = *p == ':' ? '-' : *p;
	state = text_printf("FDSTORE=1\nFDNAME=%d/%s", c->monitor, address);
	r = state ? sd_pid_notify_with_fds(0, 0, state, &c->status_fd, 1) : -ENOMEM;
	if (r < 0)
		log_debug_errno(r, "The next listener will not know of a connection");
}

static int parse_name(const char *name, struct ip_addr *ret_peer, pid_t *ret_monitor)
{
	_cleanup_free_ char *copy = strdup(name);
	char *address = copy ? strchr(copy, '/') : NULL;
	uint64_t pid;

	if (!copy)
		return -ENOMEM;
	if (!address)
		return -EINVAL;
	*address++ = '\0';
	for (char *p = address; *p; p++)
		*p = *p == '-' ? ':' : *p;
	if (parse_u64(copy, INT32_MAX, &pid) < 0 || pid <= 1 ||
	    ip_addr_parse(address, ret_peer) < 0)
		return -EINVAL;
	*ret_monitor = (pid_t)pid;
	return 0;
}

int connections_add(struct connections *all, const struct ip_addr *peer, pid_t monitor,
		    int status_fd)
{
	_cleanup_close_ int fd = status_fd;
	int r = connection_new(all, peer, monitor, fd);

	if (r < 0)
		return r;
	take_fd(&fd);
	all->list->is_child = true;
	store(all->list);
	return 0;
}

int connections_adopt(struct connections *all, const char *name, int fd)
{
	struct ip_addr peer;
	pid_t monitor;
	int r = parse_name(name, &peer, &monitor);

	return r < 0 ? r : connection_new(all, &peer, monitor, fd);
}
