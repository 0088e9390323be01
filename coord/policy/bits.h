/* Rows of bits: a matrix whose columns grow together. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bit_matrix {
	uint64_t *words;
	size_t n_rows;
	size_t stride; /* words in a row */
};
void bit_matrix_done(struct bit_matrix *m);

/* Make it at least so large; what is there stays, what is new is zero. Return: 0, -ENOMEM. */
int bit_matrix_resize(struct bit_matrix *m, size_t n_rows, size_t stride);

static inline uint64_t *bit_row(const struct bit_matrix *m, size_t row)
{
	return m->words + row * m->stride;
}

static inline bool bit_get(const struct bit_matrix *m, size_t row, size_t column)
{
	return bit_row(m, row)[column / 64] >> (column % 64) & 1;
}

static inline void bit_set(struct bit_matrix *m, size_t row, size_t column)
{
	bit_row(m, row)[column / 64] |= (uint64_t)1 << (column % 64);
}

static inline void bit_clear(struct bit_matrix *m, size_t row, size_t column)
{
	bit_row(m, row)[column / 64] &= ~((uint64_t)1 << (column % 64));
}

void bits_or(uint64_t *to, const uint64_t *from, size_t n_words);
