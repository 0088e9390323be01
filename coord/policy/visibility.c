/* The matrices of classes: what follows from the marks, and who sees whom. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coord/policy/engine.h"

bool dst_hits(const struct policy_engine *e, const struct engine_dst *dst, uint32_t class)
{
	return bit_get(&e->marks, dst->mark, class) ||
	       (dst->exit && bit_get(&e->marks, mark_of(e, MARK_EXIT), class));
}

static bool bears_any(const struct policy_engine *e, const uint32_t *marks, size_t n,
		      uint32_t class)
{
	for (size_t i = 0; i < n; i++)
		if (bit_get(&e->marks, marks[i], class))
			return true;
	return false;
}

/* One column */

static void fill_sets(struct policy_engine *e, uint32_t class)
{
	for (size_t i = 0; i < e->n_sets; i++) {
		const struct source_set *set = &e->sets[i];

		if (bears_any(e, set->touch_marks, set->n_touch_marks, class))
			bit_set(&e->touch, i, class);
		if (bears_any(e, set->member_marks, set->n_member_marks, class))
			bit_set(&e->member, i, class);
	}
}

static void fill_rules(struct policy_engine *e, uint32_t class)
{
	for (size_t i = 0; i < e->n_rules; i++) {
		const struct engine_rule *rule = &e->rules[i];
		size_t k = 0;

		while (k < rule->n_dst && !dst_hits(e, &rule->dst[k], class))
			k++;
		if (k < rule->n_dst)
			bit_set(&e->dst, i, class);
		if (rule->self && set_has_self(e, rule->set, class))
			bit_set(&e->self, 0, class);
	}
	for (size_t i = 0; i < e->n_ssh; i++) {
		const struct ssh_rule_model *rule = e->ssh[i].rule;

		for (size_t k = 0; k < rule->n_dst; k++)
			if (bit_get(&e->marks, rule->dst[k].sel, class))
				bit_set(&e->ssh_dst, i, class);
	}
}

static void see_class(struct policy_engine *e, uint32_t class)
{
	uint64_t *row = bit_row(&e->see, class);

	for (size_t i = 0; i < e->n_rules; i++) {
		if (bit_get(&e->dst, i, class))
			bits_or(row, bit_row(&e->touch, e->rules[i].set), e->see.stride);
		if (bit_get(&e->touch, e->rules[i].set, class))
			bits_or(row, bit_row(&e->dst, i), e->see.stride);
	}
	for (uint32_t other = 0; other < e->n_classes; other++)
		if (bit_get(&e->see, class, other))
			bit_set(&e->see, other, class);
}

static void fill_marks(struct policy_engine *e, uint32_t class)
{
	const struct id_list *marks = &e->classes[class].marks;

	for (size_t i = 0; i < marks->n; i++)
		bit_set(&e->marks, marks->items[i], class);
}

void engine_fill_class(struct policy_engine *e, uint32_t class)
{
	fill_marks(e, class);
	fill_sets(e, class);
	fill_rules(e, class);
	see_class(e, class);
}

static void empty_column(struct bit_matrix *m, uint32_t class)
{
	for (size_t i = 0; i < m->n_rows; i++)
		bit_clear(m, i, class);
}

void engine_empty_class(struct policy_engine *e, uint32_t class)
{
	empty_column(&e->marks, class);
	empty_column(&e->touch, class);
	empty_column(&e->member, class);
	empty_column(&e->dst, class);
	empty_column(&e->ssh_dst, class);
	empty_column(&e->self, class);
	empty_column(&e->see, class);
	memset(bit_row(&e->see, class), 0, e->see.stride * sizeof(uint64_t));
}

/* All columns at once, a word at a time */

static void or_marks(struct policy_engine *e, struct bit_matrix *m, size_t row,
		     const uint32_t *marks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bits_or(bit_row(m, row), bit_row(&e->marks, marks[i]), m->stride);
}

