#include "tests/bench/coord/mesh.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/clock.h"
#include "common/sha256.h"
#include "common/text.h"
#include "common/text_stream.h"
#include "tests/bench/coord/admin.h"
#include "tests/bench/coord/bench.h"
#include "tests/bench/coord/sim.h"

#define N_USERS	   1000u
#define N_GROUPS   50u
#define N_TAGS	   100u
#define N_RULES	   200u
#define N_MONITORS 2u
#define N_ADMINS   4u

#define MAX_ENROLLING 64u
#define TIMEOUT_USEC  (600 * USEC_PER_SEC)

static char *user_keys[N_USERS], *tag_keys[N_TAGS], *monitor_key;

/* ---- policy ---- */

static void write_names(FILE *f)
{
	fprintf(f, "{\n\t\"groups\": {\n");
	for (unsigned g = 0; g < N_GROUPS; g++) {
		fprintf(f, "\t\t\"group:g%u\": [", g);
		for (unsigned u = g; u < N_USERS; u += N_GROUPS)
			fprintf(f, "%s\"u%u@example.com\"", u == g ? "" : ", ", u);
		fprintf(f, "],\n");
	}
	fprintf(f, "\t\t\"group:admins\": [");
	for (unsigned u = 0; u < N_ADMINS; u++)
		fprintf(f, "%s\"u%u@example.com\"", u ? ", " : "", u * 7);
	fprintf(f, "],\n\t},\n\t\"tagOwners\": {\n\t\t\"tag:monitor\": [\"group:admins\"],\n");
	for (unsigned t = 0; t < N_TAGS; t++)
		fprintf(f, "\t\t\"tag:t%u\": [\"group:admins\"],\n", t);
	fprintf(f, "\t},\n");
}

/* Three of four are of people, who reach two kinds of servers; the others are among servers. */
static void write_rules(FILE *f, unsigned port)
{
	fprintf(f, "\t\"acls\": [\n");
	for (unsigned r = 0; r < N_RULES; r++)
		if (r % 4 == 3)
			fprintf(f,
				"\t\t{\"action\": \"accept\", \"src\": [\"tag:t%u\"], "
				"\"dst\": [\"tag:t%u:5432\"]},\n",
				r / 4 % N_TAGS, (r / 4 * 13 + 7) % N_TAGS);
		else
			fprintf(f,
				"\t\t{\"action\": \"accept\", \"src\": [\"group:g%u\"], "
				"\"dst\": [\"tag:t%u:22,443\", \"tag:t%u:8000-8%03u\"]},\n",
				r % N_GROUPS, r * 7 % N_TAGS, (r * 13 + 5) % N_TAGS, r);
	fprintf(f,
		"\t\t{\"action\": \"accept\", \"src\": [\"group:admins\"], \"dst\": [\"*:22\"]},\n"
		"\t\t{\"action\": \"accept\", \"src\": [\"tag:monitor\"], \"dst\": [\"*:%u\"]},\n"
		"\t\t{\"action\": \"accept\", \"src\": [\"autogroup:member\"], "
		"\"dst\": [\"autogroup:self:*\"]},\n"
		"\t],\n",
		port);
}

static void write_ssh(FILE *f)
{
	fprintf(f, "\t\"ssh\": [\n");
	for (unsigned r = 0; r < N_RULES / 10; r++)
		fprintf(f,
			"\t\t{\"action\": \"accept\", \"src\": [\"group:g%u\"], "
			"\"dst\": [\"tag:t%u\"], \"users\": [\"root\", \"autogroup:nonroot\"]},\n",
			r % N_GROUPS, r * 7 % N_TAGS);
	fprintf(f, "\t\t{\"action\": \"accept\", \"src\": [\"autogroup:member\"], "
		   "\"dst\": [\"autogroup:self\"], \"users\": [\"root\"]},\n\t],\n");
	fprintf(f,
		"\t\"tests\": [{\"src\": \"u0@example.com\", \"accept\": [\"tag:t1:22\"]}],\n}\n");
}

char *mesh_policy(unsigned port)
{
	struct text_stream text;

	must(text_stream_open(&text), "policy");
	write_names(text.file);
	write_rules(text.file, port);
	write_ssh(text.file);
	return must_have(text_stream_close(&text));
}

const char *mesh_port_text(unsigned port)
{
	static char text[16];

	snprintf(text, sizeof(text), "[%u,%u]", port, port);
	return text;
}

void mesh_begin_policy(unsigned port)
{
	_cleanup_free_ char *text = mesh_policy(port);

	admin_begin("PUT", "/v1/admin/policy", text);
}

/* ---- people and keys ---- */

static char *make_key(const char *member)
{
	_cleanup_free_ char *body =
		must_have(text_printf("{%s,\"reusable\":true,\"expires_in\":\"never\"}", member));
	json_auto_t *answer = admin_ask("POST", "/v1/admin/authkeys", body);

	return must_have(strdup(json_string_value(json_object_get(answer, "key"))));
}

static void add_user(unsigned u)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"login\":\"u%u@example.com\",\"name\":\"User Number %u\"}",
		 u, u);
	json_decref(admin_ask("POST", "/v1/admin/users", body));
}

