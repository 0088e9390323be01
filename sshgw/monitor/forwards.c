#include "sshgw/monitor/forwards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

static void forward_done(struct mon_forward *forward)
{
	msg_connect_done(&forward->request);
	free(forward->name);
}

static void listener_done(struct mon_listener *listener)
{
	msg_listen_done(&listener->request);
	free(listener->name);
	free(listener->asked);
}

void forwards_done(struct forwards *forwards)
{
	for (size_t i = 0; i < forwards->n; i++)
		forward_done(&forwards->list[i]);
	for (size_t i = 0; i < forwards->n_listeners; i++)
		listener_done(&forwards->listeners[i]);
	free(forwards->list);
	free(forwards->listeners);
	*forwards = (struct forwards){ 0 };
}

static int take_id(uint32_t *last, uint32_t id)
{
	if (id <= *last)
		return -EEXIST;
	*last = id;
	return 0;
}

int forwards_take_net_id(struct forwards *forwards, uint32_t id)
{
	return take_id(&forwards->last_of_net, id);
}

int forwards_take_user_id(struct forwards *forwards, uint32_t id)
{
	return take_id(&forwards->last_of_user, id);
}

struct mon_forward *forwards_add(struct forwards *forwards, uint32_t id, bool incoming)
{
	struct mon_forward *list = reallocarray(forwards->list, forwards->n + 1, sizeof(*list));

	if (!list)
		return NULL;
	forwards->list = list;
	list[forwards->n] = (struct mon_forward){ .id = id, .incoming = incoming };
	return &list[forwards->n++];
}

struct mon_listener *forwards_add_listener(struct forwards *forwards, uint32_t id)
{
	struct mon_listener *list =
		reallocarray(forwards->listeners, forwards->n_listeners + 1, sizeof(*list));

	if (!list)
		return NULL;
	forwards->listeners = list;
	list[forwards->n_listeners] = (struct mon_listener){ .id = id };
	return &list[forwards->n_listeners++];
}

struct mon_forward *forwards_find(struct forwards *forwards, uint32_t id, bool incoming)
{
	for (size_t i = 0; i < forwards->n; i++)
		if (forwards->list[i].id == id && forwards->list[i].incoming == incoming)
			return &forwards->list[i];
	return NULL;
}

struct mon_listener *forwards_find_listener(struct forwards *forwards, uint32_t id)
{
	for (size_t i = 0; i < forwards->n_listeners; i++)
		if (forwards->listeners[i].id == id)
			return &forwards->listeners[i];
	return NULL;
}

void forwards_remove(struct forwards *forwards, struct mon_forward *forward)
{
	forward_done(forward);
	*forward = forwards->list[--forwards->n];
}

void forwards_remove_listener(struct forwards *forwards, struct mon_listener *listener)
{
	listener_done(listener);
	*listener = forwards->listeners[--forwards->n_listeners];
}

static void remember(struct listener_ring *ring, uint32_t id)
{
	ring->ids[ring->next] = id;
	ring->next = (ring->next + 1) % ARRAY_SIZE(ring->ids);
}

/* Return: its place; -1: it is not there. */
static int find_id(const struct listener_ring *ring, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(ring->ids); i++)
		if (id != 0 && ring->ids[i] == id)
			return (int)i;
	return -1;
}

void forwards_cancel_listener(struct forwards *forwards, struct mon_listener *listener)
{
	remember(&forwards->cancelled, listener->id);
	forwards_remove_listener(forwards, listener);
}

bool forwards_is_cancelled(const struct forwards *forwards, uint32_t id)
{
	return find_id(&forwards->cancelled, id) >= 0;
}

void forwards_forget_cancelled(struct forwards *forwards)
{
	forwards->cancelled = (struct listener_ring){ 0 };
}

void forwards_use_up_listener(struct forwards *forwards, struct mon_listener *listener)
{
	remember(&forwards->used_up, listener->id);
	forwards_remove_listener(forwards, listener);
}

bool forwards_end_used_up(struct forwards *forwards, uint32_t id)
{
	int i = find_id(&forwards->used_up, id);

	if (i < 0)
		return false;
	forwards->used_up.ids[i] = 0;
	return true;
}

const char *forwards_bind_address(enum gateway_ports policy, const char *asked)
{
	/* One that names a single loopback address is taken at its word, whatever the policy. */
	bool is_loopback = strcmp(asked, "127.0.0.1") == 0 || strcmp(asked, "::1") == 0;

	switch (policy) {
	case GATEWAY_PORTS_NO:
		break;
	case GATEWAY_PORTS_CLIENT:
		return strcmp(asked, "*") == 0 ? "" : asked;
	case GATEWAY_PORTS_YES:
		return "";
	}
	return is_loopback ? asked : "localhost";
}
