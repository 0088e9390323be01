#include "sshgw/net/requests.h"

#include <errno.h>
#include <string.h>

#include "common/chan.h"

#define MAX_NAME 256

static int parse(const uint8_t *packet, size_t len, bool has_channel, bool has_reply,
		 struct request *ret_request)
{
	struct chan_reader r = { .data = packet, .len = len };
	struct request request = { 0 };

	if (has_channel)
		request.channel = chan_get_u32(&r);
	request.name = chan_get_bytes(&r, MAX_NAME, &request.name_len);
	if (has_reply)
		request.want_reply = chan_get_u8(&r) != 0;
	if (r.error)
		return -EBADMSG;
	*ret_request = request;
	return 0;
}

int request_parse_channel(const uint8_t *packet, size_t len, struct request *ret_request)
{
	return parse(packet, len, true, true, ret_request);
}

int request_parse_global(const uint8_t *packet, size_t len, struct request *ret_request)
{
	return parse(packet, len, false, true, ret_request);
}

int request_parse_open(const uint8_t *packet, size_t len, struct request *ret_request)
{
	return parse(packet, len, false, false, ret_request);
}

bool request_is(const struct request *request, const char *name)
{
	return request->name_len == strlen(name) && memcmp(request->name, name, strlen(name)) == 0;
}
