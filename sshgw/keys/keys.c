#include "sshgw/keys/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/loop.h"
#include "sshgw/keys/hostkeys.h"
#include "sshgw/keys/publish.h"
#include "sshgw/msg.h"

/* Without memory or descriptors: a message that could not be taken is still there. */
#define SHORTAGE_USEC 10000

/* One monitor. What it was told the public halves of is what it may have signed with. */
struct client {
	struct keys *keys;
	struct client *next, **link;
	struct hostkeys *hostkeys;
	struct loop_source *io;
	int fd;
};

struct keys {
	const struct keys_config *config;
	struct loop *loop;
	struct loop_source *control;
	int control_fd;
	struct hostkeys *hostkeys;
	struct client *clients;
};

/* ---- monitors ---- */

static void leave_when_unused(struct keys *keys)
{
	if (keys->control_fd < 0 && !keys->clients)
		loop_exit(keys->loop);
}

static void client_free(struct client *c)
{
	struct keys *keys = c->keys;

	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	loop_source_free(c->io);
	close_fd(c->fd);
	hostkeys_unref(c->hostkeys);
	free(c);
	leave_when_unused(keys);
}

/* Nothing in the answer says: refused. */
static int answer(struct client *c, const struct chan_msg *msg)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	struct msg_blob signature = { 0 };
	struct msg_sign request;

	if ((msg->type != KEYS_SIGN && msg->type != KEYS_PROVE) || msg->n_fds > 0 ||
	    msg_sign_get(msg, &request) < 0)
		return -EPROTO;
	if ((msg->type == KEYS_PROVE ? hostkeys_prove : hostkeys_sign)(c->hostkeys, &request,
								       &signature) < 0)
		signature = (struct msg_blob){ 0 };
	chan_put_bytes(&w, signature.data, signature.len);
	free(signature.data);
	return chan_send(c->fd, KEYS_SIGNED, &w, NULL, 0);
}

static void on_request(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	struct client *c = userdata;
	struct chan_msg msg = { 0 };
	int r = chan_receive(fd, &msg);

	if (r == -EAGAIN)
		return;
	if (r == 0) {
		r = answer(c, &msg);
		chan_msg_done(&msg);
	}
	if (r < 0 && r != -ECONNRESET)
		log_error_errno(r, "A monitor was given up");
	if (r < 0)
		client_free(c);
}

static int send_public(struct client *c)
{
	_cleanup_(chan_writer_done) struct chan_writer w = { 0 };
	struct msg_host_keys public = { 0 };

	/* Borrowed. */
	public.n = hostkeys_public(c->hostkeys, public.keys);
	msg_host_keys_put(&w, &public);
	return chan_send(c->fd, KEYS_PUBLIC, &w, NULL, 0);
}

/* ---- the listener ---- */

/* Connections do without: their clients may have the keys from elsewhere. */
static int publish(const struct keys_config *config, const struct hostkeys *hostkeys)
{
	int r = hostkeys_publish(hostkeys, config->public_path);

	if (r < 0)
		log_warning_errno(r,
				  "Could not write %s, continuing: other hosts may not know the "
				  "host keys",
				  config->public_path);
	return r;
}

/* Keys are changed by people, who expect the next connection to have the new ones. */
static int refresh(struct keys *keys)
{
	struct hostkeys *fresh = NULL;
	int r;

	if (keys->hostkeys && !hostkeys_are_stale(keys->hostkeys))
		return 0;
	r = hostkeys_load(keys->config->hostkey_dir, &fresh);
	if (r < 0)
		return r;
	hostkeys_unref(keys->hostkeys);
	keys->hostkeys = fresh;
	publish(keys->config, fresh);
	return 0;
}

/* fd becomes the client's, also on failure: its monitor sees the end of the channel. */
static int serve(struct keys *keys, int fd)
{
	struct client *c = NULL;
	int r = refresh(keys);

	if (r == 0) {
		c = calloc(1, sizeof(*c));
		r = c ? 0 : -ENOMEM;
	}
	if (r < 0) {
		close_fd(fd);
		return r;
	}
	*c = (struct client){ .keys = keys,
			      .hostkeys = hostkeys_ref(keys->hostkeys),
			      .fd = fd,
			      .next = keys->clients,
			      .link = &keys->clients };
	if (c->next)
		c->next->link = &c->next;
	keys->clients = c;
	r = loop_add_io(keys->loop, fd, EPOLLIN, on_request, c, &c->io);
	if (r == 0)
		r = send_public(c);
	if (r < 0)
		client_free(c);
	return r;
}

static void on_listener_gone(struct keys *keys)
{
	/* Connections live on, and exchange keys again. */
	keys->control = loop_source_free(keys->control);
	keys->control_fd = close_fd(keys->control_fd);
	leave_when_unused(keys);
}

static void on_control(struct loop_source *source, int fd, uint32_t revents, void *userdata)
{
	struct keys *keys = userdata;
	struct chan_msg msg = { 0 };
	int r = chan_receive(fd, &msg);

	if (r == -EAGAIN)
		return;
	if (r == -ECONNRESET) {
		on_listener_gone(keys);
		return;
	}
	if (r < 0) {
		/* This one came to nothing, as its monitor sees; there may be room for the next. */
		log_error_errno(r, "Could not receive a connection to be served");
		usleep(SHORTAGE_USEC);
		return;
	}
	if (msg.type == KEYS_SERVE && msg.n_fds == 1 && msg.len == 0)
		r = serve(keys, take_fd(&msg.fds[0]));
	chan_msg_done(&msg);
	if (r < 0)
		log_error_errno(r, "Could not serve a connection");
}

int keys_run(const struct keys_config *config)
{
	struct keys keys = { .config = config, .control_fd = config->control_fd };
	int r = loop_new(&keys.loop);

	if (r == 0)
		r = loop_add_io(keys.loop, keys.control_fd, EPOLLIN, on_control, &keys,
				&keys.control);
	/* Before the first connection waits for it; what is wrong now may be mended by then. */
	if (r == 0)
		refresh(&keys);
	if (r == 0)
		r = loop_run(keys.loop);
	while (keys.clients)
		client_free(keys.clients);
	loop_source_free(keys.control);
	close_fd(keys.control_fd);
	hostkeys_unref(keys.hostkeys);
	loop_free(keys.loop);
	return r < 0 ? log_error_errno(r, "The event loop failed") : 0;
}

int keys_publish(const struct keys_config *config)
{
	_cleanup_(hostkeys_unrefp) struct hostkeys *hostkeys = NULL;
	int r = hostkeys_load(config->hostkey_dir, &hostkeys);

	return r < 0 ? r : publish(config, hostkeys);
}
