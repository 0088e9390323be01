#!/usr/bin/env bash
# The coordinator's benchmark: thousands of simulated agents on this machine against the programs as
# they ship, plain and by TLS taking turns. Prints medians of all rounds as a Markdown table. As root:
# everything happens in namespaces of its own (mounts, network), and is gone with them.
set -euo pipefail

usage() {
	cat <<'TXT'
Usage: tests/bench/coord.sh [--agents N] [--rounds N] [--quick] [--store DIRECTORY]
       tests/bench/coord.sh --agent-memory N
  --agents N         so many (10000)
  --rounds N         of everything, plain and TLS (3)
  --quick            small numbers: does it work?
  --store DIRECTORY  the coordinator's store in a new directory there, instead of in memory
  --agent-memory N   instead, what an agent's own memory comes to while it streams, with N peers and TLS
TXT
}

repo=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
arguments=("$@")
agents=10000
rounds=3
few=()
store=
only=coordinator

while [ $# -gt 0 ]; do
	case $1 in
	--agents) agents=$2 && shift ;;
	--rounds) rounds=$2 && shift ;;
	--store) store=$(readlink -f "$2") && shift ;;
	--agent-memory) agents=$2 only=agent && shift ;;
	--quick) agents=500 rounds=1 few=(--changes 5 --wide-changes 3 --policies 2 --idle 3 --rest 5) ;;
	-h | --help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done

build=$repo/build
logs=$build/logs
stage=bench
programs=$build/bench
coordinator=$programs/coord/server/peergate-coord
mkdir -p "$logs"
# shellcheck source=tests/lib.sh
. "$repo/tests/lib.sh"

prepare() {
	install_packages "${build_packages[@]}" "${test_packages[@]}"
	CC=gcc step configure configure "$programs" --prefix=/usr --sysconfdir=/etc --libexecdir=libexec \
		--buildtype=debugoptimized
	step compile ninja -C "$programs" tests/bench/bench-coord coord/server/peergate-coord coord/ctl/coordctl \
		tests/bench/bench-agent agent/ctl/agentctl
}

# A scratch copy of /etc, /run and /var/lib; an account for the coordinator; addresses for the agents.
make_place() {
	mount -t tmpfs place /var/lib
	cp -a /etc /var/lib/etc
	mount --bind /var/lib/etc /etc
	mount -t tmpfs place /run
	echo "peergate-coord:x:64990:64990::/:/usr/sbin/nologin" >>/etc/passwd
	mkdir -p /etc/peergate /run/peergate-coord /var/lib/peergate-coord
	[ -z "$store" ] || mount --bind "$scratch/store" /var/lib/peergate-coord
	chown 64990:64990 /run/peergate-coord /var/lib/peergate-coord
	chmod 700 /var/lib/peergate-coord
	ip link set lo up
	# For benchmarks (RFC 2544). A route of this kind makes all of them addresses of this host.
	ip route add local 198.18.0.0/15 dev lo
}

make_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=coord.example \
		-addext subjectAltName=IP:198.18.0.0 -keyout /etc/peergate/key.pem -out /etc/peergate/certificate.pem 2>/dev/null
	chmod 644 /etc/peergate/key.pem
}

configure_coordinator() {
	printf 'Url=https://coord.example\nListen=198.18.0.0:8443\nMaxConnectedNodes=%d\n' $((agents + 1)) \
		>/etc/peergate/coord.conf
	[ "$1" = plain ] ||
		printf '%s\n' Certificate=/etc/peergate/certificate.pem PrivateKey=/etc/peergate/key.pem \
			>>/etc/peergate/coord.conf
}

bench() {
	"$programs/tests/bench/bench-coord" --coordinator "$coordinator" --connect 198.18.0.0:8443 \
		--log "$logs/bench-coord.log" --agents "$agents" "${few[@]}" "$@"
}

# NAME TAB FIGURE, for plain and TLS in many files, to a table of medians.
table() {
	python3 -I - "$figures" <<'PY'
import statistics
import sys
from pathlib import Path

figures = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    for line in path.read_text().splitlines():
        name, value = line.split("\t")
        figures.setdefault(name, {}).setdefault(path.name.split(".")[0], []).append(float(value))
print("| | plain | TLS |\n|---|--:|--:|")
for name, of in figures.items():
    cells = (f"{statistics.median(of[kind]):.4g}" if kind in of else "" for kind in ("plain", "tls"))
    print("|", name, "|", " | ".join(cells), "|")
PY
}

# Believed as those of the system are, in its file and in its directory.
trust_certificate() {
	local certs=/etc/ssl/certs

	cp /etc/peergate/certificate.pem "$certs/bench.pem"
	ln -s bench.pem "$certs/$(openssl x509 -hash -noout -in "$certs/bench.pem").0"
	cat "$certs/bench.pem" >>"$certs/ca-certificates.crt"
}

# Until something succeeds, for a minute.
wait_until() {
	for _ in $(seq 120); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.5
	done
	echo "coord.sh: in vain: $*" >&2
	return 1
}

# Everybody sees everybody. Processes end with the namespace that they are in.
agent_memory() {
	local ctl=$programs/coord/ctl/coordctl agentctl=$programs/agent/ctl/agentctl agent

	trust_certificate
	configure_coordinator tls
	setpriv --reuid 64990 --regid 64990 --clear-groups "$coordinator" 2>>"$logs/bench-coord.log" &
	wait_until "$ctl" status
	"$ctl" policy rollback 0 >/dev/null
	"$ctl" authkeys create --user u1@example.com >/run/auth-key
	mkdir -p /run/peergate /var/lib/peergate
	GNUTLS_NO_IMPLICIT_INIT=1 "$programs/tests/bench/bench-agent" 2>"$logs/bench-agent.log" &
	agent=$!
	wait_until test -S /run/peergate/agent.sock
	"$agentctl" up --coordinator https://198.18.0.0:8443 --auth-key-file /run/auth-key >/dev/null
	sleep 10
	"$agentctl" status | grep peers
	grep -E '^(VmHWM|VmRSS|RssAnon)' "/proc/$agent/status"
	grep '^Pss:' "/proc/$agent/smaps_rollup"
}

inside() {
	make_place
	make_certificate
	configure_coordinator plain
	"$programs/coord/ctl/coordctl" init --domain mesh.example --url https://coord.example >/dev/null
	say "$agents agents enrol"
	bench enrol >"$figures/plain.enrol"
	if [ "$only" = agent ]; then
		agent_memory
		return
	fi
	for round in $(seq "$rounds"); do
		for kind in plain tls; do
			say "round $round, $kind; load $(cut -d ' ' -f 1-3 /proc/loadavg)"
			configure_coordinator "$kind"
			bench "--$kind" measure >"$figures/$kind.$round"
		done
	done
	table
}

[ "$(id -u)" -eq 0 ] || {
	echo "coord.sh: needs root, for namespaces" >&2
	exit 1
}
scratch=${PEERGATE_BENCH_INSIDE:-}
if [ -n "$scratch" ]; then
	figures=$scratch/figures
	inside
	exit
fi
prepare
scratch=$(mktemp -d "${store:-/tmp}/peergate-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/figures" "$scratch/store"
# What is left of it when this ends, however that is, ends as well.
PEERGATE_BENCH_INSIDE=$scratch unshare --mount --net --pid --fork --kill-child --mount-proc -- \
	"$0" "${arguments[@]}" &
trap 'kill -KILL $!; exit 130' INT TERM
wait $!
