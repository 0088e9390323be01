/* User data of nftables objects, in the form that nft(8) reads: comments, byte orders. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NFT_UDATA_MAX 256 /* the kernel's limit */

struct nft_udata {
	uint8_t bytes[NFT_UDATA_MAX];
	uint32_t len;
};

void nft_udata_init(struct nft_udata *udata);
/* Return: false if there is no room. */
bool nft_udata_put_comment(struct nft_udata *udata, uint8_t type, const char *comment);
bool nft_udata_put_u32(struct nft_udata *udata, uint8_t type, uint32_t value);

/*
 * The text attribute of this type in user data from the kernel (which another program may have
 * written). Return: borrowed from data; NULL: there is none, or it does not end in NUL.
 */
const char *nft_udata_find_comment(const void *data, uint32_t len, uint8_t type);