static void make_keys(void)
{
	char member[64];

	for (unsigned u = 0; u < N_USERS; u++) {
		snprintf(member, sizeof(member), "\"user\":\"u%u@example.com\"", u);
		user_keys[u] = make_key(member);
	}
	for (unsigned t = 0; t < N_TAGS; t++) {
		snprintf(member, sizeof(member), "\"tags\":[\"tag:t%u\"]", t);
		tag_keys[t] = make_key(member);
	}
	monitor_key = make_key("\"tags\":[\"tag:monitor\"]");
}

/* The policy has tests, which are about people there are; keys are for tags that it has. */
void mesh_set_up(void)
{
	for (unsigned u = 0; u < N_USERS; u++)
		add_user(u);
	mesh_begin_policy(9100);
	if (!conn_run(admin_is_answered, bench_now() + TIMEOUT_USEC))
		die("the policy: no answer");
	make_keys();
}

/* ---- nodes ---- */

bool mesh_is_monitor(unsigned number)
{
	return number + N_MONITORS >= sims.n;
}

bool mesh_is_open(unsigned number)
{
	return number % 3 != 0;
}

const char *mesh_endpoint(unsigned number, unsigned port, char buf[32])
{
	const struct sockaddr_in *from = (const struct sockaddr_in *)&sims.items[number].from;
	uint32_t a = ntohl(from->sin_addr.s_addr);

	/* Behind NAT: an address of its own network. */
	if (!mesh_is_open(number))
		a = 0x0a000000u | (a & 0xffffff);
	snprintf(buf, 32, "%u.%u.%u.%u:%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, port);
	return buf;
}

static const char *key_of(unsigned number)
{
	if (mesh_is_monitor(number))
		return monitor_key;
	return number % 2 ? tag_keys[number / 2 % N_TAGS] : user_keys[number / 2 % N_USERS];
}

/* "ssh-ed25519 AAAA...": a type and a key, each behind its length (RFC 8709). */
static void host_key(const uint8_t key[32], char *buf, size_t size)
{
	uint8_t blob[51] = "\0\0\0\013ssh-ed25519\0\0\0\040";
	char text[BASE64_LEN(sizeof(blob)) + 1];

	memcpy(blob + 19, key, 32);
	snprintf(buf, size, "ssh-ed25519 %s", base64_encode(blob, sizeof(blob), text));
}

static char *enrol_body(unsigned number)
{
	uint8_t key[SHA256_LEN];
	char node_key[BASE64_LEN(32) + 1], ssh_key[128], endpoint[32];
	unsigned salted[2] = { number, 1 };

	must(sha256(salted, sizeof(salted), key), "key");
	host_key(key, ssh_key, sizeof(ssh_key));
	return must_have(text_printf(
		"{\"version\":1,\"node_key\":\"%s\",\"hostname\":\"h%u\",\"os\":\"Debian "
		"GNU/Linux 12 (bookworm)\",\"agent\":\"0.1.0\",\"ssh\":true,\"ssh_host_keys\":"
		"[\"%s\"],\"listen_port\":51820,\"endpoints\":[\"%s\"],"
		"\"configured_endpoints\":[],\"auth_key\":\"%s\"}",
		base64_encode(key, sizeof(key), node_key), number, ssh_key,
		mesh_endpoint(number, 51820, endpoint), key_of(number)));
}

/* ---- enrolling ---- */

static struct conn **enrolling;
static unsigned n_enrolling, n_enrolled;

static void on_answer(const struct answer *answer, void *userdata)
{
	struct sim *sim = userdata;
	_cleanup_free_ char *body = NULL;

	if (sim_is_to_sign_anew(sim, answer)) {
		body = enrol_body(sim->number);
		sim_ask_again(sim, enrolling[sim->number], "/v1/enrol", body);
		return;
	}
	if (answer->status != 200)
		die("h%u is not enrolled: %u: %s", sim->number, answer->status, answer->text);
	enrolling[sim->number] = conn_close(enrolling[sim->number]);
	n_enrolling--;
	n_enrolled++;
}

static void on_end(const char *why, void *userdata)
{
	die("enrolling h%u: the connection: %s", ((struct sim *)userdata)->number, why);
}

static bool has_place(void)
{
	return n_enrolling < MAX_ENROLLING;
}

static bool all_are_in(void)
{
	return n_enrolled == sims.n;
}

void mesh_enrol(void)
{
	static const struct conn_ops ops = { .on_answer = on_answer, .on_end = on_end };
	uint64_t until = bench_now() + TIMEOUT_USEC;

	enrolling = must_have(calloc(sims.n, sizeof(struct conn *)));
	n_enrolled = 0;
	for (unsigned i = 0; i < sims.n; i++) {
		_cleanup_free_ char *body = enrol_body(i);

		if (!conn_run(has_place, until))
			die("enrolling takes too long");
		n_enrolling++;
		enrolling[i] = sim_ask(&sims.items[i], "/v1/enrol", body, &ops);
	}
	if (!conn_run(all_are_in, until))
		die("enrolling takes too long");
	free(enrolling);
}
