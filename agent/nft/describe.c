#include "agent/nft/layout.h"

#include <inttypes.h>
#include <libnftnl/expr.h>
#include <string.h>

#include "agent/nft/owner.h"
#include "common/text_stream.h"

static void print_hex(FILE *out, const void *data, uint32_t len)
{
	const uint8_t *bytes = data;

	for (uint32_t i = 0; bytes && i < len; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('\n', out);
}

static void print_table(FILE *out, const struct nftnl_table *table)
{
	uint32_t len = 0;
	const void *udata = nftnl_table_get_data(table, NFTNL_TABLE_USERDATA, &len);

	fprintf(out, "table %s flags %u ", nftnl_table_get_str(table, NFTNL_TABLE_NAME),
		nftnl_table_get_u32(table, NFTNL_TABLE_FLAGS) & ~NFT_OWNER_FLAGS);
	print_hex(out, udata, len);
}

static void print_set(FILE *out, const struct nftnl_set *set)
{
	uint32_t len = 0;
	const void *udata = nftnl_set_get_data(set, NFTNL_SET_USERDATA, &len);

	fprintf(out, "set %s flags %u key %u/%u data %u/%u timeout %" PRIu64 " size %u ",
		nftnl_set_get_str(set, NFTNL_SET_NAME), nftnl_set_get_u32(set, NFTNL_SET_FLAGS),
		nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE),
		nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN),
		nftnl_set_get_u32(set, NFTNL_SET_DATA_TYPE),
		nftnl_set_get_u32(set, NFTNL_SET_DATA_LEN),
		nftnl_set_get_u64(set, NFTNL_SET_TIMEOUT),
		nftnl_set_get_u32(set, NFTNL_SET_DESC_SIZE));
	print_hex(out, udata, len);
}

static void print_chain(FILE *out, const struct nftnl_chain *chain)
{
	const char *type = nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE);
	uint32_t len = 0;
	const void *udata = nftnl_chain_get_data(chain, NFTNL_CHAIN_USERDATA, &len);

	fprintf(out, "chain %s ", nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME));
	if (nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM))
		fprintf(out, "%s hook %u priority %d policy %u ", type ? type : "?",
			nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM),
			nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO),
			nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY));
	print_hex(out, udata, len);
}

static int print_expr(struct nftnl_expr *expr, void *userdata)
{
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);
	FILE *out = userdata;
	char text[512];
	int len;

	fprintf(out, "\t%s", name);
	if (strcmp(name, "counter") != 0) {
		len = nftnl_expr_snprintf(text, sizeof(text), expr, NFTNL_OUTPUT_DEFAULT, 0);
		if (len < 0 || (size_t)len >= sizeof(text))
			return -1;
		fprintf(out, " %s", text);
	}
	fputc('\n', out);
	return 0;
}

static int print_rule(FILE *out, const struct nftnl_rule *rule)
{
	uint32_t len = 0;
	const void *udata = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);

	fputs("  rule ", out);
	print_hex(out, udata, len);
	return nftnl_expr_foreach((struct nftnl_rule *)rule, print_expr, out);
}

static int set_order(const void *a, const void *b)
{
	return strcmp(nftnl_set_get_str(*(struct nftnl_set *const *)a, NFTNL_SET_NAME),
		      nftnl_set_get_str(*(struct nftnl_set *const *)b, NFTNL_SET_NAME));
}

static int chain_order(const void *a, const void *b)
{
	return strcmp(nftnl_chain_get_str(*(struct nftnl_chain *const *)a, NFTNL_CHAIN_NAME),
		      nftnl_chain_get_str(*(struct nftnl_chain *const *)b, NFTNL_CHAIN_NAME));
}

static int print_chain_rules(FILE *out, struct nft_layout *layout, const char *chain)
{
	for (size_t i = 0; i < layout->n_rules; i++)
		if (strcmp(nftnl_rule_get_str(layout->rules[i], NFTNL_RULE_CHAIN), chain) == 0 &&
		    print_rule(out, layout->rules[i]) < 0)
			return -1;
	return 0;
}

/* The kernel reports sets and chains in an order of its own; rules of a chain keep theirs. */
static int print_layout(FILE *out, struct nft_layout *layout)
{
	print_table(out, layout->table);
	if (layout->n_sets > 1)
		qsort(layout->sets, layout->n_sets, sizeof(struct nftnl_set *), set_order);
	for (size_t i = 0; i < layout->n_sets; i++)
		print_set(out, layout->sets[i]);
	if (layout->n_chains > 1)
		qsort(layout->chains, layout->n_chains, sizeof(struct nftnl_chain *), chain_order);
	for (size_t i = 0; i < layout->n_chains; i++) {
		print_chain(out, layout->chains[i]);
		if (print_chain_rules(out, layout,
				      nftnl_chain_get_str(layout->chains[i], NFTNL_CHAIN_NAME)) < 0)
			return -1;
	}
	return 0;
}

/* r: -1 when something could not be printed. */
static char *finish_text(struct text_stream *out, int r)
{
	_cleanup_free_ char *text = text_stream_close(out);

	return r < 0 ? NULL : take_ptr(text);
}

char *nft_layout_describe(struct nft_layout *layout)
{
	struct text_stream out;

	if (text_stream_open(&out) < 0)
		return NULL;
	return finish_text(&out, print_layout(out.file, layout));
}

char *nft_rule_describe(const struct nftnl_rule *rule)
{
	struct text_stream out;

	if (text_stream_open(&out) < 0)
		return NULL;
	return finish_text(&out, print_rule(out.file, rule));
}
