#include "tests/bench/coord/sim.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/frame_stream.h"
#include "common/sha256.h"
#include "common/text.h"
#include "tests/bench/coord/bench.h"

#define CHECKED_OF 50u
/* 198.18.0.0/15 is for benchmarks (RFC 2544). */
#define FIRST_ADDRESS 0xc6120001u

struct sims sims;

/* ---- beginning ---- */

static void make(struct sim *sim, unsigned number)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(FIRST_ADDRESS + number) };
	uint8_t seed[SHA256_LEN];

	sim->number = number;
	must(sha256(&number, sizeof(number), seed), "seed");
	must(ed25519_key_from_seed(seed, &sim->machine), "machine key");
	memcpy(&sim->from, &from, sizeof(from));
}

void sims_make(unsigned n)
{
	sims.items = must_have(calloc(n, sizeof(*sims.items)));
	sims.n = n;
	must(wg_key_generate(&sims.private), "key");
	must(wg_key_public(&sims.private, &sims.public), "key");
	base64url_encode(sims.public.bytes, WG_KEY_LEN, sims.public_text);
	for (unsigned i = 0; i < n; i++)
		make(&sims.items[i], i);
}

void sims_set_coordinator(const char *key)
{
	if (sims.items[0].signer.machine)
		return;
	if (ed25519_public_parse(ED25519_COORDINATOR, key, strlen(key), &sims.key) < 0)
		die("%s is no coordinator's key", key);
	for (unsigned i = 0; i < sims.n; i++)
		link_signer_init(&sims.items[i].signer, sims.items[i].machine, &sims.key);
}

bool sim_is_checked(const struct sim *sim)
{
	return sim->number % CHECKED_OF == 0;
}

/* ---- requests ---- */

static char *request_text(struct sim *sim, const char *path, const char *body)
{
	const struct httpsig_request request = {
		.method = "POST", .path = path, .body = body, .body_len = strlen(body)
	};
	struct httpsig_signed fields;

	must(link_sign(&sim->signer, &sim->asking, &request, clock_usec(CLOCK_REALTIME), &fields),
	     "sign");
	return must_have(text_printf(
		"POST %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n%s: %s\r\n%s: %s\r\n%s: %s\r\n"
		"%s: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		path, sims.host, httpsig_field_name(0), fields.field[0], httpsig_field_name(1),
		fields.field[1], httpsig_field_name(2), fields.field[2], httpsig_field_name(3),
		fields.field[3], strlen(body), body));
}

void sim_ask_again(struct sim *sim, struct conn *conn, const char *path, const char *body)
{
	char *text = request_text(sim, path, body);

	conn_send(conn, text, strlen(text));
}

struct conn *sim_ask(struct sim *sim, const char *path, const char *body,
		     const struct conn_ops *ops)
{
	const struct conn_config config = {
		.to = sims.to,
		.to_len = sims.to_len,
		.from = sim->from,
		.from_len = sizeof(struct sockaddr_in),
		.tls = sims.tls,
		.ops = ops,
		.userdata = sim,
	};
	struct conn *conn = conn_open(&config);

	sim_ask_again(sim, conn, path, body);
	return conn;
}

bool sim_is_to_sign_anew(struct sim *sim, const struct answer *answer)
{
	struct httpsig_epoch epoch;

	if (answer->status != 401 || !strstr(answer->text, "\"other-epoch\""))
		return false;
	must(httpsig_epoch_parse(answer->epoch, strlen(answer->epoch), &epoch), "epoch");
	sim->signer.audience.epoch = epoch;
	return true;
}

/* ---- lines ---- */

/* The text between key and the next quote. */
static void copy_text(const char *line, size_t len, const char *key, char *to, size_t size)
{
	const char *at = memmem(line, len, key, strlen(key)), *end;

	if (!at)
		die("a line without %s", key);
	at += strlen(key);
	end = memchr(at, '"', len - (size_t)(at - line));
	if (!end || (size_t)(end - at) >= size)
		die("%s: too long", key);
	memcpy(to, at, (size_t)(end - at));
	to[end - at] = '\0';
}

