#!/usr/bin/env bash
# Build Peergate as it is installed, boot the test machine, and measure revocation there (revocation has
# the options). Under emulation the figures are many times what they are on hardware.
set -euo pipefail

repo=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
build=$repo/build
logs=$build/logs
mkdir -p "$logs"
# shellcheck source=tests/lib.sh
. "$repo/tests/lib.sh"
install_packages "${build_packages[@]}"
stage=bench
build_stage "$build/stage-bench"
exec "$repo/tests/vm/run" --timeout "${TIMEOUT:-7200}" --memory 4G --stage "$build/stage-bench" -- \
	python3 tests/bench/revocation "$@"
