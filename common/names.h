/*
 * The names file: host names of the mesh, written by the agent (names_write.c) and looked up by
 * the NSS module in whatever process asks (names_read.c, which needs nothing but libc).
 *
 * Text of fixed columns, each field padded with blanks, so that a record is found by its number
 * and a name by bisection, with a few small reads however many peers there are:
 *
 *	peergate-names 1 DOMAIN COUNT		one header
 *	LABEL ADDRESS				COUNT records, sorted by label; a node's addresses
 *						in the order of the map
 *	NUMBER					COUNT record numbers, sorted by the record's ADDRESS
 *
 * The file is replaced by rename, never changed in place: an open descriptor sees one state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

#define NAMES_FILE  "names" /* in the agent's runtime directory */
#define NAMES_MAGIC "peergate-names 1"

#define NAMES_MAX_LABEL	    63u	 /* bytes, RFC 1035 */
#define NAMES_MAX_DOMAIN    253u /* bytes */
#define NAMES_MAX_ADDRESSES 8u	 /* of one node: NETMAP_MAX_ADDRESSES */

/* Widths of the fields. Each is followed by one byte: a blank, or the newline at the end. */
#define NAMES_MAGIC_LEN	  (sizeof(NAMES_MAGIC) - 1)
#define NAMES_ADDRESS_LEN 39u /* the longest text of an IPv6 address that is not IPv4-mapped */
#define NAMES_NUMBER_LEN  8u
#define NAMES_HEADER_LEN  (NAMES_MAGIC_LEN + 1 + NAMES_MAX_DOMAIN + 1 + NAMES_NUMBER_LEN + 1)
#define NAMES_RECORD_LEN  (NAMES_MAX_LABEL + 1 + NAMES_ADDRESS_LEN + 1)
#define NAMES_INDEX_LEN	  (NAMES_NUMBER_LEN + 1)

/* Of the largest map: 65536 peers and the node itself. */
#define NAMES_MAX_RECORDS (65537u * NAMES_MAX_ADDRESSES)

/* ---- writing ---- */

struct names_entry {
	const char *label;
	struct ip_addr addr;
};

/*
 * The file's bytes. Entries of one label keep their order. Labels and domain have to be valid
 * (text_is_label(), text_is_domain()).
 * Return: 0 and *ret_text (the caller's, NUL behind its end) with *ret_len; -ENOMEM; -E2BIG beyond
 * NAMES_MAX_RECORDS.
 */
int names_format(const char *domain, const struct names_entry *entries, size_t n_entries,
		 char **ret_text, size_t *ret_len);

/* ---- reading ---- */

enum {
	NAMES_NONE = 1, /* the mesh has no such name or address */
};

/* An open names file. Plain data, for the caller's stack: a process that asks keeps nothing. */
struct names {
	int fd;
	uint32_t n_records;
	char domain[NAMES_MAX_DOMAIN + 1];
};

struct names_host {
	char label[NAMES_MAX_LABEL + 1];
	struct ip_addr addresses[NAMES_MAX_ADDRESSES];
	size_t n_addresses;
};

/*
 * Open the names file of a directory. Both have to be trustworthy: the directory belongs to
 * whoever made it (only root can, in /run), the file to the same user or to root, and nobody else
 * may write to either. Never blocks, follows no symbolic link in the last two components.
 * Return: 0, and names_close() is due; -ENOENT and other errors of open(2); -EPERM: not
 * trustworthy; -EBADMSG: no names file.
 */
int names_open(const char *dir, struct names *ret_names);
/* The same of a descriptor, which is stolen on success; trust in it is the caller's. */
int names_open_fd(int fd, struct names *ret_names);
void names_close(struct names *names);

/*
 * The label that a name asked for would have in this mesh: "server", or "server" under the mesh's
 * domain, with or without a final dot; upper case becomes lower case. "localhost" is no name of a
 * mesh. Return: 0, NAMES_NONE.
 */
int names_label(const struct names *names, const char *name, char ret_label[NAMES_MAX_LABEL + 1]);

/* Return: 0, NAMES_NONE, -EBADMSG when the file does not hold what it should, errors of pread(2).
 */
int names_find(const struct names *names, const char *label, struct names_host *ret_host);
int names_find_address(const struct names *names, const struct ip_addr *addr,
		       char ret_label[NAMES_MAX_LABEL + 1]);
