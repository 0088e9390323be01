/* Addresses that change hands between peers: pure. */
#pragma once

#include <stdbool.h>

#include "agent/wg/diff.h"

/*
 * Does the difference let a peer send from addresses that, on the device as it is, belong to
 * another peer (or lie within what belongs to one)? Return: 0 and *ret_moves, -ENOMEM.
 */
int wg_diff_moves(const struct wg_device *from, const struct wg_diff *diff, bool *ret_moves);
