# What tests/run.sh and contrib/demo.sh share: packages, steps with a log, builds. Sourced by bash,
# with $repo, $build and $logs set.

# Debian's own tools, whatever else a developer's PATH holds.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8

build_packages=(
	meson ninja-build gcc pkg-config libc6-dev python3
	libcurl4-openssl-dev libgnutls28-dev libjansson-dev libmicrohttpd-dev libmnl-dev libnftnl-dev libnl-3-dev
	libnl-route-3-dev libcrypt-dev libpam0g-dev libqrencode-dev libseccomp-dev libsqlite3-dev libssh-dev libssl-dev
	libsystemd-dev zlib1g-dev systemd
)
test_packages=(
	caddy chromium chromium-driver clang llvm libclang-rt-14-dev libcmocka-dev nginx-light tinyproxy-bin
	fish iproute2 iptables nftables openssh-client openssh-server openssh-sftp-server procps
	python3-paramiko python3-prometheus-client python3-pytest python3-selenium rsync ssh-audit xauth zsh
)
# Some builds of nodejs bring npm along, and Debian's npm would take them away.
command -v npm >/dev/null || test_packages+=(nodejs npm)

say() { printf '[%4d s] %s\n' "$SECONDS" "$*"; }

installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

# Install what is missing of the packages named.
install_packages() {
	local missing=() package

	for package in "$@"; do
		installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" -eq 0 ] || {
		echo "missing packages; as root: apt-get install ${missing[*]}" >&2
		return 1
	}
	export DEBIAN_FRONTEND=noninteractive
	stage=packages
	step update apt-get -qq update &&
		step install apt-get -qq -y --no-install-recommends install "${missing[@]}"
}

# Run a step with its output in a log; show the end of the log when it fails.
step() {
	local name=$1 log=$logs/$stage-$1.log
	shift

	say "$stage: $name"
	if ! "$@" >"$log" 2>&1 </dev/null; then
		say "$stage: $name FAILED; the end of ${log#"$repo"/}:"
		tail -n 60 "$log"
		return 1
	fi
}

configure() {
	local dir=$1
	shift

	if [ -e "$dir/build.ninja" ]; then
		meson setup --reconfigure "$dir" "$repo" "$@" || meson setup --wipe "$dir" "$repo" "$@"
	else
		meson setup "$dir" "$repo" "$@"
	fi
}

# A release build of $repo, installed below a folder as on a host: build_stage FOLDER
build_stage() {
	CC=gcc step configure configure "$build/release" --prefix=/usr --sysconfdir=/etc --libexecdir=libexec \
		--buildtype=debugoptimized -Dtests=false &&
		step compile meson compile -C "$build/release" &&
		rm -rf "$1" &&
		step install meson install -C "$build/release" --no-rebuild --destdir "$1"
}
