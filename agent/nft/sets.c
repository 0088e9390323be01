#include "agent/nft/sets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

#include "agent/nft/batch.h"
#include "common/text.h"

/* nft(8)'s numbers for data types, and its way to join them. */
enum {
	TYPE_IPV4 = 7,
	TYPE_IPV6 = 8,
	TYPE_PROTO = 12,
	TYPE_SERVICE = 13,
	TYPE_MARK = 19,
	TYPE_VERDICT = 0xffffff00,
};
#define TYPE_ACL(addr)	 (TYPE_MARK << 18 | (addr) << 12 | TYPE_PROTO << 6 | TYPE_SERVICE)
#define TYPE_ASKED(addr) ((addr) << 12 | (addr) << 6 | TYPE_SERVICE)
#define TYPE_BITS	 6

/* nft(8)'s numbers for byte orders. */
enum {
	ORDER_HOST = 1,
	ORDER_BIG = 2,
};

struct set_spec {
	const char *name;
	sa_family_t family;
	uint32_t flags;
	uint32_t key_type, key_len;
	uint32_t data_type, data_len;
};

/* nft(8) says that a key is a concatenation only where its fields are ranges. */
#define PORT_FLAGS  NFT_SET_MAP
#define ACL_FLAGS   (NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_CONCAT)
#define ASKED_FLAGS (NFT_SET_EVAL | NFT_SET_TIMEOUT)
/* The kernel looks for what has expired; by default each second. */
#define ASKED_GC_MSEC 60000u

static const struct set_spec set_specs[NFT_N_SETS] = {
	[NFT_SET_OWN4] = { "own4", AF_INET, 0, TYPE_IPV4, 4 },
	[NFT_SET_OWN6] = { "own6", AF_INET6, 0, TYPE_IPV6, 16 },
	[NFT_SET_SRC4] = { "src4", AF_INET, NFT_SET_MAP, TYPE_IPV4, 4, TYPE_MARK, 4 },
	[NFT_SET_SRC6] = { "src6", AF_INET6, NFT_SET_MAP, TYPE_IPV6, 16, TYPE_MARK, 4 },
	[NFT_SET_NET4] = { "net4", AF_INET, NFT_SET_MAP | NFT_SET_INTERVAL, TYPE_IPV4, 4, TYPE_MARK,
			   4 },
	[NFT_SET_NET6] = { "net6", AF_INET6, NFT_SET_MAP | NFT_SET_INTERVAL, TYPE_IPV6, 16,
			   TYPE_MARK, 4 },
	[NFT_SET_PORT4] = { "port4", AF_INET, PORT_FLAGS, TYPE_ACL(TYPE_IPV4), 16, TYPE_VERDICT,
			    16 },
	[NFT_SET_PORT6] = { "port6", AF_INET6, PORT_FLAGS, TYPE_ACL(TYPE_IPV6), 28, TYPE_VERDICT,
			    16 },
	[NFT_SET_ACL4] = { "acl4", AF_INET, ACL_FLAGS, TYPE_ACL(TYPE_IPV4), 16, TYPE_VERDICT, 16 },
	[NFT_SET_ACL6] = { "acl6", AF_INET6, ACL_FLAGS, TYPE_ACL(TYPE_IPV6), 28, TYPE_VERDICT, 16 },
	[NFT_SET_ASKED4] = { "asked4", AF_INET, ASKED_FLAGS, TYPE_ASKED(TYPE_IPV4), 12 },
	[NFT_SET_ASKED6] = { "asked6", AF_INET6, ASKED_FLAGS, TYPE_ASKED(TYPE_IPV6), 36 },
};

const char *nft_set_name(enum nft_set_id id)
{
	return set_specs[id].name;
}

sa_family_t nft_set_family(enum nft_set_id id)
{
	return set_specs[id].family;
}

uint32_t nft_set_key_len(enum nft_set_id id)
{
	return set_specs[id].key_len;
}

bool nft_set_holds_flow(enum nft_set_id id, const struct filter_flow *flow)
{
	bool exact = id == NFT_SET_PORT4 || id == NFT_SET_PORT6;

	return (exact || id == NFT_SET_ACL4 || id == NFT_SET_ACL6) &&
	       set_specs[id].family == flow->dst_first.family &&
	       filter_flow_is_exact(flow) == exact;
}

/* As nft(8) writes it: without, it prints marks with their bytes swapped. */
static int set_byte_orders(struct nftnl_set *set, const struct set_spec *spec)
{
	struct nft_udata udata;

	nft_udata_init(&udata);
	nft_udata_put_u32(&udata, NFTNL_UDATA_SET_KEYBYTEORDER, ORDER_BIG);
	if (spec->data_type == TYPE_MARK)
		nft_udata_put_u32(&udata, NFTNL_UDATA_SET_DATABYTEORDER, ORDER_HOST);
	return nftnl_set_set_data(set, NFTNL_SET_USERDATA, udata.bytes, udata.len);
}

static int declare(struct nftnl_set *set, const struct set_spec *spec, uint32_t id)
{
	const uint8_t fields[] = { 4, (uint8_t)(spec->key_len - 12), 1, 2 };

	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, NFT_TABLE) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, spec->name) < 0)
		return -ENOMEM;
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(set, NFTNL_SET_ID, id);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, spec->flags);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, spec->key_type);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, spec->key_len);
	if (spec->flags & NFT_SET_MAP) {
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, spec->data_type);
		nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, spec->data_len);
	}
	if (spec->flags & NFT_SET_TIMEOUT) {
		nftnl_set_set_u64(set, NFTNL_SET_TIMEOUT, NFT_ASKED_MSEC);
		nftnl_set_set_u32(set, NFTNL_SET_GC_INTERVAL, ASKED_GC_MSEC);
		nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, NFT_ASKED_MAX);
	}
	if (spec->flags & NFT_SET_CONCAT)
		return nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, fields, sizeof(fields));
	return spec->key_type >> TYPE_BITS ? 0 : set_byte_orders(set, spec);
}

