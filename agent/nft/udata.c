#include "agent/nft/udata.h"

#include <string.h>

void nft_udata_init(struct nft_udata *udata)
{
	udata->len = 0;
}

/* Type and length in one byte each, then the value. */
static bool put(struct nft_udata *udata, uint8_t type, const void *value, size_t len)
{
	if (len > UINT8_MAX || udata->len + 2 + len > sizeof(udata->bytes))
		return false;
	udata->bytes[udata->len++] = type;
	udata->bytes[udata->len++] = (uint8_t)len;
	memcpy(udata->bytes + udata->len, value, len);
	udata->len += (uint32_t)len;
	return true;
}

bool nft_udata_put_comment(struct nft_udata *udata, uint8_t type, const char *comment)
{
	return put(udata, type, comment, strlen(comment) + 1);
}

bool nft_udata_put_u32(struct nft_udata *udata, uint8_t type, uint32_t value)
{
	return put(udata, type, &value, sizeof(value));
}

const char *nft_udata_find_comment(const void *data, uint32_t len, uint8_t type)
{
	const uint8_t *bytes = data;
	uint32_t pos = 0;

	while (pos + 2 <= len) {
		uint8_t value_len = bytes[pos + 1];
		const uint8_t *value = bytes + pos + 2;

		if (value_len > len - pos - 2)
			return NULL;
		if (bytes[pos] == type)
			return value_len && !value[value_len - 1] ? (const char *)value : NULL;
		pos += 2u + value_len;
	}
	return NULL;
}
