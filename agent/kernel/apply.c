#include <errno.h>
#include <string.h>

#include "agent/filter/narrow.h"
#include "agent/kernel/link.h"
#include "agent/kernel/revoke.h"
#include "agent/kernel/shut.h"
#include "agent/kernel/state.h"
#include "agent/wg/keepalive.h"
#include "agent/wg/moves.h"
#include "common/log.h"
#include "common/text.h"

#define LINK_MTU 1420

/* One kernel_apply(). */
struct apply {
	struct kernel *kernel;
	uint64_t now_usec;
	struct kernel_plan plan;
	struct rtnl_link_state link; /* ifindex 0: there is none */
	struct wg_device *observed;  /* WireGuard as it is; NULL: as it was told */
	struct wg_diff wg_diff;
	bool staged;	/* the filter is changed in two steps */
	bool spare_ssh; /* sessions are the gateway's to end */
	struct kernel_changes changes;
	char **reterr_text;
};

static int fail(struct apply *apply, int error, const char *what)
{
	if (!*apply->reterr_text)
		*apply->reterr_text = text_printf(
			"could not %s %s: %s%s", what, apply->kernel->ifname, strerror(-error),
			error == -EPERM ? " (CAP_NET_ADMIN is needed)" : "");
	return error;
}

/* What we told this very link; NULL: nothing that we know of. */
static const struct wg_device *told(const struct apply *apply)
{
	const struct kernel *kernel = apply->kernel;

	return apply->link.ifindex && apply->link.ifindex == kernel->ifindex ? kernel->done.wg
									     : NULL;
}

static bool memory_holds(const struct apply *apply)
{
	return told(apply) && apply->kernel->told_holds;
}

static int look_at_wireguard(struct apply *apply)
{
	struct kernel *kernel = apply->kernel;
	int r;

	if (apply->link.ifindex == 0) {
		apply->observed = wg_device_new();
		return apply->observed ? 0 : -ENOMEM;
	}
	if (memory_holds(apply))
		return 0;
	r = wg_get(kernel->wg, kernel->ifname, &apply->observed);
	return r < 0 ? fail(apply, r, "read the WireGuard peers of") : 0;
}

static int compare_wireguard(struct apply *apply)
{
	const struct wg_device *from;
	int r;

	r = look_at_wireguard(apply);
	if (r < 0)
		return r;
	from = apply->observed ? apply->observed : told(apply);
	if (apply->kernel->poll)
		wg_keepalive_hold(from, apply->plan.wg);
	r = wg_diff_build(from, told(apply), apply->plan.wg, apply->now_usec, &apply->wg_diff);
	if (r == 0)
		r = wg_diff_moves(from, &apply->wg_diff, &apply->staged);
	return r;
}

/* An address that the link is about to lose must stay shut to other interfaces until then. */
static bool loses_address(const struct apply *apply)
{
	const struct filter_table *old = nft_table(apply->kernel->nft);

	for (size_t i = 0; old && i < old->n_own; i++)
		if (!filter_table_is_own(apply->plan.filter, &old->own[i]))
			return true;
	return false;
}

/* Without our table every peer could reach everything: no table, no link. */
static void fail_closed(struct apply *apply)
{
	struct kernel *kernel = apply->kernel;

	if (!apply->link.up || nft_in_force(kernel->nft))
		return;
	(void)rtnl_set_link_up(kernel->rtnl, apply->link.ifindex, false);
	kernel->net_holds = false;
}

/* filter is consumed. */
static int apply_filter(struct apply *apply, struct filter_table *filter,
			struct filter_table **ret_old)
{
	struct kernel_changes *changes = &apply->changes;
	struct nft_changes done;
	int r;

	r = nft_apply(apply->kernel->nft, filter, apply->plan.divert_ssh, &done, ret_old,
		      apply->reterr_text);
	if (r < 0)
		return fail(apply, r, "install the filter for");
	changes->nft_elements_added += done.elements_added;
	changes->nft_elements_removed += done.elements_removed;
	changes->nft_full_replacements += done.full_replacements;
	return 0;
}

/*
 * Destroy connections that the filter has let in, and does no more. Their packets are dropped
 * already: if this fails, they only take longer to die.
 */
static void end_connections(struct apply *apply, const struct filter_table *old,
			    const struct filter_table *new)
{
	int r;

	if (!old || apply->changes.nft_elements_removed + apply->changes.nft_full_replacements == 0)
		return;
	r = kernel_revoke(old, new, apply->spare_ssh, &apply->changes.sockets_destroyed);
	if (r < 0)
		log_warning_errno(r, "Could not destroy connections whose right was taken away, "
				     "continuing");
}

