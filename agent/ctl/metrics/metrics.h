/* agentctl metrics: the agent's numbers as OpenMetrics text. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What is shown. All borrowed; without the agent's status there is nothing but that. */
struct metrics {
	const json_t *status;  /* of Status */
	const json_t *metrics; /* of GetMetrics */
	const json_t *peers;   /* of GetPeers; NULL: there is no map */
	bool per_peer;	       /* a series for each peer */
	bool has_link;
	uint64_t link_rx_bytes, link_tx_bytes;
	uint64_t now_usec; /* since 1970 */
};

void metrics_print(const struct metrics *m, FILE *f);

/* "  mesh0: RX-BYTES PACKETS ...": proc_net_dev(5). Return: false if there is no such link. */
bool metrics_parse_link(const char *text, const char *link, uint64_t *ret_rx, uint64_t *ret_tx);

int verb_metrics(int argc, char **argv, void *userdata);
