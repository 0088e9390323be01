/* Text that goes into nftables comments. */
#pragma once

/* A copy that nft(8) prints and reads back unchanged. Return: the caller's; NULL: no memory. */
char *filter_comment(const char *text);
