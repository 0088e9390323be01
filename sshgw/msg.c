#include "sshgw/msg.h"

#include <errno.h>
#include <string.h>

#include "sshgw/signals.h"

/* ---- shared pieces ---- */

static int get_blob(struct chan_reader *r, size_t max, struct msg_blob *blob)
{
	size_t len;
	const uint8_t *p = chan_get_bytes(r, max, &len);

	if (!p)
		return r->error;
	blob->data = malloc(len ? len : 1);
	if (!blob->data)
		return r->error = -ENOMEM;
	memcpy(blob->data, p, len);
	blob->len = len;
	return 0;
}

/* ---- KEYS_PUBLIC, and the beginning of NET_INIT ---- */

static void put_host_keys(struct chan_writer *w, const struct msg_host_keys *msg)
{
	chan_put_u32(w, (uint32_t)msg->n);
	for (size_t i = 0; i < msg->n; i++)
		chan_put_bytes(w, msg->keys[i].data, msg->keys[i].len);
}

/* What cannot be read is the reader's error. */
static void get_host_keys(struct chan_reader *r, struct msg_host_keys *ret_msg)
{
	uint32_t n = chan_get_u32(r);

	if (n > MSG_MAX_KEYS)
		r->error = -EBADMSG;
	while (ret_msg->n < n && get_blob(r, MSG_MAX_BLOB, &ret_msg->keys[ret_msg->n]) == 0)
		ret_msg->n++;
}

int msg_host_keys_put(struct chan_writer *w, const struct msg_host_keys *msg)
{
	put_host_keys(w, msg);
	return w->error;
}

