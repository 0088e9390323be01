/*
 * Why a connection ended. libssh has a state for what went wrong, and only words for what it was.
 */
#pragma once

#include "sshgw/net/net.h"
#include "sshgw/steps.h"

/* r: what net_run() returned, or what kept it from running. net->ssh must be set. */
enum net_exit net_why_ended(const struct net *net, int r);
