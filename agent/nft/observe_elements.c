#include "agent/nft/observation.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "agent/grow.h"
#include "agent/nft/observe.h"

/* Where an interval begins, or has just ended. */
struct edge {
	struct ip_addr addr;
	bool end;
	uint32_t class;
	char *comment;
};

static bool copy_key(struct nftnl_set_elem *elem, uint16_t attr, uint8_t *key, uint32_t *ret_len)
{
	const void *data = nftnl_set_elem_get(elem, attr, ret_len);

	if (!data || *ret_len > sizeof(((struct nft_element *)NULL)->key))
		return false;
	memcpy(key, data, *ret_len);
	return true;
}

/* Return: false if there is something in it that we do not put there. */
static bool read_element(struct nftnl_set_elem *elem, struct nft_element *element,
			 const char **ret_comment)
{
	uint32_t len = 0;
	const void *data;

	*element = (struct nft_element){ 0 };
	*ret_comment = NULL;
	if (!copy_key(elem, NFTNL_SET_ELEM_KEY, element->key, &element->key_len))
		return false;
	if (nftnl_set_elem_is_set(elem, NFTNL_SET_ELEM_KEY_END)) {
		element->has_key_end = true;
		if (!copy_key(elem, NFTNL_SET_ELEM_KEY_END, element->key_end, &len) ||
		    len != element->key_len)
			return false;
	}
	if (nftnl_set_elem_is_set(elem, NFTNL_SET_ELEM_FLAGS))
		element->interval_end = nftnl_set_elem_get_u32(elem, NFTNL_SET_ELEM_FLAGS) &
					NFT_SET_ELEM_INTERVAL_END;
	data = nftnl_set_elem_get(elem, NFTNL_SET_ELEM_DATA, &len);
	if (data && len == sizeof(element->mark)) {
		element->has_mark = true;
		memcpy(&element->mark, data, len);
	}
	if (nftnl_set_elem_is_set(elem, NFTNL_SET_ELEM_CHAIN) &&
	    snprintf(element->chain, sizeof(element->chain), "%s",
		     nftnl_set_elem_get_str(elem, NFTNL_SET_ELEM_CHAIN)) >=
		    (int)sizeof(element->chain))
		return false;
	if (nftnl_set_elem_is_set(elem, NFTNL_SET_ELEM_TIMEOUT))
		return false;
	data = nftnl_set_elem_get(elem, NFTNL_SET_ELEM_USERDATA, &len);
	if (data)
		*ret_comment = nft_udata_find_comment(data, len, NFTNL_UDATA_SET_ELEM_COMMENT);
	return true;
}

static int add_own(struct observation *ob, const struct ip_addr *addr)
{
	struct filter_table *table = ob->table;
	int r = array_grow(&table->own, &ob->n_own_alloc, table->n_own, sizeof(*table->own));

	if (r == 0)
		table->own[table->n_own++] = *addr;
	return r;
}

static int add_flow(struct observation *ob, const struct filter_flow *flow)
{
	struct filter_table *table = ob->table;
	int r = array_grow(&table->flows, &ob->n_flows_alloc, table->n_flows,
			   sizeof(*table->flows));

	if (r == 0)
		table->flows[table->n_flows++] = *flow;
	return r;
}

/* comment is stolen, also on failure. */
static int add_source(struct filter_source **sources, size_t *n, size_t *n_alloc,
		      const struct ip_addr *first, const struct ip_addr *last, uint32_t class,
		      char *comment)
{
	int r = array_grow(sources, n_alloc, *n, sizeof(**sources));

	if (r < 0) {
		free(comment);
		return r;
	}
	(*sources)[(*n)++] = (struct filter_source){
		.first = *first,
		.last = *last,
		.class = class,
		.comment = comment,
	};
	return 0;
}

static int add_edge(struct observation *ob, const struct ip_addr *addr,
		    const struct nft_element *element, char *comment)
{
	int r = array_grow(&ob->edges, &ob->n_edges_alloc, ob->n_edges, sizeof(*ob->edges));

	if (r < 0) {
		free(comment);
		return r;
	}
	ob->edges[ob->n_edges++] = (struct edge){
		.addr = *addr,
		.end = element->interval_end,
		.class = element->mark,
		.comment = comment,
	};
	return 0;
}

static int add_addressed(struct observation *ob, const struct nft_element *element,
			 const char *text)
{
	struct filter_table *table = ob->table;
	char *comment = NULL;
	struct ip_addr addr;
	int r;

	r = nft_element_to_addr(ob->set, element, &addr);
	if (r < 0)
		return r;
	if (ob->set == NFT_SET_OWN4 || ob->set == NFT_SET_OWN6)
		return add_own(ob, &addr);
	if (!element->has_mark && !element->interval_end)
		return -EBADMSG;
	if (text) {
		comment = strdup(text);
		if (!comment)
			return -ENOMEM;
	}
	if (ob->set == NFT_SET_NET4 || ob->set == NFT_SET_NET6)
		return add_edge(ob, &addr, element, comment);
	return add_source(&table->exact, &table->n_exact, &ob->n_exact_alloc, &addr, &addr,
			  element->mark, comment);
}

