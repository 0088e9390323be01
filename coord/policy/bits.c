#include "coord/policy/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void bit_matrix_done(struct bit_matrix *m)
{
	free(m->words);
	*m = (struct bit_matrix){ 0 };
}

int bit_matrix_resize(struct bit_matrix *m, size_t n_rows, size_t stride)
{
	uint64_t *words;

	if (n_rows < m->n_rows)
		n_rows = m->n_rows;
	if (stride < m->stride)
		stride = m->stride;
	if (n_rows == m->n_rows && stride == m->stride)
		return 0;
	words = calloc(n_rows * stride + 1, sizeof(*words));
	if (!words)
		return -ENOMEM;
	for (size_t i = 0; m->stride && i < m->n_rows; i++)
		memcpy(words + i * stride, bit_row(m, i), m->stride * sizeof(*words));
	free(m->words);
	*m = (struct bit_matrix){ .words = words, .n_rows = n_rows, .stride = stride };
	return 0;
}

void bits_or(uint64_t *to, const uint64_t *from, size_t n_words)
{
	for (size_t i = 0; i < n_words; i++)
		to[i] |= from[i];
}
