#!/bin/sh
# The NSS module as it is installed: its name, what it shows, and what it drags into every process.
# Usage: nss-module.sh MODULE
set -eu

fail() {
	echo "$1: $2" >&2
	exit 1
}

dynamic=$(LC_ALL=C readelf -d "$1")
echo "$dynamic" | grep -q 'soname: \[libnss_peergate\.so\.2\]' || fail "wrong soname" "$dynamic"
# Sanitizers bring libraries of their own.
needed=$(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -Ev '^lib(a|ub)san|^ld-linux' || true)
[ -z "$(echo "$needed" | grep -v '^libc\.so\.6$')" ] || fail "needs more than libc" "$needed"
shown=$(nm -D --defined-only "$1" | awk '{print $3}' | sort | tr '\n' ' ')
[ "$shown" = "_nss_peergate_gethostbyaddr2_r _nss_peergate_gethostbyaddr_r _nss_peergate_gethostbyname2_r \
_nss_peergate_gethostbyname3_r _nss_peergate_gethostbyname4_r _nss_peergate_gethostbyname_r " ] ||
	fail "shows other symbols" "$shown"
# Nothing from the heap, no locks: not even asked for.
wanted=$(nm -D --undefined-only "$1" | awk '{print $2}' | sed 's/@.*//')
for symbol in malloc calloc realloc free pthread_mutex_lock getenv; do
	! echo "$wanted" | grep -qx "$symbol" || fail "uses" "$symbol"
done
