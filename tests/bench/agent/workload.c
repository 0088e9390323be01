#include "tests/bench/agent/workload.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/agent/bench.h"

#define FIRST_ADDRESS ((100u << 24 | 64u << 16) + 1024)

void workload_each(void (*fn)(const struct workload *w))
{
	static const struct workload sizes[] = {
		{ 100, 100 },  { 1000, 100 },  { 10000, 100 },
		{ 100, 1000 }, { 1000, 1000 }, { 10000, 1000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			fn(&sizes[i]);
			exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
			bench_die("one size failed");
	}
}

unsigned workload_classes(const struct workload *w)
{
	/* 10, 40 and 200 for 10, 100 and 1,000 rules: 4, 10 and 20 rules for a peer. */
	return w->n_rules >= 1000 ? w->n_rules / 5 : w->n_rules >= 100 ? w->n_rules * 2 / 5 : 10;
}

uint32_t workload_address(unsigned peer)
{
	return FIRST_ADDRESS + peer;
}

unsigned workload_rule_class(const struct workload *w, unsigned rule, unsigned k)
{
	unsigned n = workload_classes(w);

	return (rule + k * (n / WORKLOAD_CLASSES)) % n;
}

unsigned workload_rule_ports(unsigned rule, uint16_t *ret_first)
{
	*ret_first = (uint16_t)(1000 + rule % 1000 * 60);
	return 1 + rule % 3;
}

unsigned workload_span(unsigned k)
{
	return k < 2 ? 0 : 9;
}

uint16_t workload_port(const struct workload *w, unsigned peer)
{
	uint16_t first;

	/* The rule of the same number as the class is for it (k = 0). */
	workload_rule_ports(peer % workload_classes(w), &first);
	return first;
}

static void write_address(FILE *out, const char *before, uint32_t addr)
{
	fprintf(out, "%s\"%u.%u.%u.%u\"", before, addr >> 24, addr >> 16 & 255, addr >> 8 & 255,
		addr & 255);
}

static void write_peers(FILE *out, const struct workload *w)
{
	for (unsigned i = 0; i < w->n_peers; i++) {
		struct wg_key key;
		char text[WG_KEY_B64LEN];

		memset(key.bytes, 7, sizeof(key.bytes));
		memcpy(key.bytes, &i, sizeof(i));
		wg_key_to_string(&key, text);
		fprintf(out,
			"%s\n{\"id\":\"n%u\",\"name\":\"h%u\",\"node_key\":\"%s\",\"addresses\":[",
			i ? "," : "", i + 2, i + 2, text);
		write_address(out, "", workload_address(i));
		fprintf(out, "],\"endpoints\":[\"192.0.2.%u:%u\"]}", 1 + i % 250, 1024 + i % 60000);
	}
}

static void write_sources(FILE *out, const struct workload *w, unsigned rule)
{
	unsigned n = workload_classes(w);
	const char *before = "";

	for (unsigned k = 0; k < WORKLOAD_CLASSES; k++) {
		for (unsigned i = workload_rule_class(w, rule, k); i < w->n_peers; i += n) {
			write_address(out, before, workload_address(i));
			before = ",";
		}
	}
}

static void write_rule(FILE *out, const struct workload *w, unsigned rule)
{
	uint16_t first;
	unsigned n = workload_rule_ports(rule, &first);

	fprintf(out, "%s\n{\"src\":[", rule ? "," : "");
	write_sources(out, w, rule);
	fputs("],\"dst\":[", out);
	for (unsigned k = 0; k < n; k++)
		fprintf(out, "%s{\"ip\":\"" WORKLOAD_SELF "\",\"ports\":[%u,%u]}", k ? "," : "",
			first + 20 * k, first + 20 * k + workload_span(k));
	fprintf(out, "],\"proto\":[6,17],\"origin\":\"acls[%u]\"}", rule);
}

char *workload_text(const struct workload *w, bool extra_rule, size_t *ret_len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		bench_die("no memory");
	fputs("{\"type\":\"full\",\"version\":1,\"for\":\"n1\",\"generation\":1,"
	      "\"self\":{\"id\":\"n1\",\"name\":\"self\",\"addresses\":[\"" WORKLOAD_SELF "\"]},"
	      "\"mesh\":{\"domain\":\"mesh.example\",\"prefixes\":[\"" WORKLOAD_PREFIX "\"]},"
	      "\"peers\":[",
	      out);
	write_peers(out, w);
	fputs("],\"packet_filter\":[", out);
	for (unsigned i = 0; i < w->n_rules; i++)
		write_rule(out, w, i);
	if (extra_rule) {
		fputs(",{\"src\":[", out);
		write_sources(out, w, 0);
		fputs("],\"dst\":[{\"ip\":\"" WORKLOAD_SELF "\",\"ports\":[65000,65000]}]}", out);
	}
	fputs("],\"ssh_rules\":[]}", out);
	if (fclose(out) != 0)
		bench_die("no memory");
	return text;
}

struct netmap *workload_map(const struct workload *w, bool extra_rule)
{
	size_t len;
	_cleanup_free_ char *text = workload_text(w, extra_rule, &len), *error = NULL;
	struct netmap *map = NULL;

	if (netmap_parse(text, len, "map", &error, &map) < 0)
		bench_die("%s", error ? error : "no memory");
	return map;
}
