/* The rules of each base chain. */
#pragma once

#include "agent/nft/layout.h"

/* Each adds the rules of its chain. Return: 0, -ENOMEM. */
int nft_rules_divert(struct nft_layout *layout, const struct nft_layout_config *config);
int nft_rules_input(struct nft_layout *layout, const struct nft_layout_config *config);
int nft_rules_output(struct nft_layout *layout, const struct nft_layout_config *config);
int nft_rules_asked(struct nft_layout *layout, const struct nft_layout_config *config);
int nft_rules_replies(struct nft_layout *layout, const struct nft_layout_config *config);
int nft_rules_forward(struct nft_layout *layout, const struct nft_layout_config *config);
