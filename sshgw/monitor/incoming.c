#include "sshgw/monitor/incoming.h"

#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/passed.h"
#include "common/text.h"
#include "sshgw/monitor/forwarding.h"
#include "sshgw/monitor/forwarding_log.h"

/*
 * Each connection that comes in costs us a child, which closes our copy of it (common/passed.h),
 * and we go before others: what comes faster waits in the kernel.
 */
static const struct budget pace = { .cost_usec = 5 * 1000, .burst = 1000 };

/* ---- one after the other ---- */

/* Now, or when the budget allows it. */
static void tell_next(struct monitor *m)
{
	uint64_t wait = budget_take(&m->forwarding.incoming, clock_usec(CLOCK_MONOTONIC));

	if (wait > 0) {
		loop_time_set_relative(m->forwarding.next, wait);
		loop_time_enable(m->forwarding.next, LOOP_ONESHOT);
		return;
	}
	m->forwarding.owes_next = false;
	/* It reads of the cancellations before this, and so before it sends another one. */
	forwards_forget_cancelled(&m->forwarding.table);
	mon_send(m, MON_USER, USER_NEXT, NULL, NULL, 0);
}

static void on_next(struct loop_source *source, uint64_t usec, void *userdata)
{
	struct monitor *m = userdata;

	if (m->state == MON_OPEN)
		tell_next(m);
}

void incoming_init(struct monitor *m)
{
	m->forwarding.held.fd = -1;
	m->forwarding.incoming = pace;
}

int incoming_add_timer(struct monitor *m)
{
	return loop_add_time(m->loop, CLOCK_MONOTONIC, on_next, m, &m->forwarding.next);
}

static void drop_held(struct monitor *m)
{
	passed_drop(m->forwarding.held.fd);
	m->forwarding.held.fd = -1;
	msg_incoming_done(&m->forwarding.held.msg);
}

void incoming_done(struct monitor *m)
{
	drop_held(m);
	m->forwarding.next = loop_source_free(m->forwarding.next);
}

/* ---- letting it in ---- */

static char *name_incoming(const struct msg_incoming *msg, const struct mon_listener *listener)
{
	_cleanup_free_ char *who =
		msg->address[0] ? forward_name_port(msg->address, msg->port) : NULL;

	return text_printf("%s%s%s", who ?: "", who ? " at " : "", listener->name);
}

/* Return: 0, -ENOMEM. */
static int announce(struct monitor *m, const struct msg_incoming *msg, int fd)
{
	struct mon_listener *listener = forwards_find_listener(&m->forwarding.table, msg->listener);
	struct chan_writer w = { 0 };
	struct mon_forward *forward;

	/* It may have been cancelled while this was under way. */
	if (!listener)
		return 0;
	forward = forwards_add(&m->forwarding.table, msg->id, true);
	if (!forward)
		return -ENOMEM;
	forward->kind = listener->request.kind;
	forward->name = name_incoming(msg, listener);
	msg_incoming_put(&w, msg);
	forwarding_bring_up(m, forward, NET_INCOMING, &w, fd);
	if (listener->request.single)
		forwards_use_up_listener(&m->forwarding.table, listener);
	return 0;
}

int incoming_let_in(struct monitor *m)
{
	int r;

	if (m->forwarding.held.fd < 0 || m->forwarding.table.n >= m->ceiling.max_forwards)
		return 0;
	r = announce(m, &m->forwarding.held.msg, m->forwarding.held.fd);
	drop_held(m);
	tell_next(m);
	return r;
}

/* It listens, or did when the connection came. */
static bool may_have_incoming(struct forwards *table, uint32_t id)
{
	const struct mon_listener *listener = forwards_find_listener(table, id);

	return listener ? listener->state == MON_FORWARD_UP : forwards_is_cancelled(table, id);
}

int incoming_came(struct monitor *m, struct chan_msg *msg)
{
	struct forwards *table = &m->forwarding.table;
	struct msg_incoming incoming;

	if (m->forwarding.owes_next || msg->n_fds != 1 || !passed_is_connection(msg->fds[0]) ||
	    msg_incoming_get(msg, &incoming) < 0)
		return -EPROTO;
	if (!may_have_incoming(table, incoming.listener) ||
	    forwards_take_user_id(table, incoming.id) < 0) {
		msg_incoming_done(&incoming);
		return -EPROTO;
	}
	m->forwarding.owes_next = true;
	m->forwarding.held.msg = incoming;
	m->forwarding.held.fd = take_fd(&msg->fds[0]);
	return incoming_let_in(m);
}