/*
 * What is taken away goes first. What is given can come along with it, since nobody can send from
 * an address that WireGuard does not know yet. But where an address changes hands, its next owner's
 * rights have to wait until WireGuard has taken it from the last: then the step is to what both the
 * old and the new filter allow.
 */
static int take_away(struct apply *apply)
{
	_cleanup_(filter_table_freep) struct filter_table *next = NULL, *old = NULL;
	int r = 0;

	if (apply->staged)
		r = filter_narrow(nft_table(apply->kernel->nft), apply->plan.filter, &next);
	else
		next = take_ptr(apply->plan.filter);
	if (r == 0)
		r = apply_filter(apply, take_ptr(next), &old);
	if (r < 0) {
		fail_closed(apply);
		return r;
	}
	end_connections(apply, old,
			apply->staged ? apply->plan.filter : nft_table(apply->kernel->nft));
	return 0;
}

static int give(struct apply *apply)
{
	_cleanup_(filter_table_freep) struct filter_table *narrow = NULL;

	return apply->staged ? apply_filter(apply, take_ptr(apply->plan.filter), &narrow) : 0;
}

static int port_taken(struct apply *apply)
{
	const unsigned port = apply->plan.wg->listen_port;

	*apply->reterr_text = text_printf(
		"UDP port %u is taken: by a program (\"ss -ulnp sport = :%u\" names it), or by "
		"another WireGuard link (\"wg show all listen-port\" does; it may have been made "
		"in "
		"this network namespace and moved to another); end that, or choose another "
		"ListenPort=",
		port, port);
	return -EADDRINUSE;
}

static int create_link(struct apply *apply)
{
	struct kernel *kernel = apply->kernel;
	int r;

	r = rtnl_create_link(kernel->rtnl, kernel->ifname, LINK_MTU);
	if (r == -EOPNOTSUPP) {
		*apply->reterr_text = text_printf(
			"this kernel has no WireGuard: load its module (modprobe wireguard), or "
			"boot a kernel that has it (5.6 or newer, with CONFIG_WIREGUARD)");
		return r;
	}
	if (r < 0)
		return fail(apply, r, "create link");
	apply->changes.links_created = 1;
	kernel->net_holds = false;
	r = rtnl_get_link(kernel->rtnl, kernel->ifname, &apply->link);
	return r < 0 ? fail(apply, r, "find the new link") : 0;
}

static int apply_wireguard(struct apply *apply)
{
	struct kernel *kernel = apply->kernel;
	int r;

	if (wg_diff_empty(&apply->wg_diff))
		return 0;
	kernel->told_holds = false;
	r = wg_set(kernel->wg, kernel->ifname, apply->plan.wg, &apply->wg_diff,
		   &kernel->private_key);
	if (r == -EADDRINUSE)
		return port_taken(apply);
	if (r < 0)
		return fail(apply, r, "configure WireGuard on");
	apply->changes.links_changed += apply->wg_diff.set_private_key ||
					apply->wg_diff.set_listen_port || apply->wg_diff.set_fwmark;
	apply->changes.peers_added = apply->wg_diff.n_added;
	apply->changes.peers_changed = apply->wg_diff.n_changed;
	apply->changes.peers_removed = apply->wg_diff.n_removed;
	return 0;
}

static bool same_prefixes(const struct ip_prefix *a, size_t n_a, const struct ip_prefix *b,
			  size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (ip_prefix_compare(&a[i], &b[i]) != 0)
			return false;
	return true;
}

static bool same_net(const struct kernel_plan *a, const struct kernel_plan *b)
{
	if (a->n_addresses != b->n_addresses)
		return false;
	for (size_t i = 0; i < a->n_addresses; i++)
		if (!ip_addr_equal(&a->addresses[i], &b->addresses[i]))
			return false;
	return same_prefixes(a->routes, a->n_routes, b->routes, b->n_routes) &&
	       same_prefixes(a->guards, a->n_guards, b->guards, b->n_guards);
}

static int apply_addresses(struct apply *apply)
{
	struct rtnl_changes changes = { 0 };
	int r;

	r = rtnl_sync_addresses(apply->kernel->rtnl, apply->link.ifindex, apply->plan.addresses,
				apply->plan.n_addresses, &changes);
	apply->changes.addresses_added = changes.added;
	apply->changes.addresses_removed = changes.removed;
	return r < 0 ? fail(apply, r, "set the addresses of") : 0;
}

static int apply_routes(struct apply *apply)
{
	struct rtnl_changes changes = { 0 };
	int r;

	r = rtnl_sync_routes(apply->kernel->rtnl, apply->link.ifindex, apply->plan.routes,
			     apply->plan.n_routes, &changes);
	apply->changes.routes_added += changes.added;
	apply->changes.routes_removed += changes.removed;
	return r < 0 ? fail(apply, r, "set the routes over") : 0;
}

