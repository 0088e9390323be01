#include "agent/nft/elements.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "agent/nft/layout.h"
#include "agent/nft/sets.h"

/* An attribute's length has 16 bits: a message of many elements must stay below that. */
#define ELEMENTS_PER_MESSAGE 500
#define BYTES_PER_MESSAGE    60000
#define BYTES_PER_ELEMENT    120 /* without user data, rounded up */

/* Collects elements of one set, and sends them on as messages of bounded size. */
struct element_writer {
	struct nft_batch *batch;
	uint16_t type; /* NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM */
	enum nft_set_id id;
	struct nftnl_set *set; /* with elements of the next message; NULL: none yet */
	size_t n, bytes;
};

static void writer_flush(struct element_writer *writer)
{
	struct nlmsghdr *nlh;

	if (!writer->set)
		return;
	nlh = nft_batch_message(writer->batch, writer->type,
				writer->type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE | NLM_F_EXCL : 0,
				"%s elements of %s",
				writer->type == NFT_MSG_NEWSETELEM ? "new" : "old",
				nft_set_name(writer->id));
	if (nlh) {
		nftnl_set_elems_nlmsg_build_payload(nlh, writer->set);
		nft_batch_end_message(writer->batch);
	}
	nftnl_set_free(writer->set);
	writer->set = NULL;
	writer->n = writer->bytes = 0;
}

static struct nftnl_set *writer_set(struct element_writer *writer)
{
	if (writer->set && (writer->n >= ELEMENTS_PER_MESSAGE ||
			    writer->bytes + BYTES_PER_ELEMENT + NFT_UDATA_MAX > BYTES_PER_MESSAGE))
		writer_flush(writer);
	if (writer->set)
		return writer->set;
	writer->set = nftnl_set_alloc();
	if (!writer->set || nftnl_set_set_str(writer->set, NFTNL_SET_TABLE, NFT_TABLE) < 0 ||
	    nftnl_set_set_str(writer->set, NFTNL_SET_NAME, nft_set_name(writer->id)) < 0) {
		nft_batch_out_of_memory(writer->batch);
		if (writer->set)
			nftnl_set_free(writer->set);
		writer->set = NULL;
		return NULL;
	}
	nftnl_set_set_u32(writer->set, NFTNL_SET_FAMILY, NFPROTO_INET);
	return writer->set;
}

static int fill_value(struct nftnl_set_elem *elem, const struct nft_element *element)
{
	if (element->has_mark)
		nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_DATA, element->mark);
	if (element->chain[0]) {
		nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_GOTO);
		if (nftnl_set_elem_set_str(elem, NFTNL_SET_ELEM_CHAIN, element->chain) < 0)
			return -ENOMEM;
	}
	if (element->udata.len)
		return nftnl_set_elem_set(elem, NFTNL_SET_ELEM_USERDATA, element->udata.bytes,
					  element->udata.len);
	return 0;
}

static int fill(struct nftnl_set_elem *elem, const struct nft_element *element, bool with_value)
{
	if (nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, element->key, element->key_len) < 0)
		return -ENOMEM;
	if (element->has_key_end && nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY_END,
						       element->key_end, element->key_len) < 0)
		return -ENOMEM;
	if (element->interval_end)
		nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	return with_value ? fill_value(elem, element) : 0;
}

static void write_element(struct element_writer *writer, const struct nft_element *element)
{
	struct nftnl_set *set = writer_set(writer);
	struct nftnl_set_elem *elem = set ? nftnl_set_elem_alloc() : NULL;

	if (!elem || fill(elem, element, writer->type == NFT_MSG_NEWSETELEM) < 0) {
		nft_batch_out_of_memory(writer->batch);
		if (elem)
			nftnl_set_elem_free(elem);
		return;
	}
	nftnl_set_elem_add(set, elem);
	writer->n++;
	writer->bytes += BYTES_PER_ELEMENT + element->udata.len;
}

static void write_addr(struct element_writer *writer, const void *item)
{
	struct nft_element element;

	nft_element_from_addr(item, &element);
	write_element(writer, &element);
}

static void write_exact(struct element_writer *writer, const void *item)
{
	struct nft_element element;

	nft_element_from_source(item, &element);
	write_element(writer, &element);
}

static void write_net(struct element_writer *writer, const void *item)
{
	struct nft_element element;

	nft_element_from_source(item, &element);
	write_element(writer, &element);
	if (nft_element_interval_end(item, &element))
		write_element(writer, &element);
}

static void write_flow(struct element_writer *writer, const void *item)
{
	struct nft_element element;

	nft_element_from_flow(item, &element);
	write_element(writer, &element);
}

static bool addr_belongs(enum nft_set_id id, const void *item)
{
	return ((const struct ip_addr *)item)->family == nft_set_family(id);
}

