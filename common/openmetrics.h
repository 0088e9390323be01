/*
 * Writing OpenMetrics text (the specification 1.0.0, as Prometheus reads it). Only counters, gauges
 * and histograms: their text means the same to readers of Prometheus' older text format, such as
 * node_exporter's textfile collector.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct om_family {
	const char *name; /* without "_total" and the like */
	const char *type; /* "counter", "gauge", "histogram" */
	const char *unit; /* the end of the name, behind '_'; NULL: none */
	const char *help; /* one line */
};

/* A label; value is any text. */
struct om_label {
	const char *name, *value;
};

/* The lines that come before the samples of a family; all of these have to follow at once. */
void om_begin(FILE *f, const struct om_family *family);
/* name{labels} value; suffix: "", "_total", "_bucket", ... label may be NULL; two at most. */
void om_number(FILE *f, const struct om_family *family, const char *suffix,
	       const struct om_label *label, const struct om_label *second, uint64_t value);
/* The same of a time or span, in seconds. */
void om_seconds(FILE *f, const struct om_family *family, const char *suffix,
		const struct om_label *label, const struct om_label *second, uint64_t usec);
void om_end(FILE *f);
