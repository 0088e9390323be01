/* The entries of src, dst, owners and approvers. */
#pragma once

#include "coord/policy/read.h"

#define SEL_MASK(kind) (1u << (kind))
#define SEL_MASK_PEOPLE                                                                           \
	(SEL_MASK(SEL_USER) | SEL_MASK(SEL_DOMAIN) | SEL_MASK(SEL_GROUP) | SEL_MASK(SEL_MEMBER) | \
	 SEL_MASK(SEL_ROLE))
#define SEL_MASK_TAGS (SEL_MASK(SEL_TAG) | SEL_MASK(SEL_TAGGED))

/* What may stand in a list. */
struct selector_use {
	const char *what;    /* "a source of an ACL rule" */
	unsigned allowed;    /* SEL_MASK() of the kinds */
	const char *instead; /* what would be right */
};

/* The number of the selector that text is; SEL_NONE: reported. */
uint32_t selector_read(struct reader *rd, const char *text, struct place at,
		       const struct selector_use *use);

/* A list of selectors. Absent: none. */
void selectors_read(struct reader *rd, const struct hujson_value *v, const struct selector_use *use,
		    const struct entry **ret_entries, size_t *ret_n_entries);