struct nftnl_set *nft_set_declare(enum nft_set_id id)
{
	struct nftnl_set *set = nftnl_set_alloc();

	if (set && declare(set, &set_specs[id], (uint32_t)id + 1) < 0) {
		nftnl_set_free(set);
		return NULL;
	}
	return set;
}

char *nft_acl_chain_name(uint32_t rule, char *buf)
{
	snprintf(buf, NFT_ACL_CHAIN_MAX, "acl_%u", rule);
	return buf;
}

bool nft_acl_chain_parse(const char *name, uint32_t *ret_rule)
{
	uint64_t rule;

	if (strncmp(name, "acl_", 4) != 0 || parse_u64(name + 4, UINT32_MAX, &rule) < 0)
		return false;
	*ret_rule = (uint32_t)rule;
	return true;
}

static void put_addr(struct nft_element *element, const struct ip_addr *addr)
{
	element->key_len = (uint32_t)ip_addr_len(addr);
	memcpy(element->key, addr->bytes, element->key_len);
}

void nft_element_from_addr(const struct ip_addr *addr, struct nft_element *ret)
{
	*ret = (struct nft_element){ 0 };
	put_addr(ret, addr);
}

/* The address behind the last one of the interval. Return: false past the end of the space. */
static bool addr_behind(const struct ip_addr *last, struct ip_addr *ret)
{
	*ret = *last;
	for (size_t i = ip_addr_len(last); i-- > 0;)
		if (++ret->bytes[i] != 0)
			return true;
	return false;
}

void nft_element_from_source(const struct filter_source *source, struct nft_element *ret)
{
	*ret = (struct nft_element){ .has_mark = true, .mark = source->class };
	put_addr(ret, &source->first);
	if (source->comment && source->comment[0])
		nft_udata_put_comment(&ret->udata, NFTNL_UDATA_SET_ELEM_COMMENT, source->comment);
}

bool nft_element_interval_end(const struct filter_source *source, struct nft_element *ret)
{
	struct ip_addr behind;

	if (!addr_behind(&source->last, &behind))
		return false;
	*ret = (struct nft_element){ .interval_end = true };
	put_addr(ret, &behind);
	return true;
}

/*
 * Fields of a concatenation are padded to four bytes each. nft(8) has a mark in network order where
 * fields are ranges (they are compared byte by byte), and in the host's order in a hash.
 */
static uint32_t put_flow_key(uint8_t *key, uint32_t class, const struct ip_addr *addr,
			     uint8_t proto, uint16_t port)
{
	uint32_t len = (uint32_t)ip_addr_len(addr);
	uint16_t port_be = htons(port);

	memcpy(key, &class, sizeof(class));
	memcpy(key + 4, addr->bytes, len);
	key[4 + len] = proto;
	memcpy(key + 8 + len, &port_be, sizeof(port_be));
	return len + 12;
}

void nft_element_from_flow(const struct filter_flow *flow, struct nft_element *ret)
{
	bool exact = filter_flow_is_exact(flow);
	uint32_t class = exact ? flow->class : htonl(flow->class);

	*ret = (struct nft_element){ .has_key_end = !exact };
	ret->key_len =
		put_flow_key(ret->key, class, &flow->dst_first, flow->proto, flow->ports.first);
	put_flow_key(ret->key_end, class, &flow->dst_last, flow->proto, flow->ports.last);
	nft_acl_chain_name(flow->rule, ret->chain);
}

int nft_element_to_addr(enum nft_set_id id, const struct nft_element *element,
			struct ip_addr *ret_addr)
{
	struct ip_addr addr = { .family = set_specs[id].family };

	if (element->key_len != ip_addr_len(&addr))
		return -EBADMSG;
	memcpy(addr.bytes, element->key, element->key_len);
	*ret_addr = addr;
	return 0;
}

static void get_flow_key(const uint8_t *key, uint32_t *ret_class, struct ip_addr *addr,
			 uint8_t *ret_proto, uint16_t *ret_port)
{
	size_t len = ip_addr_len(addr);
	uint16_t port_be;

	memcpy(ret_class, key, sizeof(*ret_class));
	memcpy(addr->bytes, key + 4, len);
	memcpy(&port_be, key + 8 + len, sizeof(port_be));
	*ret_proto = key[4 + len];
	*ret_port = ntohs(port_be);
}

int nft_element_to_flow(enum nft_set_id id, const struct nft_element *element,
			struct filter_flow *ret_flow)
{
	struct filter_flow flow = {
		.dst_first.family = set_specs[id].family,
		.dst_last.family = set_specs[id].family,
	};
	uint32_t last_class;
	uint8_t last_proto;

	if (element->key_len != set_specs[id].key_len ||
	    !nft_acl_chain_parse(element->chain, &flow.rule))
		return -EBADMSG;
	get_flow_key(element->key, &flow.class, &flow.dst_first, &flow.proto, &flow.ports.first);
	get_flow_key(element->has_key_end ? element->key_end : element->key, &last_class,
		     &flow.dst_last, &last_proto, &flow.ports.last);
	if (flow.class != last_class || flow.proto != last_proto || !nft_set_holds_flow(id, &flow))
		return -EBADMSG;
	if (element->has_key_end)
		flow.class = ntohl(flow.class);
	*ret_flow = flow;
	return 0;
}
