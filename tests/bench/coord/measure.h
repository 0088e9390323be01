/* What is measured, in this order. Each prints lines of a name, a tab and a figure. */
#pragma once

struct measure_options {
	const char *program, *log; /* of the coordinator */
	unsigned n_changes;	   /* endpoints of ordinary nodes */
	unsigned n_wide_changes;   /* of nodes that everybody sees */
	unsigned n_policies;
	unsigned idle_sec;
	unsigned rest_sec; /* before memory is looked at: what is free goes back to the system */
};

/* The mesh is made anew: a coordinator that nobody has enrolled with. */
void measure_enrol(const struct measure_options *options);
/* With the store that there is, in which all are enrolled. */
void measure_all(const struct measure_options *options);
