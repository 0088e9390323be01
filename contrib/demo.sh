#!/usr/bin/env bash
# Show what Peergate does, on real hosts: builds it, boots a server, Alice's laptop, Bob's phone and
# a LAN host without WireGuard in a virtual machine, and lets them log in, be refused, be revoked.
# Exit status 0 only if every step did what it says. --shell: a shell on the laptop instead.
set -euo pipefail

usage() {
	cat <<'TXT'
Usage: contrib/demo.sh [--shell] [--no-vm]
  --shell  leave you on Alice's laptop, to try for yourself
  --no-vm  hosts in namespaces of this machine, instead of a virtual one (needs WireGuard in its kernel)
TXT
}

repo=$(dirname "$(dirname "$(readlink -f "$0")")")
vm_options=()
demo_options=()
[ -t 1 ] && demo_options+=(--colour)

while [ $# -gt 0 ]; do
	case $1 in
	--shell) vm_options+=(--shell) demo_options+=(--shell) ;;
	--no-vm) vm_options+=(--no-vm) ;;
	-h | --help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done

build=$repo/build
logs=$build/logs
mkdir -p "$logs"
# shellcheck source=tests/lib.sh
. "$repo/tests/lib.sh"
stage=demo
install_packages "${build_packages[@]}"
build_stage "$build/stage"
exec "$repo/tests/vm/run" --timeout 1800 --out "$build/demo" --stage "$build/stage" "${vm_options[@]}" \
	-- python3 /src/contrib/demo/demo.py "${demo_options[@]}"