/* The generation, and tokens right behind it, as they are written (coord/map/write.c). */
static void read_state(struct sim *sim, const char *body, size_t len)
{
	static const char key[] = "\"generation\":";
	size_t head = len < 400 ? len : 400;
	const char *at = memmem(body, head, key, sizeof(key) - 1);

	if (!at)
		die("a map without generation");
	sim->generation = strtoull(at + sizeof(key) - 1, NULL, 10);
	if (!memmem(body, head, "\"tokens\":{", 10))
		return;
	copy_text(body, head, "\"tokens\":{\"policy\":\"", sim->policy, sizeof(sim->policy));
	copy_text(body, head, ",\"filter\":\"", sim->filter, sizeof(sim->filter));
	copy_text(body, head, ",\"ssh\":\"", sim->ssh, sizeof(sim->ssh));
}

static bool has_text(const char *body, size_t len, const char *text)
{
	return !text[0] || memmem(body, len, text, strlen(text));
}

static void look_for_awaited(struct sim *sim, const char *body, size_t len)
{
	if (!sims.awaited[0] || sim->told_at || !has_text(body, len, sims.awaited) ||
	    !has_text(body, len, sims.awaited_too))
		return;
	sim->told_at = bench_now();
	sims.n_told++;
}

static void read_peers(struct sim *sim, const char *body, size_t len)
{
	json_auto_t *map = json_loadb(body, len, 0, NULL);
	const json_t *peers = json_object_get(map, "peers"), *peer;
	size_t i;

	sim->wants_peers = false;
	sim->n_peers = 0;
	free(sim->peers);
	sim->peers = must_have(calloc(json_array_size(peers) + 1, sizeof(*sim->peers)));
	json_array_foreach (peers, i, peer) {
		const char *name = json_string_value(json_object_get(peer, "name"));

		/* They are called after their numbers (mesh.c). */
		if (!name || sscanf(name, "h%u", &sim->peers[i]) != 1 || sim->peers[i] >= sims.n)
			die("a peer without the name of one");
		sim->n_peers++;
	}
}

static void note_first(struct sim *sim)
{
	if (sim->first_at)
		return;
	sim->first_at = sims.last_at;
	sims.n_first++;
}

static bool is_type(const char *body, size_t len, const char *type)
{
	static const char key[] = "{\"type\":\"";
	size_t n = strlen(type);

	return len > sizeof(key) + n && memcmp(body, key, sizeof(key) - 1) == 0 &&
	       memcmp(body + sizeof(key) - 1, type, n) == 0 && body[sizeof(key) - 1 + n] == '"';
}

static void take_map(struct sim *sim, const char *body, size_t len)
{
	if (is_type(body, len, "full")) {
		sims.n_full++;
		read_state(sim, body, len);
		if (sim->wants_peers)
			read_peers(sim, body, len);
		note_first(sim);
	} else if (is_type(body, len, "delta")) {
		sims.n_delta++;
		read_state(sim, body, len);
		look_for_awaited(sim, body, len);
		note_first(sim);
	} else if (is_type(body, len, "keepalive")) {
		sims.n_keepalive++;
	} else if (!is_type(body, len, "end") || !sims.ending) {
		die("an unexpected line: %.*s", (int)(len < 200 ? len : 200), body);
	}
}

static void take_hello(struct sim *sim, const char *line, size_t len)
{
	copy_text(line, len, "\"for\":\"", sim->id, sizeof(sim->id));
	sim->is_streaming = true;
	sims.n_hello++;
	sims.n_streaming++;
}

static void take_line(struct sim *sim, const char *line, size_t len)
{
	sims.last_at = bench_now();
	sims.bytes += len + 1;
	if (sim->n_lines++ == 0)
		take_hello(sim, line, len);
	else if (len > FRAME_MAC_CHARS + 1)
		take_map(sim, line + FRAME_MAC_CHARS + 1, len - FRAME_MAC_CHARS - 1);
	else
		die("a line without authenticator");
}

static void keep(struct sim *sim, const char *data, size_t len)
{
	if (sim->len + len > sim->size) {
		sim->size = 2 * (sim->len + len);
		sim->line = must_have(realloc(sim->line, sim->size));
	}
	memcpy(sim->line + sim->len, data, len);
	sim->len += len;
}

static void drop_line(struct sim *sim)
{
	free(sim->line);
	sim->line = NULL;
	sim->len = sim->size = 0;
}

/* ---- the stream ---- */

static int on_object(enum link_object type, const json_t *object, void *userdata, char **reterr)
{
	return 0;
}