/* Without a map nobody knows the prefixes: what was guarded stays so. */
static int apply_guards(struct apply *apply)
{
	struct rtnl_changes changes = { 0 };
	int r;

	if (apply->plan.n_guards == 0)
		return 0;
	r = rtnl_sync_guards(apply->kernel->rtnl, apply->plan.guards, apply->plan.n_guards,
			     &changes);
	apply->changes.routes_added += changes.added;
	apply->changes.routes_removed += changes.removed;
	return r < 0 ? fail(apply, r, "keep traffic of the mesh from leaving elsewhere than by")
		     : 0;
}

static int apply_link(struct apply *apply)
{
	struct rtnl *rtnl = apply->kernel->rtnl;
	int r;

	if (apply->link.mtu != LINK_MTU) {
		r = rtnl_set_link_mtu(rtnl, apply->link.ifindex, LINK_MTU);
		if (r < 0)
			return fail(apply, r, "set the MTU of");
		apply->changes.links_changed++;
	}
	if (apply->link.up)
		return 0;
	r = rtnl_set_link_up(rtnl, apply->link.ifindex, true);
	if (r == -EADDRINUSE)
		return port_taken(apply);
	if (r < 0)
		return fail(apply, r, "bring up");
	apply->changes.links_changed++;
	return 0;
}

static int apply_net(struct apply *apply)
{
	struct kernel *kernel = apply->kernel;
	int r;

	if (kernel->net_holds && apply->link.up && apply->link.mtu == LINK_MTU &&
	    kernel->ifindex == apply->link.ifindex && same_net(&kernel->done, &apply->plan))
		return 0;
	kernel->net_holds = false;
	if (kernel->rtnl_watch)
		rtnl_watch_set_ifindex(kernel->rtnl_watch, apply->link.ifindex);
	r = apply_guards(apply);
	if (r == 0)
		r = apply_addresses(apply);
	if (r == 0)
		r = apply_link(apply);
	return r < 0 ? r : apply_routes(apply);
}

/* A link without a table is open until there is one: a small one is there soonest. */
static int look_at_table(struct apply *apply)
{
	int r = nft_refresh(apply->kernel->nft, apply->reterr_text);

	if (r == 0 && apply->link.up)
		r = kernel_shut_table(apply->kernel, &apply->plan, apply->reterr_text);
	if (r < 0)
		fail_closed(apply);
	return r;
}

static int carry_out(struct apply *apply)
{
	int r, wg;

	r = kernel_find_link(apply->kernel, &apply->link, &apply->changes.links_changed,
			     apply->reterr_text);
	if (r == 0)
		r = look_at_table(apply);
	if (r < 0)
		return r;
	/* Rights are taken away even if WireGuard cannot be asked; given they are not. */
	wg = compare_wireguard(apply);
	if (wg < 0 || loses_address(apply))
		apply->staged = true;
	r = take_away(apply);
	if (r == 0)
		r = wg;
	if (r == 0 && apply->link.ifindex == 0)
		r = create_link(apply);
	if (r == 0)
		r = apply_wireguard(apply);
	if (r == 0)
		r = apply_net(apply);
	if (r == 0)
		r = give(apply);
	return r;
}

/* The plan is what is so from now on. */
static void remember(struct apply *apply)
{
	struct kernel *kernel = apply->kernel;

	apply->changes.nft_full_replacements += kernel->n_shut;
	kernel->n_shut = 0;
	kernel_plan_done(&kernel->done);
	kernel->done = apply->plan;
	apply->plan = (struct kernel_plan){ 0 };
	kernel->ifindex = apply->link.ifindex;
	kernel->told_holds = kernel->net_holds = true;
	if (kernel->poll)
		kernel_poll_told(kernel->poll);
}

int kernel_apply(struct kernel *kernel, const struct netmap *map, uint64_t now_usec,
		 struct kernel_changes *ret_changes, char **reterr_text)
{
	_cleanup_free_ char *text = NULL;
	struct apply apply = { .kernel = kernel, .now_usec = now_usec, .reterr_text = &text };
	int r;

	r = kernel_plan_build(map, now_usec, &kernel->settings, &apply.plan, &text);
	/* Without a map nobody knows whose right has gone: what is shut out now may be let in
	 * again. */
	apply.spare_ssh = apply.plan.divert_ssh || !map;
	if (r == 0)
		r = carry_out(&apply);
	else
		kernel_close_link(kernel);
	if (r == 0) {
		remember(&apply);
		*ret_changes = apply.changes;
	} else {
		*reterr_text = text ? take_ptr(text) : strdup(strerror(-r));
	}
	wg_diff_done(&apply.wg_diff);
	wg_device_free(apply.observed);
	kernel_plan_done(&apply.plan);
	return r;
}