int msg_host_keys_get(const struct chan_msg *in, struct msg_host_keys *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_host_keys msg = { 0 };

	get_host_keys(&r, &msg);
	if (chan_reader_end(&r) < 0) {
		msg_host_keys_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_host_keys_done(struct msg_host_keys *msg)
{
	for (size_t i = 0; i < msg->n; i++)
		free(msg->keys[i].data);
	*msg = (struct msg_host_keys){ 0 };
}

/* ---- NET_INIT ---- */

int msg_net_init_put(struct chan_writer *w, const struct msg_net_init *msg)
{
	put_host_keys(w, &msg->host_keys);
	chan_put_u32(w, msg->max_sessions);
	chan_put_u32(w, msg->max_env);
	chan_put_u32(w, msg->max_forwards);
	chan_put_u32(w, msg->max_listens);
	chan_put_u32(w, msg->login_grace_sec);
	chan_put_u64(w, msg->rekey_bytes);
	chan_put_u32(w, msg->rekey_sec);
	return w->error;
}

int msg_net_init_get(const struct chan_msg *in, struct msg_net_init *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_net_init msg = { 0 };

	get_host_keys(&r, &msg.host_keys);
	msg.max_sessions = chan_get_u32(&r);
	msg.max_env = chan_get_u32(&r);
	msg.max_forwards = chan_get_u32(&r);
	msg.max_listens = chan_get_u32(&r);
	msg.login_grace_sec = chan_get_u32(&r);
	msg.rekey_bytes = chan_get_u64(&r);
	msg.rekey_sec = chan_get_u32(&r);
	if (chan_reader_end(&r) < 0) {
		msg_net_init_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_net_init_done(struct msg_net_init *msg)
{
	msg_host_keys_done(&msg->host_keys);
	*msg = (struct msg_net_init){ 0 };
}

/* ---- NET_SIGN ---- */

int msg_sign_put(struct chan_writer *w, const struct msg_sign *msg)
{
	chan_put_u32(w, msg->key);
	chan_put_u32(w, msg->digest);
	chan_put_bytes(w, msg->hash, msg->hash_len);
	return w->error;
}

int msg_sign_get(const struct chan_msg *in, struct msg_sign *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_sign msg = { 0 };
	const uint8_t *p;

	msg.key = chan_get_u32(&r);
	msg.digest = chan_get_u32(&r);
	p = chan_get_bytes(&r, sizeof(msg.hash), &msg.hash_len);
	if (chan_reader_end(&r) < 0)
		return r.error;
	memcpy(msg.hash, p, msg.hash_len);
	*ret_msg = msg;
	return 0;
}

/* ---- NET_PROVE ---- */

int msg_prove_put(struct chan_writer *w, const struct msg_prove *msg)
{
	chan_put_u32(w, msg->key);
	chan_put_u32(w, msg->digest);
	return w->error;
}

int msg_prove_get(const struct chan_msg *in, struct msg_prove *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_prove msg = { 0 };

	msg.key = chan_get_u32(&r);
	msg.digest = chan_get_u32(&r);
	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_msg = msg;
	return 0;
}

/* ---- NET_AUTH_RESULT ---- */

int msg_auth_result_put(struct chan_writer *w, const struct msg_auth_result *msg)
{
	chan_put_u8(w, (uint8_t)msg->verdict);
	chan_put_string(w, msg->text);
	chan_put_u32(w, msg->active_msec);
	return w->error;
}

int msg_auth_result_get(const struct chan_msg *in, struct msg_auth_result *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_auth_result msg = { 0 };

	msg.verdict = chan_get_bool(&r) ? AUTH_ACCEPTED : AUTH_REFUSED;
	msg.text = chan_get_string(&r, MSG_MAX_TEXT);
	msg.active_msec = chan_get_u32(&r);
	if (chan_reader_end(&r) < 0) {
		msg_auth_result_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_auth_result_done(struct msg_auth_result *msg)
{
	free(msg->text);
	*msg = (struct msg_auth_result){ 0 };
}

/* ---- NET_CHECK ---- */

int msg_check_put(struct chan_writer *w, const struct msg_check *msg)
{
	chan_put_string(w, msg->text);
	chan_put_string(w, msg->url);
	chan_put_string(w, msg->code);
	return w->error;
}

int msg_check_get(const struct chan_msg *in, struct msg_check *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_check msg = { 0 };

	msg.text = chan_get_string(&r, MSG_MAX_TEXT);
	msg.url = chan_get_string(&r, MSG_MAX_URL);
	msg.code = chan_get_string(&r, MSG_MAX_CODE);
	if (chan_reader_end(&r) < 0) {
		msg_check_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_check_done(struct msg_check *msg)
{
	free(msg->text);
	free(msg->url);
	free(msg->code);
	*msg = (struct msg_check){ 0 };
}

/* ---- NET_START, USER_START ---- */

const char *start_kind_to_string(enum start_kind kind)
{
	switch (kind) {
	case START_SHELL:
		return "shell";
	case START_EXEC:
		return "exec";
	case START_SFTP:
		return "sftp";
	}
	return "unknown";
}

int msg_start_put(struct chan_writer *w, const struct msg_start *msg)
{
	chan_put_u32(w, msg->channel);
	chan_put_u8(w, (uint8_t)msg->kind);
	chan_put_string(w, msg->command);
	chan_put_u8(w, msg->has_pty);
	if (msg->has_pty) {
		chan_put_string(w, msg->pty.term);
		chan_put_u32(w, msg->pty.columns);
		chan_put_u32(w, msg->pty.rows);
		chan_put_u32(w, msg->pty.xpixel);
		chan_put_u32(w, msg->pty.ypixel);
		chan_put_bytes(w, msg->pty.modes.data, msg->pty.modes.len);
	}
	chan_put_u32(w, msg->agent_listener);
	chan_put_u32(w, msg->x11_listener);
	chan_put_u32(w, (uint32_t)msg->n_env);
	for (size_t i = 0; i < msg->n_env; i++) {
		chan_put_string(w, msg->env[i].name);
		chan_put_string(w, msg->env[i].value);
	}
	return w->error;
}

static void get_pty(struct chan_reader *r, struct msg_pty *pty)
{
	pty->term = chan_get_string(r, MSG_MAX_TERM);
	pty->columns = chan_get_u32(r);
	pty->rows = chan_get_u32(r);
	pty->xpixel = chan_get_u32(r);
	pty->ypixel = chan_get_u32(r);
	get_blob(r, MSG_MAX_MODES, &pty->modes);
}

static void get_env(struct chan_reader *r, struct msg_start *msg)
{
	uint32_t n = chan_get_u32(r);

	if (!r->error && n > MSG_MAX_ENV)
		r->error = -EBADMSG;
	while (!r->error && msg->n_env < n) {
		struct msg_env *env = &msg->env[msg->n_env++];

		env->name = chan_get_string(r, MSG_MAX_ENV_NAME);
		env->value = chan_get_string(r, MSG_MAX_ENV_VALUE);
	}
}

int msg_start_get(const struct chan_msg *in, struct msg_start *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_start msg = { 0 };
	uint8_t kind;

	msg.channel = chan_get_u32(&r);
	kind = chan_get_u8(&r);
	if (!r.error && (kind < START_SHELL || kind > START_LAST))
		r.error = -EBADMSG;
	msg.kind = (enum start_kind)kind;
	msg.command = chan_get_string(&r, MSG_MAX_COMMAND);
	msg.has_pty = chan_get_bool(&r);
	if (msg.has_pty)
		get_pty(&r, &msg.pty);
	msg.agent_listener = chan_get_u32(&r);
	msg.x11_listener = chan_get_u32(&r);
	get_env(&r, &msg);
	if (chan_reader_end(&r) < 0) {
		msg_start_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_start_done(struct msg_start *msg)
{
	free(msg->command);
	free(msg->pty.term);
	free(msg->pty.modes.data);
	for (size_t i = 0; i < msg->n_env; i++) {
		free(msg->env[i].name);
		free(msg->env[i].value);
	}
	*msg = (struct msg_start){ 0 };
}

/* ---- NET_STARTED ---- */

int msg_started_put(struct chan_writer *w, const struct msg_started *msg)
{
	chan_put_u32(w, msg->channel);
	chan_put_u8(w, msg->n_fds);
	chan_put_string(w, msg->text);
	return w->error;
}

int msg_started_get(const struct chan_msg *in, struct msg_started *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_started msg = { 0 };

	msg.channel = chan_get_u32(&r);
	msg.n_fds = chan_get_u8(&r);
	if (!r.error && ((msg.n_fds != 1 && msg.n_fds != 3) || in->n_fds != msg.n_fds))
		r.error = -EBADMSG;
	msg.text = chan_get_string(&r, MSG_MAX_TEXT);
	if (chan_reader_end(&r) < 0) {
		msg_started_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_started_done(struct msg_started *msg)
{
	free(msg->text);
	*msg = (struct msg_started){ 0 };
}

/* ---- NET_EXITED, USER_EXITED ---- */

int msg_exited_put(struct chan_writer *w, const struct msg_exited *msg)
{
	chan_put_u32(w, msg->channel);
	chan_put_u8(w, msg->by_signal);
	chan_put_u32(w, msg->value);
	chan_put_u8(w, msg->core_dumped);
	return w->error;
}

int msg_exited_get(const struct chan_msg *in, struct msg_exited *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_exited msg = { 0 };

	msg.channel = chan_get_u32(&r);
	msg.by_signal = chan_get_bool(&r);
	msg.value = chan_get_u32(&r);
	msg.core_dumped = chan_get_bool(&r);
	if (!r.error && msg.value > (msg.by_signal ? 127u : 255u))
		r.error = -EBADMSG;
	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_msg = msg;
	return 0;
}

/* ---- NET_SESSION_END ---- */

int msg_session_end_put(struct chan_writer *w, const struct msg_session_end *msg)
{
	chan_put_u32(w, msg->channel);
	chan_put_u64(w, msg->to_client);
	chan_put_u64(w, msg->from_client);
	return w->error;
}

int msg_session_end_get(const struct chan_msg *in, struct msg_session_end *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_session_end msg = { 0 };

	msg.channel = chan_get_u32(&r);
	msg.to_client = chan_get_u64(&r);
	msg.from_client = chan_get_u64(&r);
	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_msg = msg;
	return 0;
}

/* ---- NET_SIGNAL, USER_SIGNAL ---- */

int msg_signal_put(struct chan_writer *w, const struct msg_signal *msg)
{
	chan_put_u32(w, msg->channel);
	chan_put_u32(w, msg->number);
	return w->error;
}

int msg_signal_get(const struct chan_msg *in, struct msg_signal *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_signal msg = { 0 };

	msg.channel = chan_get_u32(&r);
	msg.number = chan_get_u32(&r);
	if (!r.error && !signal_to_name(msg.number))
		r.error = -EBADMSG;
	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_msg = msg;
	return 0;
}

/* ---- LEADER_ACCOUNT, LEADER_OPEN ---- */

int msg_account_put(struct chan_writer *w, const struct msg_account *msg)
{
	chan_put_string(w, msg->user);
	chan_put_u32(w, msg->uid);
	chan_put_u32(w, msg->gid);
	chan_put_string(w, msg->remote_host);
	chan_put_string(w, msg->connection);
	chan_put_string(w, msg->person);
	return w->error;
}

int msg_account_get(const struct chan_msg *in, struct msg_account *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_account msg = { 0 };

	msg.user = chan_get_string(&r, MSG_MAX_USER);
	msg.uid = chan_get_u32(&r);
	msg.gid = chan_get_u32(&r);
	msg.remote_host = chan_get_string(&r, MSG_MAX_USER);
	msg.connection = chan_get_string(&r, MSG_MAX_USER);
	msg.person = chan_get_string(&r, MSG_MAX_TEXT);
	if (chan_reader_end(&r) < 0) {
		msg_account_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_account_done(struct msg_account *msg)
{
	free(msg->user);
	free(msg->remote_host);
	free(msg->connection);
	free(msg->person);
	*msg = (struct msg_account){ 0 };
}

int msg_open_put(struct chan_writer *w, const struct msg_open *msg)
{
	chan_put_string(w, msg->ssh_client);
	chan_put_string(w, msg->ssh_connection);
	return w->error;
}

int msg_open_get(const struct chan_msg *in, struct msg_open *ret_msg)
{
	struct chan_reader r = chan_msg_reader(in);
	struct msg_open msg = { 0 };

	msg.ssh_client = chan_get_string(&r, MSG_MAX_USER);
	msg.ssh_connection = chan_get_string(&r, MSG_MAX_USER);
	if (chan_reader_end(&r) < 0) {
		msg_open_done(&msg);
		return r.error;
	}
	*ret_msg = msg;
	return 0;
}

void msg_open_done(struct msg_open *msg)
{
	free(msg->ssh_client);
	free(msg->ssh_connection);
	*msg = (struct msg_open){ 0 };
}

/* ---- small ones ---- */

int msg_channel_text_get(const struct chan_msg *in, uint32_t *ret_channel, char **ret_text)
{
	struct chan_reader r = chan_msg_reader(in);
	uint32_t channel = chan_get_u32(&r);
	_cleanup_free_ char *text = chan_get_string(&r, MSG_MAX_TEXT);

	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_channel = channel;
	*ret_text = take_ptr(text);
	return 0;
}

int msg_channel_get(const struct chan_msg *in, uint32_t *ret_channel)
{
	struct chan_reader r = chan_msg_reader(in);
	uint32_t channel = chan_get_u32(&r);

	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_channel = channel;
	return 0;
}

int msg_text_get(const struct chan_msg *in, size_t max, char **ret_text)
{
	struct chan_reader r = chan_msg_reader(in);
	_cleanup_free_ char *text = chan_get_string(&r, max);

	if (chan_reader_end(&r) < 0)
		return r.error;
	*ret_text = take_ptr(text);
	return 0;
}
