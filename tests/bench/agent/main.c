/*
 * bench-kernel: what the agent's filter and WireGuard side cost, beside nft(8) and wg(8) on the
 * same contents. Needs root; works in network namespaces of its own.
 */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"
#include "tests/bench/agent/bench.h"

static char folder[] = "/tmp/bench-kernel.XXXXXX";
static pid_t folder_owner;

void bench_die(const char *fmt, ...)
{
	va_list args;

	fputs("bench-kernel: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

double bench_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double bench_median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare_doubles);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void bench_new_namespace(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		bench_die("no new network namespace (needs root): %m");
}

double bench_run(const char *fmt, ...)
{
	_cleanup_free_ char *command = NULL;
	double start;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&command, fmt, args) < 0)
		bench_die("no memory");
	va_end(args);
	start = bench_now_ms();
	if (system(command) != 0)
		bench_die("failed: %s", command);
	return bench_now_ms() - start;
}

const char *bench_folder(void)
{
	return folder;
}

/* Sizes are measured by children, which end before. */
static void remove_folder(void)
{
	if (getpid() == folder_owner)
		bench_run("rm -rf %s", folder);
}

static void make_folder(void)
{
	if (!mkdtemp(folder))
		bench_die("no folder %s: %m", folder);
	folder_owner = getpid();
	atexit(remove_folder);
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		void (*run)(void);
	} sections[] = {
		{ "rules", bench_rules },
		{ "deltas", bench_deltas },
		{ "packets", bench_packets },
		{ "kernel", bench_kernel },
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(sections); i++) {
		if (strcmp(argv[1], sections[i].name) == 0) {
			make_folder();
			sections[i].run();
			return 0;
		}
	}
	fputs("Usage: bench-kernel deltas|rules|packets|kernel\n"
	      "  deltas   one peer of the map changes, beside a whole map (needs no root)\n"
	      "  rules    loading and changing the table, beside nft -f\n"
	      "  packets  what the table costs a packet, beside a rule for each ACL\n"
	      "  kernel   all that a map asks for, beside wg syncconf and nft -f (needs "
	      "WireGuard)\n",
	      stderr);
	return 2;
}
