#!/usr/bin/env bash
# The agent's benchmark: the filter on this machine, WireGuard and memory in the test machine.
# As root. Takes about a quarter of an hour, most of it in emulation.
set -euo pipefail

repo=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
build=$repo/build
logs=$build/logs
stage=bench
mkdir -p "$logs" "$build/bench-out"
# shellcheck source=tests/lib.sh
. "$repo/tests/lib.sh"
install_packages "${build_packages[@]}" "${test_packages[@]}"
step configure configure "$build/bench" --buildtype=debugoptimized
step compile ninja -C "$build/bench" tests/bench/bench-kernel
build_stage "$build/stage"

echo "Loading and changing the table"
"$build/bench/tests/bench/bench-kernel" rules
echo "A packet's cost"
"$build/bench/tests/bench/bench-kernel" packets
echo "All that a map asks for (in emulation)"
"$repo/tests/vm/run" --timeout 1200 --out "$build/bench-out" -- \
	/src/build/bench/tests/bench/bench-kernel kernel
echo "Memory of the agent (in emulation)"
"$repo/tests/vm/run" --timeout 1200 --out "$build/bench-out" --stage "$build/stage" -- \
	python3 /src/tests/bench/agent_memory.py
