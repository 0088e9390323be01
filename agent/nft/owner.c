#include "agent/nft/owner.h"

#include <arpa/inet.h>
#include <errno.h>

#include "agent/nft/batch.h"

#define PROBE_TABLE NFT_TABLE "-probe"

static void put_probe(struct nft_batch *batch, uint16_t type, const char *table)
{
	struct nlmsghdr *nlh = nft_batch_message(
		batch, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, "table %s", table);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_TABLE_NAME, table);
	if (type == NFT_MSG_NEWTABLE)
		mnl_attr_put_u32(nlh, NFTA_TABLE_FLAGS, htonl(NFT_OWNER_FLAGS));
	nft_batch_end_message(batch);
}

int nft_owner_probe(struct nlsock *sock, bool *ret_can, char **reterr_text)
{
	_cleanup_(nft_batch_freep) struct nft_batch *batch = NULL;
	_cleanup_free_ char *text = NULL;
	int r;

	r = nft_batch_new(sock, &batch);
	if (r < 0)
		return r;
	put_probe(batch, NFT_MSG_NEWTABLE, PROBE_TABLE);
	put_probe(batch, NFT_MSG_DELTABLE, PROBE_TABLE "-absent");
	r = nft_batch_commit(batch, &text);
	switch (r) {
	case -ENOENT: /* of the second message: the first was good */
		*ret_can = true;
		return 0;
	case -EOPNOTSUPP:
	case -EINVAL:
		*ret_can = false;
		return 0;
	}
	*reterr_text = take_ptr(text);
	return r < 0 ? r : -EPROTO;
}
