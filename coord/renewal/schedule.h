/* When providers are asked about people. Pure. */
#pragma once

#include <stdint.h>

/*
 * From now until somebody is asked about whom the provider last knew at `confirmed`: every at most,
 * and up to a tenth less, by the id, so that those who came at the same time are spread. Clocks
 * that were set back do not put it off. Microseconds.
 */
uint64_t renewal_wait(uint64_t confirmed, uint64_t every, const char *id, uint64_t now);
/*
 * From now until the next try after so many failures, 1 and more: twice as long each time, every at
 * most, and up to half of it less. random: 64 random bits.
 */
uint64_t renewal_retry(unsigned failures, uint64_t every, uint64_t random);
