#!/bin/bash
# SPDX-License-Identifier: MIT
# Counts the instructions of one get, view (with its release), set and key of a 32-key mget, inside the library only, on
# an arena of 1000 entries. Unlike times these hardly depend on the machine: they can be compared from change to change.
#
# Each operation runs twice under callgrind, MORE and LESS times; the difference is free of start-up and of storing the
# entries. larderd itself runs natively. Usage: bench/instructions.sh [larder-bench]
set -euo pipefail

LESS=3200
MORE=16000

bench=${1:-$(dirname "$0")/../build/release/bin/larder-bench}
[ -x "$bench" ] || { echo "instructions.sh: no $bench; run make, or name the larder-bench" >&2; exit 1; }
command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is not installed" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# counted OPERATION COUNT FUNCTION...: prints the instructions inside these functions.
counted() {
	local operation=$1 count=$2 function
	local -a toggles=()
	shift 2
	for function; do
		toggles+=("--toggle-collect=$function")
	done
	if ! valgrind --tool=callgrind --callgrind-out-file="$work/out" "${toggles[@]}" \
		"$bench" instructions "$operation" --count "$count" 2>"$work/log"; then
		cat "$work/log" >&2
		return 1
	fi
	awk '/^totals:/ { print $2 }' "$work/out"
}

row() {
	local operation=$1 more less
	more=$(counted "$operation" "$MORE" "${@:2}")
	less=$(counted "$operation" "$LESS" "${@:2}")
	if [ "${more:-0}" -le "${less:-0}" ]; then
		echo "instructions.sh: callgrind did not find ${*:2} in $bench; is it stripped?" >&2
		return 1
	fi
	awk -v name="$operation" -v sum=$((more - less)) -v count=$((MORE - LESS)) \
		'BEGIN { printf "%-8s %8.1f\n", name, sum / count }'
}

printf '%-8s %8s\n' operation instr.
row get larder_get
row view larder_view larder_release
row set larder_set
row mget32 larder_mget
