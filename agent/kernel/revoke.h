/* Ends TCP connections whose right has gone. */
#pragma once

#include "agent/filter/table.h"

/*
 * Destroy connections of peers to this host that old lets in and new does not. Connections that
 * this host opened are its own affair. spare_ssh: those to port 22 are left to the SSH gateway,
 * which tells the person why, and ends them.
 * Return: 0 and how many were destroyed; negative errno.
 */
int kernel_revoke(const struct filter_table *old, const struct filter_table *new, bool spare_ssh,
		  unsigned *ret_n);
