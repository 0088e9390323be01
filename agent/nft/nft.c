#include "agent/nft/nft.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "agent/filter/diff.h"
#include "agent/netlink/nlsock.h"
#include "agent/nft/elements.h"
#include "agent/nft/layout.h"
#include "agent/nft/memory.h"
#include "agent/nft/observe.h"
#include "agent/nft/owner.h"
#include "agent/nft/tally.h"
#include "agent/nft/watch.h"
#include "common/text.h"

struct nft {
	char *ifname;
	uint16_t gateway_port;
	bool log_drops;
	struct nlsock *sock;
	struct nft_watch *watch; /* NULL: not watched */
	void (*foreign_fn)(void *userdata, const char *what);
	void *foreign_userdata;

	bool own; /* wanted, and not found impossible */
	bool own_probed;

	/* What is in the kernel, while known. */
	bool known;
	bool exists;
	uint32_t flags;
	uint32_t owner;
	char *structure; /* NULL: not ours */
	struct filter_table *table;
};

static void forget(struct nft *nft)
{
	free(nft->structure);
	nft->structure = NULL;
	nft->table = filter_table_free(nft->table);
	nft->exists = nft->known = false;
	nft->flags = nft->owner = 0;
}

static void on_stale(void *userdata)
{
	struct nft *nft = userdata;

	nft->known = false;
}

static void on_changed(void *userdata, const char *what)
{
	struct nft *nft = userdata;

	if (nft->foreign_fn)
		nft->foreign_fn(nft->foreign_userdata, what);
}

static int watch(struct nft *nft, sd_event *event)
{
	const struct nft_watch_handler handler = {
		.stale = on_stale,
		.changed = on_changed,
		.userdata = nft,
	};

	return nft_watch_new(event, nlsock_portid(nft->sock), &handler, &nft->watch);
}

int nft_open(sd_event *event, const struct nft_config *config, struct nft **ret_nft)
{
	_cleanup_(nft_freep) struct nft *nft = calloc(1, sizeof(*nft));
	int r;

	if (!nft)
		return -ENOMEM;
	nft->ifname = strdup(config->ifname);
	if (!nft->ifname)
		return -ENOMEM;
	nft->gateway_port = config->gateway_port;
	nft->own = config->own;
	r = nlsock_open(NETLINK_NETFILTER, &nft->sock);
	if (r < 0)
		return r;
	if (event)
		r = watch(nft, event);
	if (r < 0)
		return r;
	*ret_nft = take_ptr(nft);
	return 0;
}

struct nft *nft_free(struct nft *nft)
{
	if (!nft)
		return NULL;
	forget(nft);
	nft->watch = nft_watch_free(nft->watch);
	nft->sock = nlsock_free(nft->sock);
	free(nft->ifname);
	free(nft);
	return NULL;
}

void nft_on_foreign_change(struct nft *nft, void (*fn)(void *userdata, const char *what),
			   void *userdata)
{
	nft->foreign_fn = fn;
	nft->foreign_userdata = userdata;
}

const struct filter_table *nft_table(const struct nft *nft)
{
	return nft->known ? nft->table : NULL;
}

int nft_refresh(struct nft *nft, char **reterr_text)
{
	struct nft_observed observed;
	int r;

	/* What we remember holds for as long as nobody else touches it. */
	if (nft->watch)
		nft_watch_poll(nft->watch);
	if (nft->known && nft->watch)
		return 0;
	r = nft_observe(nft->sock, &observed);
	if (r < 0) {
		*reterr_text =
			text_printf("could not read table inet %s: %s", NFT_TABLE, strerror(-r));
		return r;
	}
	forget(nft);
	nft->known = true;
	nft->exists = observed.exists;
	nft->flags = observed.flags;
	nft->owner = observed.owner;
	nft->structure = observed.structure;
	nft->table = observed.table;
	return 0;
}

static void put_table_deletion(struct nft_batch *batch)
{
	struct nlmsghdr *nlh = nft_batch_message(batch, NFT_MSG_DELTABLE, 0, "table " NFT_TABLE);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, NFT_TABLE);
	nft_batch_end_message(batch);
}

static size_t count_ranges(const struct filter_table *table)
{
	size_t n = 0;

	for (size_t i = 0; i < table->n_flows; i++)
		n += !filter_flow_is_exact(&table->flows[i]);
	return n;
}

