/*
 * The coordinator with thousands of agents: bench-coord enrol|measure, started by
 * tests/bench/coord.sh, which prepares a place for it and makes a table of what it prints.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/text.h"
#include "tests/bench/coord/bench.h"
#include "tests/bench/coord/measure.h"
#include "tests/bench/coord/sim.h"

static unsigned number(const char *text)
{
	uint64_t value;

	if (parse_u64(text, 1000000, &value) < 0 || value == 0)
		die("%s: expected a number", text);
	return (unsigned)value;
}

/* As many descriptors as may be: one for each agent on either side. */
static void raise_limit(unsigned n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("RLIMIT_NOFILE");
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < n + 2000)
		die("%u agents take %u descriptors; there may be %lu", n, n + 2000,
		    (unsigned long)limit.rlim_cur);
}

static void set_address(const char *text)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char address[64];
	const char *colon = strrchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(address))
		die("%s: expected ADDRESS:PORT", text);
	memcpy(address, text, (size_t)(colon - text));
	address[colon - text] = '\0';
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		die("%s: expected an IPv4 address", address);
	to.sin_port = htons((uint16_t)number(colon + 1));
	memcpy(&sims.to, &to, sizeof(to));
	sims.to_len = sizeof(to);
	snprintf(sims.host, sizeof(sims.host), "%s", text);
}

static const struct option long_options[] = {
	{ "agents", required_argument, NULL, 'n' },
	{ "changes", required_argument, NULL, 'c' },
	{ "wide-changes", required_argument, NULL, 'w' },
	{ "policies", required_argument, NULL, 'p' },
	{ "idle", required_argument, NULL, 'i' },
	{ "rest", required_argument, NULL, 'r' },
	{ "connect", required_argument, NULL, 'a' },
	{ "coordinator", required_argument, NULL, 'x' },
	{ "log", required_argument, NULL, 'l' },
	{ "plain", no_argument, NULL, 'P' },
	{ "tls", no_argument, NULL, 't' },
	{ 0 },
};

static void parse_options(int argc, char **argv, struct measure_options *options, unsigned *n)
{
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'n':
			*n = number(optarg);
			break;
		case 'c':
			options->n_changes = number(optarg);
			break;
		case 'w':
			options->n_wide_changes = number(optarg);
			break;
		case 'p':
			options->n_policies = number(optarg);
			break;
		case 'i':
			options->idle_sec = number(optarg);
			break;
		case 'r':
			options->rest_sec = number(optarg);
			break;
		case 'a':
			set_address(optarg);
			break;
		case 'x':
			options->program = optarg;
			break;
		case 'l':
			options->log = optarg;
			break;
		case 'P':
		case 't':
			sims.tls = c == 't';
			break;
		default:
			exit(2);
		}
	}
	if (optind + 1 != argc || !options->program || !sims.to_len)
		die("expected --coordinator, --connect, and enrol or measure");
}

int main(int argc, char **argv)
{
	struct measure_options options = { .n_changes = 50,
					   .n_wide_changes = 10,
					   .n_policies = 5,
					   .idle_sec = 20,
					   .rest_sec = 40,
					   .log = "/dev/null" };
	unsigned n = 10000;

	parse_options(argc, argv, &options, &n);
	signal(SIGPIPE, SIG_IGN);
	raise_limit(n);
	sims_make(n);
	if (strcmp(argv[optind], "enrol") == 0)
		measure_enrol(&options);
	else if (strcmp(argv[optind], "measure") == 0)
		measure_all(&options);
	else
		die("%s: expected enrol or measure", argv[optind]);
	return 0;
}
