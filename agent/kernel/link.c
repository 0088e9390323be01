#include "agent/kernel/link.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"

static const char advice[] = "remove it, or choose another Interface= for the mesh";

/* By its key: links that were made by older agents carry no mark. None at all: left half made. */
static int has_our_key(struct kernel *kernel, const char *ifname, char **reterr_text)
{
	static const struct wg_key none;
	_cleanup_(wg_device_freep) struct wg_device *device = NULL;
	char text[WG_KEY_B64LEN];
	int r;

	r = wg_get(kernel->wg, ifname, &device);
	if (r < 0) {
		*reterr_text = text_printf("could not read the WireGuard key of link %s: %s",
					   ifname, strerror(-r));
		return r;
	}
	if (wg_key_equal(&device->public_key, &kernel->settings.public_key) ||
	    (wg_key_equal(&device->public_key, &none) && device->n_peers == 0))
		return 0;
	*reterr_text = text_printf("link %s is another program's, with the WireGuard key %s: %s",
				   ifname, wg_key_to_string(&device->public_key, text), advice);
	return -EEXIST;
}

static int check_owner(struct kernel *kernel, const struct rtnl_link_state *link,
		       char **reterr_text)
{
	int r;

	if (!link->wireguard) {
		*reterr_text = text_printf("link %s exists, and is not WireGuard's: %s", link->name,
					   advice);
		return -EEXIST;
	}
	if (link->marked)
		return 0;
	if (link->ifindex != kernel->ifindex) {
		r = has_our_key(kernel, link->name, reterr_text);
		if (r < 0)
			return r;
	}
	/* Of use only when the link is renamed: that it failed is no reason to stop. */
	(void)rtnl_mark_link(kernel->rtnl, link->ifindex);
	return 0;
}

void kernel_close_link(struct kernel *kernel)
{
	struct rtnl_link_state link;
	bool filtered;
	int r;

	kernel->net_holds = false;
	r = rtnl_find_marked_link(kernel->rtnl, kernel->ifindex, &link);
	if (r == -ENODEV)
		return;
	filtered = nft_in_force(kernel->nft);
	if (r == 0 && link.up && !(filtered && strcmp(link.name, kernel->ifname) == 0))
		(void)rtnl_set_link_up(kernel->rtnl, link.ifindex, false);
	/* It cannot be looked at: then this is all that is known of it. */
	if (r < 0 && kernel->ifindex && !filtered)
		(void)rtnl_set_link_up(kernel->rtnl, kernel->ifindex, false);
}

/* Down first: the table has not been looked at yet, and may go by another name, or be gone. */
static int bring_home(struct kernel *kernel, struct rtnl_link_state *link)
{
	int r = 0;

	if (link->up)
		r = rtnl_set_link_up(kernel->rtnl, link->ifindex, false);
	if (r == 0)
		r = rtnl_rename_link(kernel->rtnl, link->ifindex, kernel->ifname);
	return r < 0 ? r : rtnl_get_link(kernel->rtnl, kernel->ifname, link);
}

static int find_stray_link(struct kernel *kernel, struct rtnl_link_state *ret_link,
			   unsigned *n_changed, char **reterr_text)
{
	struct rtnl_link_state link;
	int r;

	r = rtnl_find_marked_link(kernel->rtnl, kernel->ifindex, &link);
	if (r == -ENODEV) {
		*ret_link = (struct rtnl_link_state){ 0 };
		return 0;
	}
	if (r == 0) {
		kernel->net_holds = false;
		r = bring_home(kernel, &link);
	}
	if (r < 0) {
		*reterr_text = text_printf("could not give link %s its name back: %s",
					   kernel->ifname, strerror(-r));
		return r;
	}
	++*n_changed;
	*ret_link = link;
	return 0;
}

static int find_link(struct kernel *kernel, struct rtnl_link_state *ret_link, unsigned *n_changed,
		     char **reterr_text)
{
	struct rtnl_link_state link;
	int r;

	r = rtnl_get_link(kernel->rtnl, kernel->ifname, &link);
	if (r == -ENODEV)
		return find_stray_link(kernel, ret_link, n_changed, reterr_text);
	if (r < 0) {
		*reterr_text =
			text_printf("could not look at link %s: %s", kernel->ifname, strerror(-r));
		return r;
	}
	r = check_owner(kernel, &link, reterr_text);
	if (r == 0)
		*ret_link = link;
	return r;
}

static int put_into_group(struct kernel *kernel, struct rtnl_link_state *link, unsigned *n_changed,
			  char **reterr_text)
{
	int r;

	if (link->ifindex == 0 || link->grouped)
		return 0;
	r = rtnl_group_link(kernel->rtnl, link->ifindex);
	if (r < 0) {
		*reterr_text = text_printf("could not put link %s into its group: %s",
					   kernel->ifname, strerror(-r));
		return r;
	}
	link->grouped = true;
	++*n_changed;
	return 0;
}

int kernel_find_link(struct kernel *kernel, struct rtnl_link_state *ret_link, unsigned *n_changed,
		     char **reterr_text)
{
	struct rtnl_link_state link = { 0 };
	int r;

	r = find_link(kernel, &link, n_changed, reterr_text);
	if (r == 0)
		r = put_into_group(kernel, &link, n_changed, reterr_text);
	if (r < 0) {
		kernel->told_holds = false;
		kernel_close_link(kernel);
		return r;
	}
	*ret_link = link;
	return 0;
}

/* A link of that name without our mark: by its key it is ours, or it is not. */
static int delete_unmarked(struct kernel *kernel, char **reterr_text)
{
	_cleanup_free_ char *whose = NULL;
	struct rtnl_link_state link;
	int r;

	r = rtnl_get_link(kernel->rtnl, kernel->ifname, &link);
	if (r == -ENODEV || (r == 0 && !link.wireguard))
		return 0;
	if (r < 0)
		return r;
	r = has_our_key(kernel, link.name, &whose);
	if (r == 0)
		return rtnl_delete_link(kernel->rtnl, link.ifindex);
	*reterr_text = text_printf("%s; the packet filter stays, since without it whatever comes "
				   "by this link would be let in",
				   whose ? whose : strerror(-r));
	return r;
}

int kernel_delete_link(struct kernel *kernel, char **reterr_text)
{
	struct rtnl_link_state link;
	int r;

	r = rtnl_find_marked_link(kernel->rtnl, kernel->ifindex, &link);
	if (r == 0)
		r = rtnl_delete_link(kernel->rtnl, link.ifindex);
	if (r == 0 || r == -ENODEV)
		r = delete_unmarked(kernel, reterr_text);
	if (r < 0 && !*reterr_text)
		*reterr_text =
			text_printf("could not delete link %s: %s", kernel->ifname, strerror(-r));
	return r;
}
