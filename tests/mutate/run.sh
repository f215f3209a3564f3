#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes one thing wrong after another (mutate.pl) and sees whether larder-weak, which runs the code under a weak memory model,
# notices. A mutation that nothing notices is a failure: either it is not needed, or a scenario is missing.
#
#	tests/mutate/run.sh [pattern]     all, or those whose name matches; PART=1/3: each third of them, from the first on
#
# One line per mutation; the last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

here=$PWD
seconds=600 # for one; nothing has to be that slow
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
part=${PART:-1/1}
weak=build/release/bin/larder-weak

mkdir -p "$tree/build"
cp -a Makefile libshm daemon tests tools "$tree"
if [ -d build/release ]; then cp -a build/release "$tree/build"; fi
build() { # what
	make -C "$tree" --no-print-directory -j"$(nproc)" "$1" >"$work/log" 2>&1
}
search() {
	WEAK_FIRST=1 JOBS=$(nproc) timeout "$seconds" "$tree/$weak" >"$work/log" 2>&1
}

# Puts back what a mutation changed.
restore() {
	cp "$here/$1" "$tree/$1"
}

perl "$here/tests/mutate/mutate.pl" prepare "$tree" || exit 1
build $weak || { tail -n 20 "$work/log"; exit 1; }
if ! search; then
	tail -n 20 "$work/log"
	echo "without any mutation larder-weak fails already"
	exit 1
fi

perl "$here/tests/mutate/mutate.pl" list "$here" >"$work/list" || exit 1
passed=0 failed=0 number=0
while IFS=$'\t' read -r name file killer; do
	[[ $name =~ ${1:-.} ]] || continue
	number=$((number + 1))
	[ $((number % ${part#*/})) -eq $((${part%/*} % ${part#*/})) ] || continue
	began=$EPOCHREALTIME
	if ! perl "$here/tests/mutate/mutate.pl" apply "$tree" "$name" >"$work/log" 2>&1 || ! build $weak; then
		verdict=BROKEN
		tail -n 5 "$work/log"
	elif [ -n "$killer" ] && { ! build "build/release/$killer" || ! "$tree/build/release/$killer" >"$work/log" 2>&1; }; then
		verdict=${killer#tests/unit/}
	else
		search
		case $? in
		0) verdict=SURVIVED ;;
		124) verdict=UNDECIDED ;;
		*) verdict=$(awk '$1 == "FAILED" { print $2; exit }' "$work/log") ;;
		esac
	fi
	restore "$file"
	case $verdict in
	SURVIVED | UNDECIDED | BROKEN | '') failed=$((failed + 1)) ;;
	*) passed=$((passed + 1)) ;;
	esac
	printf '%-62s %-28s %-26s %5.1f s\n' "$name" "$file" "$verdict" \
		"$(awk "BEGIN { print $EPOCHREALTIME - $began }")"
done <"$work/list"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
