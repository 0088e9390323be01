#!/usr/bin/env bash
# Throughput over a link of 100 ms, the gateway's and sshd's in turns (gateway has the options).
set -euo pipefail
exec "$(dirname "$(readlink -f "$0")")/gateway" --only longlink "$@"
