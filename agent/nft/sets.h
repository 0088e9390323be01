/* The sets and maps of the table, and how elements look in them. */
#pragma once

#include <libnftnl/set.h>
#include <sys/socket.h>

#include "agent/filter/table.h"
#include "agent/nft/udata.h"

enum nft_set_id {
	NFT_SET_OWN4, /* own mesh addresses */
	NFT_SET_OWN6,
	NFT_SET_SRC4, /* peer address -> class: hash */
	NFT_SET_SRC6,
	NFT_SET_NET4, /* addresses behind subnet routers -> class: intervals */
	NFT_SET_NET6,
	NFT_SET_PORT4, /* class . own address . protocol . port -> goto acl_N: hash */
	NFT_SET_PORT6,
	NFT_SET_ACL4, /* the same for ranges */
	NFT_SET_ACL6,
	NFT_N_FILTER_SETS, /* so far what a filter table says */

	/* Of UDP: peer . own address . own port that the peer has asked. Filled by the rules. */
	NFT_SET_ASKED4 = NFT_N_FILTER_SETS,
	NFT_SET_ASKED6,
	NFT_N_SETS,
};

/* How long a question is remembered, and how many are, of each family. */
#define NFT_ASKED_MSEC (24u * 3600 * 1000)
#define NFT_ASKED_MAX  65536u

const char *nft_set_name(enum nft_set_id id);
/* Is the flow kept in this set? */
bool nft_set_holds_flow(enum nft_set_id id, const struct filter_flow *flow);
sa_family_t nft_set_family(enum nft_set_id id);
uint32_t nft_set_key_len(enum nft_set_id id);
/* The declaration, without elements. Return: the caller's; NULL: no memory. */
struct nftnl_set *nft_set_declare(enum nft_set_id id);

/* "acl_17" */
#define NFT_ACL_CHAIN_MAX 16
char *nft_acl_chain_name(uint32_t rule, char *buf);
/* Return: false if the name is no such chain's. */
bool nft_acl_chain_parse(const char *name, uint32_t *ret_rule);

/* One element as it goes over the wire. An interval needs two: where it starts, and behind its end.
 */
struct nft_element {
	uint8_t key[36], key_end[36];
	uint32_t key_len;
	bool has_key_end;  /* concatenated ranges */
	bool interval_end; /* this is where an interval has ended */
	bool has_mark;
	uint32_t mark;
	char chain[NFT_ACL_CHAIN_MAX]; /* "": no verdict */
	struct nft_udata udata;
};

void nft_element_from_addr(const struct ip_addr *addr, struct nft_element *ret);
void nft_element_from_source(const struct filter_source *source, struct nft_element *ret);
void nft_element_from_flow(const struct filter_flow *flow, struct nft_element *ret);
/* Return: false if the interval reaches to the end of the address space: there is no end element.
 */
bool nft_element_interval_end(const struct filter_source *source, struct nft_element *ret);

/* The reverse, for what the kernel reports. Return: 0, -EBADMSG (not ours). */
int nft_element_to_addr(enum nft_set_id id, const struct nft_element *element,
			struct ip_addr *ret_addr);
int nft_element_to_flow(enum nft_set_id id, const struct nft_element *element,
			struct filter_flow *ret_flow);
