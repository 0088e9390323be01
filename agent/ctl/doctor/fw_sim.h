/* The packet that is asked about, and what its registers hold: for fw_match.c and fw_sim.c. */
#pragma once

#include "agent/ctl/doctor/fw.h"

enum fw_match {
	FW_NO,
	FW_PERHAPS,
	FW_YES,
};

struct fw_bytes {
	uint8_t value[FW_DATA_MAX], known[FW_DATA_MAX]; /* known: 0xff or 0 */
};

struct fw_sim {
	const struct fw *fw;
	const struct fw_packet *packet;
	struct fw_bytes network, transport; /* headers */
	unsigned steps;
};

void fw_sim_init(struct fw_sim *sim, const struct fw *fw, const struct fw_packet *packet);

/*
 * Carry out an expression that decides nothing: one that loads, or matches. *ret_element becomes
 * what a verdict map has for the packet, if that can be told.
 */
enum fw_match fw_match_expr(const struct fw_sim *sim, const struct fw_chain *chain,
			    const struct fw_expr *expr, struct fw_bytes *regs,
			    const struct fw_element **ret_element);
