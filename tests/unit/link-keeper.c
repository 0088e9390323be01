#include "tests/unit/link-keeper.h"

#include <errno.h>
#include <stdlib.h>

static const struct netmap *map(void *userdata, const char *source)
{
	struct link_keeper *keeper = userdata;

	return keeper->map;
}

static int offer(void *userdata, struct netmap *new, const char *source)
{
	struct link_keeper *keeper = userdata;

	netmap_free(keeper->map);
	keeper->map = new;
	return 0;
}

static void refuse(void *userdata, char *problem)
{
	struct link_keeper *keeper = userdata;

	free(keeper->refused);
	keeper->refused = problem;
}

static int use_kept(void *userdata, const char *source, const char *node)
{
	return -ENOENT;
}

static void forget(void *userdata)
{
	struct link_keeper *keeper = userdata;

	keeper->n_forgot++;
}

static void leave(void *userdata)
{
	struct link_keeper *keeper = userdata;

	keeper->n_left++;
	keeper->map = netmap_free(keeper->map);
}

static void nothing(void *userdata)
{
}

const struct link_hooks link_keeper_hooks = {
	.map = map,
	.offer = offer,
	.refuse = refuse,
	.confirm = nothing,
	.use_kept = use_kept,
	.forget = forget,
	.leave = leave,
	.key_changed = nothing,
	.changed = nothing,
};

void link_keeper_done(struct link_keeper *keeper)
{
	netmap_free(keeper->map);
	free(keeper->refused);
	*keeper = (struct link_keeper){ 0 };
}
