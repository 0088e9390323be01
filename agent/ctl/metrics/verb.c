/* agentctl metrics: asks the agent, and prints what there is. */
#include <errno.h>
#include <fcntl.h>

#include "agent/ctl/ctl.h"
#include "agent/ctl/metrics/metrics.h"
#include "common/cli/value.h"
#include "common/clock.h"
#include "common/file.h"

#define PROC_MAX (4u << 20)

static void read_link(struct metrics *m)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (file_read(AT_FDCWD, "/proc/net/dev", PROC_MAX, &text, &len) == 0)
		m->has_link = metrics_parse_link(text, value_text(m->status, "interface"),
						 &m->link_rx_bytes, &m->link_tx_bytes);
}

/* Return: exit status. */
static int ask(struct ctl *ctl, json_t **status, json_t **metrics, json_t **peers)
{
	int r;

	r = ctl_call(ctl, "Status", NULL, NULL, status);
	if (r == CLI_OK)
		r = ctl_call(ctl, "GetMetrics", NULL, NULL, metrics);
	if (r == CLI_OK && json_object_get(*status, "generation"))
		r = ctl_call_parts(ctl, "GetPeers", peers);
	return r;
}

int verb_metrics(int argc, char **argv, void *userdata)
{
	json_auto_t *status = NULL, *metrics = NULL, *peers = NULL;
	struct metrics m = { 0 };
	struct ctl *ctl = userdata;
	int r;

	r = ask(ctl, &status, &metrics, &peers);
	if (r == CLI_OK && ctl->json)
		return ctl_print_json(ctl, metrics);
	/* Half of the numbers would look as if the others had stood still. */
	if (r == CLI_OK) {
		m.status = status;
		m.metrics = metrics;
		m.peers = peers;
		m.per_peer = ctl->per_peer;
		m.now_usec = clock_usec(CLOCK_REALTIME);
		read_link(&m);
	}
	metrics_print(&m, ctl->out.file);
	return r;
}