static bool source_belongs(enum nft_set_id id, const void *item)
{
	return ((const struct filter_source *)item)->first.family == nft_set_family(id);
}

static bool flow_belongs(enum nft_set_id id, const void *item)
{
	return nft_set_holds_flow(id, item);
}

/* What kind of item each set holds. */
static const struct {
	size_t list; /* offset in struct filter_diff */
	bool (*belongs)(enum nft_set_id id, const void *item);
	void (*write)(struct element_writer *writer, const void *item);
} set_kinds[NFT_N_FILTER_SETS] = {
	[NFT_SET_OWN4] = { offsetof(struct filter_diff, own), addr_belongs, write_addr },
	[NFT_SET_OWN6] = { offsetof(struct filter_diff, own), addr_belongs, write_addr },
	[NFT_SET_SRC4] = { offsetof(struct filter_diff, exact), source_belongs, write_exact },
	[NFT_SET_SRC6] = { offsetof(struct filter_diff, exact), source_belongs, write_exact },
	[NFT_SET_NET4] = { offsetof(struct filter_diff, nets), source_belongs, write_net },
	[NFT_SET_NET6] = { offsetof(struct filter_diff, nets), source_belongs, write_net },
	[NFT_SET_PORT4] = { offsetof(struct filter_diff, flows), flow_belongs, write_flow },
	[NFT_SET_PORT6] = { offsetof(struct filter_diff, flows), flow_belongs, write_flow },
	[NFT_SET_ACL4] = { offsetof(struct filter_diff, flows), flow_belongs, write_flow },
	[NFT_SET_ACL6] = { offsetof(struct filter_diff, flows), flow_belongs, write_flow },
};

static void put_elements(struct nft_batch *batch, const struct filter_diff *diff, uint16_t type)
{
	for (int i = 0; i < NFT_N_FILTER_SETS; i++) {
		struct element_writer writer = {
			.batch = batch,
			.type = type,
			.id = (enum nft_set_id)i,
		};
		const struct diff_list *list =
			(const struct diff_list *)((const char *)diff + set_kinds[i].list);
		bool fresh = type == NFT_MSG_NEWSETELEM;
		const void **items = fresh ? list->fresh : list->gone;
		size_t n = fresh ? list->n_fresh : list->n_gone;

		for (size_t j = 0; j < n; j++)
			if (set_kinds[i].belongs(writer.id, items[j]))
				set_kinds[i].write(&writer, items[j]);
		writer_flush(&writer);
	}
}

/* Chain and rule messages that name the chain and nothing else. */
static void put_chain_message(struct nft_batch *batch, uint16_t type, const char *chain)
{
	struct nlmsghdr *nlh = nft_batch_message(
		batch, type, type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0, "chain %s", chain);

	if (!nlh)
		return;
	if (type == NFT_MSG_DELRULE) {
		mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, NFT_TABLE);
		mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, chain);
	} else {
		mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, NFT_TABLE);
		mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, chain);
	}
	nft_batch_end_message(batch);
}

static void put_old_counters(struct nft_batch *batch, const struct filter_table *to,
			     const struct diff_list *list)
{
	char name[NFT_ACL_CHAIN_MAX];

	for (size_t i = 0; i < list->n_gone; i++) {
		const struct filter_counter *counter = list->gone[i];

		nft_acl_chain_name(counter->rule, name);
		put_chain_message(batch, NFT_MSG_DELRULE, name);
		if (!filter_table_counter(to, counter->rule))
			put_chain_message(batch, NFT_MSG_DELCHAIN, name);
	}
}

static void put_new_counters(struct nft_batch *batch, const struct filter_table *from,
			     const struct diff_list *list)
{
	char name[NFT_ACL_CHAIN_MAX];

	for (size_t i = 0; i < list->n_fresh; i++) {
		const struct filter_counter *counter = list->fresh[i];
		struct nftnl_rule *rule;

		nft_acl_chain_name(counter->rule, name);
		if (!filter_table_counter(from, counter->rule))
			put_chain_message(batch, NFT_MSG_NEWCHAIN, name);
		rule = nft_acl_rule(name, counter->comment);
		if (!rule) {
			nft_batch_out_of_memory(batch);
			continue;
		}
		nft_rule_put(rule, batch);
		nftnl_rule_free(rule);
	}
}

void nft_put_diff(struct nft_batch *batch, const struct filter_table *from,
		  const struct filter_table *to, const struct filter_diff *diff)
{
	put_elements(batch, diff, NFT_MSG_DELSETELEM);
	put_old_counters(batch, to, &diff->counters);
	put_new_counters(batch, from, &diff->counters);
	put_elements(batch, diff, NFT_MSG_NEWSETELEM);
}
