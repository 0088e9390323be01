/*
 * What the mesh's link carries besides its name, which others may change at any time (from Linux
 * 6.2 on also while it is up). The alias says whose the link is; the group is for the packet
 * filter, which can match it, and is there before the link is.
 */
#pragma once

/* ip-link(8) */
#define LINK_ALIAS "peergate"
/* Of no meaning but that others are unlikely to use it. */
#define LINK_GROUP 5182u
