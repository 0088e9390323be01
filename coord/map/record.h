/*
 * A node as it is told: the pieces of JSON that its record is put together from, made once for all
 * who see it.
 *
 *	{ "id":...,"name":...,..."node_key":... ,"ssh_host_keys":[...] ,TAIL }
 *	  text[0..common_len): also of "self"	text[common_len..len)
 *
 * The tail is how the viewer reaches the node (reach.h); viewers are few kinds of hosts, so few
 * tails are kept.
 */
#pragma once

#include "coord/map/reach.h"
#include "coord/policy/policy.h"

struct record_tail {
	uint8_t viewers; /* the kind of viewer that it was made for */
	uint8_t same_as; /* number of the first tail with this text; its own: the text is here */
	char *text;	 /* "\"endpoints\":[...],\"keepalive\":25"... */
	size_t len;
};

/* Zeroed: none. */
struct record {
	char *text;
	uint32_t common_len, len;
	uint64_t revision;
	uint64_t key_expiry; /* RECORD_NEVER */
	bool ended;	     /* the key, before that time */
	bool ssh;
	struct reach_node reach;
	struct record_tail *tails; /* made as they are asked for */
	size_t n_tails, size_tails;
};

/*
 * addresses: IPv4 and IPv6. mesh: prefixes, for reach_node_make(). The node's record is not needed
 * any more. Return: 0, -ENOMEM (*ret_record untouched).
 */
int record_make(const struct node_record *node, const struct ip_addr addresses[2],
		const struct ip_prefix *mesh, size_t n_mesh, struct record *ret_record);
void record_done(struct record *record);

bool record_same_text(const struct record *a, const struct record *b);
/* Of what "self" has. */
bool record_same_self(const struct record *a, const struct record *b);

bool record_is_expired(const struct record *record, uint64_t wall);

/*
 * How this viewer reaches the node: a number, the same for the same text. Return: 0, -ENOMEM.
 */
int record_tail(struct record *record, const struct reach_view *viewer, uint8_t *ret_tail);

/* As a peer; the tail is a number from record_tail(). */
void record_write_peer(const struct record *record, uint8_t tail, struct policy_text *out);
/* The members of the tail, with the id, as a patch of one who has another tail. */
void record_write_patch(const struct record *record, const char *id, uint8_t tail,
			struct policy_text *out);
void record_write_self(const struct record *record, bool expired, struct policy_text *out);
