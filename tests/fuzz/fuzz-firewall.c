/*
 * Other programs' nftables rules as the kernel dumps them, and packets asked about. Input: records
 * of one byte (what is dumped), two of length (little-endian), and the message behind its header.
 */
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <stdint.h>
#include <string.h>

#include "agent/ctl/doctor/fw.h"

#define MAX_MESSAGE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int (*const takes[])(struct fw *fw, const struct nlmsghdr *nlh) = {
	fw_take_chain,
	fw_take_rule,
	fw_take_set,
	fw_take_elements,
};

static void take(struct fw *fw, unsigned kind, const uint8_t *payload, size_t len)
{
	/* Of its own, so that a byte behind its end is noticed; messages are padded. */
	struct nlmsghdr *nlh = calloc(1, MNL_ALIGN(MNL_NLMSG_HDRLEN + len));

	if (!nlh)
		return;
	*nlh = (struct nlmsghdr){ .nlmsg_len = (uint32_t)(MNL_NLMSG_HDRLEN + len) };
	memcpy((char *)nlh + MNL_NLMSG_HDRLEN, payload, len);
	(void)takes[kind % ARRAY_SIZE(takes)](fw, nlh);
	free(nlh);
}

static void ask(const struct fw *fw, const struct fw_packet *packet)
{
	for (size_t i = 0; i < fw->n_chains; i++) {
		struct fw_answer answer;

		if (fw_ask(fw, &fw->chains[i], packet, &answer) && (!answer.base || !answer.at))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fw_freep) struct fw *fw = calloc(1, sizeof(*fw));
	struct fw_packet packet = {
		.hook = NF_INET_LOCAL_IN,
		.family = AF_INET,
		.iif = "mesh0",
		.iif_index = 7,
		.proto = IPPROTO_TCP,
		.dport = 22,
	};

	if (!fw)
		return 0;
	(void)ip_addr_parse("100.64.0.2", &packet.src);
	(void)ip_addr_parse("100.64.0.1", &packet.dst);
	while (size >= 3) {
		size_t len = data[1] | (size_t)data[2] << 8;

		if (len > size - 3)
			len = size - 3;
		if (len <= MAX_MESSAGE)
			take(fw, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	for (size_t i = 0; i < fw->n_sets; i++)
		fw->sets[i].complete = true;
	ask(fw, &packet);
	packet.hook = NF_INET_PRE_ROUTING;
	ask(fw, &packet);
	packet.hook = NF_INET_INGRESS;
	ask(fw, &packet);
	packet = (struct fw_packet){
		.hook = NF_INET_LOCAL_OUT, .family = AF_INET6, .proto = IPPROTO_UDP, .sport = 51820
	};
	ask(fw, &packet);
	packet.hook = NF_INET_POST_ROUTING;
	ask(fw, &packet);
	packet.hook = FW_EGRESS;
	ask(fw, &packet);
	return 0;
}
