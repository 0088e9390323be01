/* Amounts and times as people read them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CLI_FORMAT_LEN 32

/* Each writes at most CLI_FORMAT_LEN bytes into buf and returns it. */

/* "512 B", "1.2 kB", "35 MB": powers of 1000. */
char *cli_format_bytes(uint64_t bytes, char *buf);
/* "35 s", "5 min", "2 h 5 min", "3 d 4 h": the two largest units, one below an hour
 * and above a week. */
char *cli_format_span(uint64_t usec, char *buf);
/* "35 s ago", "in 2 h 5 min", "now". */
char *cli_format_relative(uint64_t usec, uint64_t now_usec, char *buf);
