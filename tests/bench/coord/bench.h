/* What the parts of the coordinator's benchmark share: what fails ends it, with a text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

_Noreturn void die(const char *fmt, ...) _printf_(1, 2);
/* p, which is not NULL. */
void *must_have(void *p);
/* r, which is no negative errno. */
int must(int r, const char *what);
/* Microseconds of CLOCK_MONOTONIC. */
uint64_t bench_now(void);

/* Some values, of which the middle and the worst are wanted. Zero-initialise. */
struct samples {
	double *items;
	size_t n, size;
};
void samples_add(struct samples *samples, double value);
void samples_done(struct samples *samples);
/* share: 0.5 is the median, 1 the highest. Sorts them. 0 if there are none. */
double samples_quantile(struct samples *samples, double share);
double samples_mean(const struct samples *samples);
