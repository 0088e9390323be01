#include "tests/bench/coord/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

void die(const char *fmt, ...)
{
	va_list ap;

	fputs("bench-coord: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void *must_have(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

int must(int r, const char *what)
{
	if (r < 0)
		die("%s: %s", what, strerror(-r));
	return r;
}

uint64_t bench_now(void)
{
	return clock_usec(CLOCK_MONOTONIC);
}

void samples_add(struct samples *samples, double value)
{
	if (samples->n == samples->size) {
		samples->size = samples->size ? 2 * samples->size : 64;
		samples->items =
			must_have(realloc(samples->items, samples->size * sizeof(*samples->items)));
	}
	samples->items[samples->n++] = value;
}

void samples_done(struct samples *samples)
{
	free(samples->items);
	*samples = (struct samples){ 0 };
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double samples_quantile(struct samples *samples, double share)
{
	size_t at;

	if (samples->n == 0)
		return 0;
	qsort(samples->items, samples->n, sizeof(*samples->items), compare);
	at = (size_t)(share * (double)samples->n);
	return samples->items[at < samples->n ? at : samples->n - 1];
}

double samples_mean(const struct samples *samples)
{
	double sum = 0;

	for (size_t i = 0; i < samples->n; i++)
		sum += samples->items[i];
	return samples->n ? sum / (double)samples->n : 0;
}
