#!/bin/bash
# SPDX-License-Identifier: MIT
# Counts the instructions of one get, view (with its release), set and key of a 32-key mget, inside the library only, on
# an arena of 1000 entries. Unlike times these hardly depend on the machine: they can be compared from change to change.
#
# Each operation runs twice under callgrind, MORE and LESS times; the difference is free of start-up and of storing the
# entries. larderd itself runs natively.
#
# Usage: bench/instructions.sh [--check] [larder-bench]
# --check compares with bench/instructions.txt: status 1 when an operation takes over GROWTH_MAX % more than there; 77 where
# that cannot be said: no valgrind, or the program is of another compiler or processor than the table.
set -euo pipefail

LESS=3200
MORE=16000
GROWTH_MAX=3

here=$(dirname "$0")
check=false
if [ "${1:-}" = --check ]; then
	check=true
	shift
fi
table=$here/instructions.txt
bench=${1:-$here/../build/release/bin/larder-bench}

unable() { # reason
	echo "instructions.sh: $1" >&2
	if $check; then exit 77; else exit 1; fi
}

[ -x "$bench" ] || { echo "instructions.sh: no $bench; run make, or name the larder-bench" >&2; exit 1; }
command -v valgrind >/dev/null || unable "valgrind is not installed"
compiler="$(readelf -p .comment "$bench" | sed -nE 's/.*(GCC|clang).* ([0-9]+)\.[0-9]+\.[0-9]+.*/\1 \2/p' | sort -u | paste -sd ,), $(uname -m)"
if $check && ! grep -qxF "# $compiler" "$table"; then
	unable "$bench is of $compiler; $table is of $(sed -n 's/^# //p' "$table" | tail -n 1)"
fi

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
	awk -v name="$operation" -v sum=$((more - less)) -v count=$((MORE - LESS)) -v check=$check -v max=$GROWTH_MAX \
		-v before="$(awk -v name="$operation" '$1 == name { print $2 }' "$table")" '
		BEGIN {
			now = sum / count
			if (check == "false") { printf "%-10s %8.1f\n", name, now; exit }
			growth = before > 0 ? (now / before - 1) * 100 : 100
			printf "%-10s %8.1f %8.1f %+7.1f %%%s\n", name, now, before, growth, (growth > max ? "  TOO MUCH" : "")
			exit (growth > max)
		}'
}

status=0
if $check; then printf '%-10s %8s %8s %9s\n' operation instr. before growth; else printf '%-10s %8s\n' operation instr.; fi
row get larder_get || status=1
row view larder_view larder_release || status=1
row set larder_set || status=1
row mget32 larder_mget || status=1
row get-ttl larder_get || status=1
row view-ttl larder_view larder_release || status=1
row mget32-ttl larder_mget || status=1
if [ $status -ne 0 ] && $check; then
	echo "If the growth is worth it, say why in the commit and bring $table up to date."
fi
exit $status
