#!/usr/bin/env bash
# Build and test everything, from a bare Debian 12 (as root: missing packages are installed).
# The last line says how many tests passed and failed; exit status 0 only if some passed and none failed.
set -euo pipefail

usage() {
	cat <<'TXT'
Usage: tests/run.sh [--quick] [--only STAGE] [--no-vm] [-k EXPR]
  --quick       leave out the system tests
  --only STAGE  gcc, clang, sso or system
  --no-vm       system tests in namespaces of this machine instead of QEMU (needs WireGuard in the kernel)
  -k EXPR       only sso and system tests that match (pytest -k)
TXT
}

repo=$(dirname "$(dirname "$(readlink -f "$0")")")
build=$repo/build
logs=$build/logs
stages=(gcc clang sso system)
vm_options=()
pytest_options=()
machines=2 # for the system tests
while [ $# -gt 0 ]; do
	case $1 in
	--quick) stages=(gcc clang sso) ;;
	--only) stages=("${2:?--only needs a stage}") && shift ;;
	--no-vm) vm_options+=(--no-vm) ;;
	-k) pytest_options+=(-k "${2:?-k needs an expression}") && shift ;;
	-h | --help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done

mkdir -p "$logs"
# shellcheck source=tests/lib.sh
. "$repo/tests/lib.sh"
export ASAN_OPTIONS=detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# Meson tests of one build: unit_stage DIR SETUP-ARGUMENTS...
unit_stage() {
	local dir=$1
	shift

	results=("$dir")
	rm -f "$dir"/meson-logs/testlog*
	step configure configure "$dir" --buildtype=debugoptimized -Dwerror=true "$@" &&
		step compile meson compile -C "$dir" &&
		step test meson test -C "$dir" --no-rebuild --print-errorlogs --timeout-multiplier 4 \
			--num-processes $((3 * $(nproc))) # most of them wait for most of the time
}

stage_gcc() { CC=gcc unit_stage "$build/gcc"; }

stage_clang() {
	CC=clang unit_stage "$build/clang" -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true
}

# Unit tests that need a kernel with WireGuard; tests/system/test_unit.py runs them in the machine,
# where the source tree is /src.
build_guest_tests() {
	CC=gcc step configure-unit configure "$build/gcc" --buildtype=debugoptimized -Dwerror=true &&
		step compile-unit meson compile -C "$build/gcc" test-audit test-kernel test-kill-points test-nft-packets \
			test-coordinator
}

# The OpenID provider of tests/sso, which the machine's tests reach through tests/sso/robot.py.
install_provider() {
	mkdir -p "$build/idp" && cp "$repo"/tests/sso/idp/{.npmrc,*.json,*.mjs} "$build/idp" &&
		step provider npm --prefix "$build/idp" ci
}

# The coordinator's pages with a real browser and a real provider, in this machine.
stage_sso() {
	results=("$build/sso/junit.xml")
	rm -rf "$build/sso" && mkdir -p "$build/sso"
	CC=gcc step configure configure "$build/gcc" --buildtype=debugoptimized -Dwerror=true &&
		step compile ninja -C "$build/gcc" coord/server/peergate-coord coord/ctl/coordctl agent/ctl/agentctl \
			tests/bench/bench-agent tests/sso/serve &&
		install_provider &&
		PEERGATE_BUILD=$build/gcc PEERGATE_IDP=$build/idp PEERGATE_SHOTS=$build/sso/shots \
			step test python3 -m pytest -p no:cacheprovider -v --durations=10 \
			--junitxml="$build/sso/junit.xml" "${pytest_options[@]}" "$repo/tests/sso"
}

# The test machine, built beside the stages before it, none of which uses both processors all the time.
prepare_machine() { nice "$repo/tests/vm/run" --prepare; }

# System tests in one machine: system_tests NAME [OPTION-OF-tests/vm/run]...
system_tests() {
	local name=$1 out=$build/system/$1 robot=("$repo/tests/sso/robot.py" "$build/idp" --)
	shift
	[ ${#vm_options[@]} -eq 0 ] || robot=()

	mkdir -p "$out"
	PEERGATE_SHOTS="$out/shots" "${robot[@]}" \
		"$repo/tests/vm/run" --timeout 3000 --out "$out" --stage "$build/stage" "$@" -- \
		python3 -m pytest -p no:cacheprovider -v --durations=10 --junitxml=/out/junit.xml \
		"${pytest_options[@]}" tests/system 2>&1 | tee "$logs/system-$name.log"
}

stage_system() {
	local status=0 jobs=() part

	results=("$build/system/all/junit.xml")
	rm -rf "$build/system"
	build_stage "$build/stage" && build_guest_tests && install_provider || return 1
	[ -z "$preparing" ] || step machine wait "$preparing" || { cat "$logs/machine.log" && return 1; }
	say "system: test"
	if [ ${#pytest_options[@]} -gt 0 ] || [ ${#vm_options[@]} -gt 0 ]; then
		system_tests all "${vm_options[@]}"
		return
	fi
	# An emulated machine waits much: two side by side take not much longer than one. With three, two processors
	# have no time left, and with five, tests of what happens within a time failed.
	results=()
	for part in $(seq $machines); do
		results+=("$build/system/$part/junit.xml")
		PEERGATE_PART=$part/$machines system_tests "$part" > >(sed -u "s/^/$part: /") &
		jobs+=($!)
	done
	for part in "${jobs[@]}"; do
		wait "$part" || status=$?
	done
	return $status
}

table=$(printf '%-8s %7s %7s %8s %9s' stage passed failed skipped time)
sum_passed=0 sum_failed=0 sum_skipped=0
blamed=() # the tests that failed
run_stage() {
	local began=$SECONDS status=0 passed failed skipped names

	stage=$1
	results=(/nonexistent)
	"stage_$stage" || status=$?
	{
		read -r passed failed skipped
		mapfile -t names
	} < <("$repo/tests/vm/count-results" "${results[@]}")
	# Whatever went wrong without a test to blame is a failure, too.
	[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || { failed=1 && names=("no test: see above"); }
	blamed+=("${names[@]/#/$stage: }")
	say "$stage: $passed passed, $failed failed, $skipped skipped"
	table+=$(printf '\n%-8s %7d %7d %8d %7d s' "$stage" "$passed" "$failed" "$skipped" $((SECONDS - began)))
	sum_passed=$((sum_passed + passed)) sum_failed=$((sum_failed + failed)) sum_skipped=$((sum_skipped + skipped))
}

preparing=
if install_packages "${build_packages[@]}" "${test_packages[@]}"; then
	if [[ " ${stages[*]} " = *" system "* ]] && [ ${#vm_options[@]} -eq 0 ]; then
		prepare_machine >"$logs/machine.log" 2>&1 &
		preparing=$!
	fi
	for s in "${stages[@]}"; do
		run_stage "$s"
	done
else
	sum_failed=1
fi

if [ ${#blamed[@]} -gt 0 ]; then
	printf '\nFailed:\n' && printf '  %s\n' "${blamed[@]}"
fi
printf '\n%s\n%-8s %7d %7d %8d %7d s\n\n' "$table" total $sum_passed $sum_failed $sum_skipped $SECONDS
last="$sum_passed passed, $sum_failed failed"
[ $sum_skipped -eq 0 ] || last+=", $sum_skipped skipped"
echo "$last"
[ $sum_failed -eq 0 ] && [ $sum_passed -gt 0 ]