static void on_hello(void *userdata)
{
}

static void check(struct sim *sim, const char *data, size_t len)
{
	const struct link_stream_config config = {
		.coordinator = sims.key,
		.machine = *ed25519_key_public(sim->machine),
		.nonce = sim->asking.nonce,
		.ephemeral = sims.private,
		.node_id = sim->id,
		.on_hello = on_hello,
		.on_object = on_object,
		.userdata = sim,
	};
	char *error = NULL;
	int r;

	if (!sim->checked)
		must(link_stream_new(&config, &sim->checked), "stream");
	r = link_stream_take(sim->checked, data, len, &error);
	if (r < 0)
		die("h%u: a line is not as it should be: %s", sim->number,
		    error ? error : strerror(-r));
}

static void on_data(const char *data, size_t len, void *userdata)
{
	struct sim *sim = userdata;
	const char *whole = data, *end;
	size_t whole_len = len;

	while (sim->stream && (end = memchr(data, '\n', len))) {
		size_t n = (size_t)(end - data);

		if (sim->len > 0) {
			keep(sim, data, n);
			take_line(sim, sim->line, sim->len);
			drop_line(sim);
		} else {
			take_line(sim, data, n);
		}
		data = end + 1;
		len -= n + 1;
	}
	if (len > 0)
		keep(sim, data, len);
	/* Its id is known from the first line on. */
	if (sim_is_checked(sim))
		check(sim, whole, whole_len);
}

static const char *map_body(const struct sim *sim, bool resume, char *buf, size_t size)
{
	int n = snprintf(buf, size, "{\"version\":1,\"ephemeral\":\"%s\"", sims.public_text);

	if (resume)
		n += snprintf(
			buf + n, size - (size_t)n,
			",\"resume\":{\"generation\":%llu,\"policy\":\"%s\",\"filter\":\"%s\","
			"\"ssh\":\"%s\"}",
			(unsigned long long)sim->generation, sim->policy, sim->filter, sim->ssh);
	snprintf(buf + n, size - (size_t)n, "}");
	return buf;
}

static void forget_stream(struct sim *sim)
{
	sims.n_streaming -= sim->is_streaming;
	sim->is_streaming = false;
	sim->stream = NULL;
	sim->checked = link_stream_free(sim->checked);
	sim->n_lines = 0;
	drop_line(sim);
}

static void on_refused(const struct answer *answer, void *userdata)
{
	struct sim *sim = userdata;
	char body[512];

	if (answer->status == 200) {
		if (!sims.ending)
			die("h%u: its stream has ended", sim->number);
		sim_disconnect(sim);
		return;
	}
	if (!sim_is_to_sign_anew(sim, answer))
		die("h%u: refused with %u: %s", sim->number, answer->status, answer->text);
	sim_ask_again(sim, sim->stream, "/v1/map",
		      map_body(sim, sim->generation != 0, body, sizeof(body)));
}

static void on_end(const char *why, void *userdata)
{
	struct sim *sim = userdata;

	if (!sims.ending)
		die("h%u: the connection: %s", sim->number, why);
	forget_stream(sim);
}

void sim_connect(struct sim *sim, bool resume)
{
	static const struct conn_ops ops = { on_data, on_refused, on_end };
	char body[512];

	if (!resume)
		sim->generation = 0;
	sim->stream = sim_ask(sim, "/v1/map", map_body(sim, resume, body, sizeof(body)), &ops);
}

void sim_disconnect(struct sim *sim)
{
	conn_close(sim->stream);
	forget_stream(sim);
}

void sim_keep_peers(struct sim *sim)
{
	sim->wants_peers = true;
}

/* ---- all of them ---- */

void sims_reset(void)
{
	sims.n_hello = sims.n_full = sims.n_delta = sims.n_keepalive = sims.bytes = 0;
	sims.n_first = sims.n_told = 0;
	sims.awaited[0] = sims.awaited_too[0] = '\0';
	for (unsigned i = 0; i < sims.n; i++)
		sims.items[i].first_at = sims.items[i].told_at = 0;
}

void sims_await(const char *text, const char *too)
{
	snprintf(sims.awaited, sizeof(sims.awaited), "%s", text);
	snprintf(sims.awaited_too, sizeof(sims.awaited_too), "%s", too ? too : "");
}
