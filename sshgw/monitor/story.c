#include "sshgw/monitor/story.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "sshgw/monitor/forwarding_log.h"
#include "sshgw/monitor/journal.h"
#include "sshgw/monitor/monitor.h"
#include "sshgw/monitor/session_log.h"

/*
 * An agent and account rules that work need a fraction of it. Who does not even stay for so long is
 * not kept waiting: otherwise nobody who leaves when asking would ever be counted.
 */
#define PATIENCE_USEC (2 * USEC_PER_SEC)

const char story_net_gone[] = "the network process ended";

void story_begin(struct monitor *m)
{
	char peer[IP_ENDPOINT_STRLEN], local[IP_ENDPOINT_STRLEN];
	_cleanup_free_ char *text = NULL;

	m->story.begun_usec = clock_usec(CLOCK_MONOTONIC);
	ip_endpoint_to_string(&m->peer, peer);
	ip_endpoint_to_string(&m->local, local);
	text = text_printf("Connection from %s to %s", peer, local);
	journal_record(m, "connection-begun", LOG_INFO, NULL, 0, text ?: "Connection");
}

void story_why(struct monitor *m, const char *why)
{
	if (!m->story.why)
		m->story.why = why;
}

static bool is_hosts_turn_for_long(const struct monitor *m)
{
	return (m->state == MON_ASKING || m->state == MON_ACCOUNT) &&
	       clock_usec(CLOCK_MONOTONIC) - m->story.state_usec >= PATIENCE_USEC;
}

void story_leave_state(struct monitor *m)
{
	if (m->state >= MON_ENDING)
		return;
	m->story.kept_waiting = is_hosts_turn_for_long(m);
	m->story.state_usec = clock_usec(CLOCK_MONOTONIC);
}

/* Who leaves, or whose time runs out, when this host was to decide and did not. */
static bool is_excused(const struct monitor *m, enum net_exit status)
{
	/* The end of its channel may have been seen before this, or not yet. */
	const bool kept_waiting =
		m->state >= MON_ENDING ? m->story.kept_waiting : is_hosts_turn_for_long(m);

	return kept_waiting &&
	       (status == NET_EXIT_CLOSED || status == NET_EXIT_LOST || status == NET_EXIT_LATE);
}

/* That it is gone may have been seen before how it went. */
static bool knows_more(const struct monitor *m)
{
	return m->story.why && m->story.why != story_net_gone;
}

void story_net_crashed(struct monitor *m)
{
	if (!knows_more(m))
		m->story.why = "the network process crashed";
	m->story.misbehaved = true;
}

void story_net_exited(struct monitor *m, int status)
{
	if (knows_more(m))
		return;
	switch ((enum net_exit)status) {
	case NET_EXIT_CLOSED:
		m->story.why = "the client closed it";
		break;
	case NET_EXIT_BROKEN:
		m->story.why = "the client broke the protocol";
		break;
	case NET_EXIT_LOST:
		m->story.why = "the connection was lost";
		break;
	case NET_EXIT_LATE:
		m->story.why = "the client did not log in in time";
		break;
	case NET_EXIT_GAVE_UP:
		m->story.why = "the gateway gave the connection up";
		break;
	case NET_EXIT_FAILED:
		m->story.why = "the network process failed";
		/* It has not read a byte. Later that is its word, and who took it over has the
		 * word.
		 */
		if (!m->story.met_client)
			return;
		break;
	}
	/*
	 * Whoever comes to leave is no better than one who waits for the grace time. Who has logged
	 * in is known: one whose clients were killed, which may look like a broken protocol, is not
	 * to be kept out.
	 */
	if (!m->story.logged_in && !is_excused(m, (enum net_exit)status))
		m->story.misbehaved = true;
}

/* Return: whether the kernel says how many bytes of TCP's went through it. */
static bool count_bytes(int fd, uint64_t *ret_to_client, uint64_t *ret_from_client)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	/* Both since Linux 4.1. */
	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	    len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(uint64_t))
		return false;
	*ret_to_client = info.tcpi_bytes_acked;
	*ret_from_client = info.tcpi_bytes_received;
	return true;
}

static const char *outcome(const struct story *story)
{
	return story->logged_in ? "logged-in" : story->refused ? "refused" : "no-login";
}

static void record(const struct monitor *m)
{
	const struct story *story = &m->story;
	const uint64_t usec = clock_usec(CLOCK_MONOTONIC) - story->begun_usec;
	const char *why = story->why ?: "the gateway failed";
	struct journal_number duration = journal_number(usec), to, from;
	uint64_t to_client = 0, from_client = 0;
	bool counted = count_bytes(m->config.connection_fd, &to_client, &from_client);
	char peer[IP_ADDR_STRLEN];
	_cleanup_free_ char *text = NULL;

	to = journal_number(to_client);
	from = journal_number(from_client);
	text = text_printf(
		"Connection from %s ended (%s) after %s, %s bytes to the client, %s from it: %s",
		ip_addr_to_string(&m->peer.addr, peer), outcome(story), journal_seconds(usec).text,
		counted ? to.text : "?", counted ? from.text : "?", why);
	journal_record(m, "connection-ended", LOG_INFO,
		       LOG_FIELDS({ "OUTCOME", outcome(story) }, { "END_REASON", why },
				  { "DURATION_USEC", duration.text },
				  { "BYTES_TO_CLIENT", counted ? to.text : NULL },
				  { "BYTES_FROM_CLIENT", counted ? from.text : NULL }),
		       text ?: "Connection ended");
}

void story_end(struct monitor *m)
{
	if (m->story.begun_usec == 0 || m->story.is_over)
		return;
	m->story.is_over = true;
	session_log_end(m);
	forwarding_log_end(m);
	record(m);
	/*
	 * A child of ours that waits for what a user handed over (common/passed.h) may have it,
	 * too: the client is not to wait for that.
	 */
	if (m->config.connection_fd >= 0)
		shutdown(m->config.connection_fd, SHUT_RDWR);
	m->config.connection_fd = close_fd(m->config.connection_fd);
}

enum mon_exit story_exit_status(const struct monitor *m, int r)
{
	if (m->story.misbehaved)
		return MON_EXIT_MISBEHAVED;
	return r < 0 ? MON_EXIT_FAILED : MON_EXIT_DONE;
}
