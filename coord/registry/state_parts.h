/* Parts of the fold. */
#pragma once

#include "coord/registry/state.h"

/* A text for the log. */
void state_complain(const struct state *state, const char *fmt, ...) _printf_(2, 3);

/* Names and keys mean the node from now on. Return: 0; -EEXIST: they are another's; -ENOMEM. */
int state_admit(struct state *state, struct node_slot *slot);
void state_unindex(struct state *state, struct node_slot *slot);

/* policy/current and meta/mesh. Return: 0; -EINVAL: is damaged, *reterr_text says how; -ENOMEM. */
int state_apply_single(struct state *state, const struct store_entry *entry, char **reterr_text);
/* The same while in force: a damaged one is complained of. Return: 0, -ENOMEM. */
int state_change_single(struct state *state, const struct store_entry *entry,
			struct change_list *list);

/* kind: enum registry_change_kind. Return: 0, -ENOMEM. */
int change_list_add(struct change_list *list, int kind, const char *id,
		    struct registry_change **ret_change);
