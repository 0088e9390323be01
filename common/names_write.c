#include "common/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

/* A record on its way into the file: its address as text decides its place in the index. */
struct indexed {
	char address[IP_ADDR_STRLEN];
	uint32_t number;
};

/* Pointers into one array: those of one label keep its order, which qsort() alone does not promise.
 */
static int compare_entries(const void *a, const void *b)
{
	const struct names_entry *x = *(const struct names_entry *const *)a;
	const struct names_entry *y = *(const struct names_entry *const *)b;
	int r = strcmp(x->label, y->label);

	return r ? r : (x > y) - (x < y);
}

static int compare_indexed(const void *a, const void *b)
{
	return strcmp(((const struct indexed *)a)->address, ((const struct indexed *)b)->address);
}

/* One field and the byte behind it. Returns where the next one begins. */
static char *put(char *at, const char *text, size_t width, char end)
{
	size_t len = strnlen(text, width);

	memcpy(at, text, len);
	memset(at + len, ' ', width - len);
	at[width] = end;
	return at + width + 1;
}

static char *put_number(char *at, size_t number, char end)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*zu", (int)NAMES_NUMBER_LEN, number);
	return put(at, text, NAMES_NUMBER_LEN, end);
}

static char *put_header(char *at, const char *domain, size_t n_records)
{
	at = put(at, NAMES_MAGIC, NAMES_MAGIC_LEN, ' ');
	at = put(at, domain, NAMES_MAX_DOMAIN, ' ');
	return put_number(at, n_records, '\n');
}

static char *put_records(char *at, const struct names_entry **sorted, size_t n,
			 struct indexed *index)
{
	for (size_t i = 0; i < n; i++) {
		index[i].number = (uint32_t)i;
		ip_addr_to_string(&sorted[i]->addr, index[i].address);
		at = put(at, sorted[i]->label, NAMES_MAX_LABEL, ' ');
		at = put(at, index[i].address, NAMES_ADDRESS_LEN, '\n');
	}
	return at;
}

static char *put_index(char *at, struct indexed *index, size_t n)
{
	qsort(index, n, sizeof(*index), compare_indexed);
	for (size_t i = 0; i < n; i++)
		at = put_number(at, index[i].number, '\n');
	return at;
}

int names_format(const char *domain, const struct names_entry *entries, size_t n_entries,
		 char **ret_text, size_t *ret_len)
{
	size_t len = NAMES_HEADER_LEN + n_entries * (NAMES_RECORD_LEN + NAMES_INDEX_LEN);
	_cleanup_free_ const struct names_entry **sorted = NULL;
	_cleanup_free_ struct indexed *index = NULL;
	_cleanup_free_ char *text = NULL;
	char *at;

	if (n_entries > NAMES_MAX_RECORDS)
		return -E2BIG;
	sorted = calloc(n_entries + 1, sizeof(*sorted));
	index = calloc(n_entries + 1, sizeof(*index));
	text = malloc(len + 1);
	if (!sorted || !index || !text)
		return -ENOMEM;
	for (size_t i = 0; i < n_entries; i++)
		sorted[i] = &entries[i];
	qsort(sorted, n_entries, sizeof(*sorted), compare_entries);
	at = put_header(text, domain, n_entries);
	at = put_records(at, sorted, n_entries, index);
	at = put_index(at, index, n_entries);
	*at = '\0';
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}
