/*
 * What glibc's name service switch calls (nsswitch.conf(5)): the types are of its <nss.h>,
 * the conventions in its manual ("Extending NSS").
 */
#pragma once

#include <netdb.h>
#include <nss.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * Each puts its answer into buffer, and points from host (or *pat) into it.
 * SUCCESS; NOTFOUND: not a name of the mesh; TRYAGAIN with *errnop ERANGE and *h_errnop
 * NETDB_INTERNAL: the buffer is too small; TRYAGAIN with another *errnop: no memory or descriptors
 * just now; UNAVAIL: there is no names file, or none to be believed.
 *
 * The time to live is 0 where it is asked for: a cache (nscd(8)) would outlive a map's change.
 */
nss_gethostbyname4_r _nss_peergate_gethostbyname4_r;
nss_gethostbyname3_r _nss_peergate_gethostbyname3_r;
nss_gethostbyname2_r _nss_peergate_gethostbyname2_r;
nss_gethostbyname_r _nss_peergate_gethostbyname_r;
nss_gethostbyaddr2_r _nss_peergate_gethostbyaddr2_r;
nss_gethostbyaddr_r _nss_peergate_gethostbyaddr_r;

/* Where the names file is: nss/where.c in the module as installed, another one in tests. */
const char *nss_names_dir(void);