static bool holds_flows(enum nft_set_id id)
{
	return id == NFT_SET_PORT4 || id == NFT_SET_PORT6 || id == NFT_SET_ACL4 ||
	       id == NFT_SET_ACL6;
}

static int add_element(struct observation *ob, struct nftnl_set_elem *elem)
{
	struct nft_element element;
	struct filter_flow flow;
	const char *comment;
	int r;

	if (!read_element(elem, &element, &comment)) {
		r = -EBADMSG;
	} else if (holds_flows(ob->set)) {
		r = nft_element_to_flow(ob->set, &element, &flow);
		if (r == 0)
			r = add_flow(ob, &flow);
	} else {
		r = add_addressed(ob, &element, comment);
	}
	if (r != -EBADMSG)
		return r;
	ob->foreign = true;
	return 0;
}

static int take_elements(const struct nlmsghdr *nlh, void *userdata)
{
	struct observation *ob = userdata;
	struct nftnl_set *set = nftnl_set_alloc();
	struct nftnl_set_elems_iter *iter = NULL;
	struct nftnl_set_elem *elem;
	int r = 0;

	if (!set)
		return -ENOMEM;
	if (nftnl_set_elems_nlmsg_parse(nlh, set) < 0)
		r = -EBADMSG;
	else
		iter = nftnl_set_elems_iter_create(set);
	if (r == 0 && !iter)
		r = -ENOMEM;
	while (r == 0 && (elem = nftnl_set_elems_iter_next(iter)))
		r = add_element(ob, elem);
	if (iter)
		nftnl_set_elems_iter_destroy(iter);
	nftnl_set_free(set);
	return r;
}

static void edges_forget(struct observation *ob)
{
	for (size_t i = 0; i < ob->n_edges; i++)
		free(ob->edges[i].comment);
	ob->n_edges = 0;
}

static size_t *set_count(struct observation *ob)
{
	switch (ob->set) {
	case NFT_SET_OWN4:
	case NFT_SET_OWN6:
		return &ob->table->n_own;
	case NFT_SET_SRC4:
	case NFT_SET_SRC6:
		return &ob->table->n_exact;
	case NFT_SET_NET4:
	case NFT_SET_NET6:
		return &ob->table->n_nets;
	case NFT_SET_PORT4:
	case NFT_SET_PORT6:
	case NFT_SET_ACL4:
	case NFT_SET_ACL6:
	case NFT_SET_ASKED4:
	case NFT_SET_ASKED6:
	case NFT_N_SETS:
		break;
	}
	return &ob->table->n_flows;
}

static void forget_elements(void *userdata)
{
	struct observation *ob = userdata;
	size_t *n = set_count(ob);

	if (ob->set == NFT_SET_SRC4 || ob->set == NFT_SET_SRC6)
		for (size_t i = ob->n_before; i < *n; i++)
			free(ob->table->exact[i].comment);
	*n = ob->n_before;
	edges_forget(ob);
}

static int edge_order(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	int c = ip_addr_compare(&x->addr, &y->addr);

	return c ? c : y->end - x->end;
}

/* The address before one that is not the first of its family. */
static void addr_before(struct ip_addr *addr)
{
	for (size_t i = ip_addr_len(addr); i-- > 0;)
		if (addr->bytes[i]-- != 0)
			return;
}

/* Turn edges into intervals: the end of one may be where the next begins. */
static int edges_pair(struct observation *ob)
{
	struct filter_table *table = ob->table;
	int r;

	if (ob->n_edges > 1)
		qsort(ob->edges, ob->n_edges, sizeof(*ob->edges), edge_order);
	for (size_t i = 0; i < ob->n_edges; i++) {
		struct edge *edge = &ob->edges[i];
		struct ip_addr last = { .family = edge->addr.family };

		if (edge->end)
			continue;
		memset(last.bytes, 0xff, ip_addr_len(&last));
		if (i + 1 < ob->n_edges) {
			last = ob->edges[i + 1].addr;
			addr_before(&last);
			ob->foreign |= !ob->edges[i + 1].end;
		}
		r = add_source(&table->nets, &table->n_nets, &ob->n_nets_alloc, &edge->addr, &last,
			       edge->class, take_ptr(edge->comment));
		if (r < 0)
			return r;
	}
	return 0;
}

int nft_dump_set(struct nlsock *sock, enum nft_set_id id, nlsock_answer_fn fn,
		 void (*restart)(void *userdata), void *userdata)
{
	char buf[256];
	struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, 0);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, nft_set_name(id));
	return nlsock_request(sock, nlh, fn, restart, userdata);
}

int nft_observe_elements(struct observation *ob, enum nft_set_id id)
{
	int r;

	ob->set = id;
	ob->n_before = *set_count(ob);
	r = nft_dump_set(ob->sock, id, take_elements, forget_elements, ob);
	if (r == 0)
		r = edges_pair(ob);
	edges_forget(ob);
	free(ob->edges);
	ob->edges = NULL;
	ob->n_edges_alloc = 0;
	if (r != -ENOENT)
		return r;
	ob->foreign = true;
	return 0;
}
