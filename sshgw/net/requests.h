/* What requests are called, as they come from the client (RFC 4254 sections 4 and 5.4). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request {
	uint32_t channel;    /* of a channel request: our number for the channel */
	const uint8_t *name; /* borrowed from the packet */
	size_t name_len;
	bool want_reply;
};

/* From what follows the message's number. Return: 0, -EBADMSG: no request, or a very long name. */
int request_parse_channel(const uint8_t *packet, size_t len, struct request *ret_request);
int request_parse_global(const uint8_t *packet, size_t len, struct request *ret_request);
/* The type of channel that is to be opened, as name. */
int request_parse_open(const uint8_t *packet, size_t len, struct request *ret_request);
bool request_is(const struct request *request, const char *name);
