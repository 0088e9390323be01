#include "sshgw/monitor/channels.h"

#include <errno.h>
#include <stdlib.h>

void channels_done(struct channels *channels)
{
	for (size_t i = 0; i < channels->n; i++)
		msg_start_done(&channels->list[i].start);
	free(channels->list);
	*channels = (struct channels){ 0 };
}

struct channel *channels_find(struct channels *channels, uint32_t id)
{
	for (size_t i = 0; i < channels->n; i++)
		if (channels->list[i].id == id)
			return &channels->list[i];
	return NULL;
}

size_t channels_active(const struct channels *channels)
{
	size_t n = 0;

	for (size_t i = 0; i < channels->n; i++)
		n += channels->list[i].state != CHANNEL_DETACHED;
	return n;
}

int channels_add(struct channels *channels, uint32_t id, size_t max_active,
		 struct channel **ret_channel)
{
	struct channel *list;

	if (channels_find(channels, id))
		return -EEXIST;
	if (channels->n >= CHANNELS_MAX || channels_active(channels) >= max_active)
		return -EMFILE;
	list = reallocarray(channels->list, channels->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	channels->list = list;
	list[channels->n] = (struct channel){ .id = id, .state = CHANNEL_WAITING };
	*ret_channel = &list[channels->n++];
	return 0;
}

void channels_remove(struct channels *channels, struct channel *channel)
{
	msg_start_done(&channel->start);
	*channel = channels->list[--channels->n];
}
