#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what is missing of the packages named (Debian and its kin). Silent and quick when nothing is.
#   tools/deps.sh package...
set -euo pipefail

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	# Elsewhere packages have other names; say what is needed where something visibly is not there.
	missing=()
	for header in urcu.h xxhash.h snappy-c.h check.h event2/event.h ini.h; do
		echo "#include <$header>" | "${CC:-cc}" -E -x c - >/dev/null 2>&1 || missing+=("<$header>")
	done
	[ ${#missing[@]} -eq 0 ] && exit 0
	echo "make deps: only apt-get is known here, and the compiler does not find ${missing[*]}." >&2
	echo "Install what these Debian packages hold with your system's own tool: $*" >&2
	exit 1
fi

missing=()
for package in "$@"; do
	state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "make deps: not root, and there is no sudo. As root: apt-get install --no-install-recommends ${missing[*]}" >&2
		exit 1
	fi
	as_root=(sudo)
fi

echo "make deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet)
if ! { "${apt[@]}" update && "${apt[@]}" install --yes --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
	cat "$log" >&2
	echo "make deps: apt-get could not install ${missing[*]}; the reason stands above." >&2
	exit 1
fi