static void fill_all_self(struct policy_engine *e, uint32_t set)
{
	const uint64_t *tagged = bit_row(&e->marks, mark_of(e, MARK_TAGGED));
	const uint64_t *from = e->sets[set].any ? bit_row(&e->marks, mark_of(e, MARK_ALL))
						: bit_row(&e->member, set);

	for (size_t i = 0; i < e->self.stride; i++)
		e->self.words[i] |= from[i] & ~tagged[i];
}

static void fill_all_rules(struct policy_engine *e)
{
	uint32_t exit = mark_of(e, MARK_EXIT);

	for (size_t i = 0; i < e->n_rules; i++) {
		const struct engine_rule *rule = &e->rules[i];

		for (size_t k = 0; k < rule->n_dst; k++) {
			or_marks(e, &e->dst, i, &rule->dst[k].mark, 1);
			or_marks(e, &e->dst, i, &exit, rule->dst[k].exit);
		}
		if (rule->self)
			fill_all_self(e, rule->set);
	}
	for (size_t i = 0; i < e->n_ssh; i++)
		for (size_t k = 0; k < e->ssh[i].rule->n_dst; k++)
			or_marks(e, &e->ssh_dst, i, &e->ssh[i].rule->dst[k].sel, 1);
}

/* Rows and columns of a block of 64 x 64 bits change places. */
static void transpose(uint64_t block[64])
{
	uint64_t mask = 0x00000000ffffffffu;

	for (unsigned step = 32; step; step /= 2, mask ^= mask << step)
		for (unsigned i = 0; i < 64; i = ((i | step) + 1) & ~step) {
			uint64_t swap = (block[i] >> step ^ block[i | step]) & mask;

			block[i] ^= swap << step;
			block[i | step] ^= swap;
		}
}

static void mirror_block(struct bit_matrix *m, size_t row_block, size_t column_block)
{
	uint64_t here[64], there[64];

	for (size_t i = 0; i < 64; i++) {
		here[i] = bit_row(m, row_block * 64 + i)[column_block];
		there[i] = bit_row(m, column_block * 64 + i)[row_block];
	}
	transpose(here);
	transpose(there);
	for (size_t i = 0; i < 64; i++) {
		bit_row(m, row_block * 64 + i)[column_block] |= there[i];
		bit_row(m, column_block * 64 + i)[row_block] |= here[i];
	}
}

/* Rules that mean every class say the same about each: that is added once, in the end. */
static void see_all(struct policy_engine *e, uint64_t *everywhere)
{
	const uint64_t *all = bit_row(&e->marks, mark_of(e, MARK_ALL));
	size_t n_blocks = (e->n_classes + 63) / 64;

	for (size_t i = 0; i < e->n_rules; i++) {
		const uint64_t *from = bit_row(&e->touch, e->rules[i].set);

		if (memcmp(bit_row(&e->dst, i), all, e->dst.stride * sizeof(*all)) == 0) {
			bits_or(everywhere, from, e->see.stride);
			continue;
		}
		for (uint32_t class = 0; class < e->n_classes; class ++)
			if (bit_get(&e->dst, i, class))
				bits_or(bit_row(&e->see, class), from, e->see.stride);
	}
	for (uint32_t class = 0; class < e->n_classes; class ++)
		bits_or(bit_row(&e->see, class), everywhere, e->see.stride);
	for (size_t i = 0; i < n_blocks; i++)
		for (size_t k = i; k < n_blocks; k++)
			mirror_block(&e->see, i, k);
}

int engine_fill_all(struct policy_engine *e)
{
	uint64_t *everywhere = calloc(e->see.stride + 1, sizeof(*everywhere));

	if (!everywhere)
		return -ENOMEM;
	for (uint32_t class = 0; class < e->n_classes; class ++)
		fill_marks(e, class);
	for (size_t i = 0; i < e->n_sets; i++) {
		or_marks(e, &e->touch, i, e->sets[i].touch_marks, e->sets[i].n_touch_marks);
		or_marks(e, &e->member, i, e->sets[i].member_marks, e->sets[i].n_member_marks);
	}
	fill_all_rules(e);
	see_all(e, everywhere);
	free(everywhere);
	return 0;
}
