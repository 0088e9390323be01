/* What the agent's benchmarks share: clock, medians, namespaces, other programs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

/* Rounds of which the median is printed. */
#define BENCH_ROUNDS 5

void bench_die(const char *fmt, ...) _printf_(1, 2) __attribute__((noreturn));

double bench_now_ms(void); /* of the clock on the wall, monotonic */
/* Sorts the values. */
double bench_median(double *values, size_t n);

/* From here on, this process is in a network namespace of its own. */
void bench_new_namespace(void);
/* Run a shell command; dies when it fails. Returns how long it took, ms. */
double bench_run(const char *fmt, ...) _printf_(1, 2);
/* Of this run alone, for files of the programs that it is compared with; gone at the end. */
const char *bench_folder(void);

/* The benchmarks, each a section of the report. */
void bench_deltas(void);
void bench_rules(void);
void bench_packets(void);
void bench_kernel(void);