static size_t count_ranges_gone(const struct diff_list *flows)
{
	size_t n = 0;

	for (size_t i = 0; i < flows->n_gone; i++)
		n += !filter_flow_is_exact(flows->gone[i]);
	return n;
}

/*
 * The kernel's sets of ranges need time in proportion to their size for each element that goes
 * (a millisecond for every thousand): many at once are slower than a new table, which on the other
 * hand loses a few packets.
 */
static bool replacing_is_faster(const struct filter_table *from, const struct filter_table *to,
				const struct filter_diff *diff)
{
	const size_t few = 32, cost = 16;
	size_t n_gone = count_ranges_gone(&diff->flows);

	return n_gone > few &&
	       n_gone * count_ranges(from) > cost * (to->n_exact + to->n_nets + to->n_flows);
}

/* From the old table, of whatever kind, to the new one without a moment between. */
static int replace(struct nft *nft, struct nft_layout *layout, const struct filter_table *wanted,
		   struct nft_changes *changes, char **reterr_text)
{
	static const struct filter_table empty;
	_cleanup_(nft_batch_freep) struct nft_batch *batch = NULL;
	_cleanup_(nft_memory_freep) struct nft_memory *memory = NULL;
	struct filter_diff diff;
	int r;

	r = nft_memory_read(nft->sock, &memory);
	if (r == 0)
		r = filter_diff_build(&empty, wanted, &diff);
	if (r < 0)
		return r;
	r = nft_batch_new(nft->sock, &batch);
	if (r == 0) {
		if (nft->exists)
			put_table_deletion(batch);
		nft_layout_put(layout, batch);
		nft_memory_put(memory, batch);
		nft_put_diff(batch, &empty, wanted, &diff);
		r = nft_batch_commit(batch, reterr_text);
	}
	changes->full_replacements = 1;
	changes->elements_added = filter_diff_fresh(&diff);
	filter_diff_done(&diff);
	return r;
}

static bool is_ours(const struct nft *nft)
{
	return nft->owner == nlsock_portid(nft->sock);
}

static int update(struct nft *nft, const struct nft_layout *layout, bool rules_anew,
		  const struct filter_table *wanted, const struct filter_diff *diff,
		  struct nft_changes *changes, char **reterr_text)
{
	_cleanup_(nft_batch_freep) struct nft_batch *batch = NULL;
	int r;

	changes->elements_added = filter_diff_fresh(diff);
	changes->elements_removed = filter_diff_gone(diff);
	if (filter_diff_empty(diff) && !rules_anew && (!nft->own || is_ours(nft)))
		return 0;
	r = nft_batch_new(nft->sock, &batch);
	if (r < 0)
		return r;
	/* Left behind by an earlier run of ours: adopt it. */
	if (nft->own && !is_ours(nft))
		nft_table_put(layout->table, batch);
	if (rules_anew)
		nft_layout_put_rules_anew(layout, batch);
	nft_put_diff(batch, nft->table, wanted, diff);
	return nft_batch_commit(batch, reterr_text);
}

static int update_or_replace(struct nft *nft, struct nft_layout *layout, bool rules_anew,
			     const struct filter_table *wanted, struct nft_changes *changes,
			     char **reterr_text)
{
	struct filter_diff diff;
	int r;

	r = filter_diff_build(nft->table, wanted, &diff);
	if (r < 0)
		return r;
	if (replacing_is_faster(nft->table, wanted, &diff))
		r = replace(nft, layout, wanted, changes, reterr_text);
	else
		r = update(nft, layout, rules_anew, wanted, &diff, changes, reterr_text);
	filter_diff_done(&diff);
	return r;
}

static int probe_owner(struct nft *nft, char **reterr_text)
{
	int r;

	if (!nft->own || nft->own_probed)
		return 0;
	r = nft_owner_probe(nft->sock, &nft->own, reterr_text);
	nft->own_probed = r == 0;
	return r;
}

/* Only a table that was made to outlive its owner can be adopted by the next. */
static bool can_become_ours(const struct nft *nft)
{
	return is_ours(nft) || (nft->flags & NFT_OWNER_FLAGS) == NFT_OWNER_PERSIST;
}

static struct nft_layout_config layout_config(const struct nft *nft, bool divert_ssh,
					      bool log_drops)
{
	return (struct nft_layout_config){
		.ifname = nft->ifname,
		.gateway_port = nft->gateway_port,
		.divert_ssh = divert_ssh,
		.log_drops = log_drops,
		.owned = nft->own,
	};
}

static bool structure_is(const struct nft *nft, bool divert_ssh, bool log_drops)
{
	const struct nft_layout_config config = layout_config(nft, divert_ssh, log_drops);
	_cleanup_free_ char *structure = NULL;
	struct nft_layout layout;

	if (nft_layout_build(&config, &layout) < 0)
		return false;
	structure = nft_layout_describe(&layout);
	nft_layout_done(&layout);
	return structure && strcmp(structure, nft->structure) == 0;
}

static int apply(struct nft *nft, struct nft_layout *layout, const char *structure, bool divert_ssh,
		 const struct filter_table *wanted, struct nft_changes *changes, char **reterr_text)
{
	bool same, rules_anew = false;
	int r;

	same = nft->structure && strcmp(nft->structure, structure) == 0;
	if (nft->structure && !same)
		rules_anew = structure_is(nft, divert_ssh, !nft->log_drops);
	if ((same || rules_anew) && (!nft->own || can_become_ours(nft)))
		r = update_or_replace(nft, layout, rules_anew, wanted, changes, reterr_text);
	else
		r = replace(nft, layout, wanted, changes, reterr_text);
	/* Refused: what we believed about the kernel may be wrong. */
	if (r < 0)
		nft->known = false;
	return r;
}

/* Look at the table, and find out whether it can be had for ourselves. */
static int prepare(struct nft *nft, char **reterr_text)
{
	int r;

	r = nft_refresh(nft, reterr_text);
	if (r == 0)
		r = probe_owner(nft, reterr_text);
	if (r < 0 || nft->owner == 0 || is_ours(nft))
		return r;
	nft->known = false;
	*reterr_text = text_printf("table inet %s is owned by another program (netlink port %u): "
				   "is a second agent running? end it",
				   NFT_TABLE, nft->owner);
	return -EEXIST;
}

int nft_apply(struct nft *nft, struct filter_table *wanted_arg, bool divert_ssh,
	      struct nft_changes *ret_changes, struct filter_table **ret_old, char **reterr_text)
{
	_cleanup_(filter_table_freep) struct filter_table *wanted = wanted_arg;
	struct nft_layout_config config;
	_cleanup_free_ char *structure = NULL;
	struct nft_changes changes = { 0 };
	struct nft_layout layout;
	int r;

	r = prepare(nft, reterr_text);
	if (r < 0)
		return r;
	config = layout_config(nft, divert_ssh, nft->log_drops);
	r = nft_layout_build(&config, &layout);
	if (r < 0)
		return r;
	structure = nft_layout_describe(&layout);
	r = structure ? apply(nft, &layout, structure, divert_ssh, wanted, &changes, reterr_text)
		      : -ENOMEM;
	nft_layout_done(&layout);
	if (r < 0)
		return r;
	*ret_old = take_ptr(nft->table);
	forget(nft);
	nft->known = nft->exists = true;
	nft->flags = config.owned ? NFT_OWNER_FLAGS : 0;
	nft->owner = config.owned ? nlsock_portid(nft->sock) : 0;
	nft->structure = take_ptr(structure);
	nft->table = take_ptr(wanted);
	*ret_changes = changes;
	return 0;
}

bool nft_in_force(struct nft *nft)
{
	_cleanup_free_ char *text = NULL;

	if (nft_refresh(nft, &text) < 0 || !nft->structure)
		return false;
	/* The kernel may not have followed a change of log_drops yet. */
	for (int i = 0; i < 4; i++)
		if (structure_is(nft, i & 1, i & 2))
			return true;
	return false;
}

void nft_log_drops(struct nft *nft, bool on)
{
	nft->log_drops = on;
}

int nft_count(struct nft *nft, struct nft_tally *tally)
{
	return nft_tally_update(tally, nft->sock);
}

int nft_remove(struct nft *nft, char **reterr_text)
{
	_cleanup_(nft_batch_freep) struct nft_batch *batch = NULL;
	_cleanup_free_ char *text = NULL;
	int r;

	r = nft_batch_new(nft->sock, &batch);
	if (r < 0)
		return r;
	put_table_deletion(batch);
	r = nft_batch_commit(batch, &text);
	forget(nft);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		*reterr_text = take_ptr(text);
	return r;
}
