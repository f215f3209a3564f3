#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes one thing wrong after another (mutate.pl) and sees whether that is noticed: by larder-weak, which runs the code under a weak memory
# model, or by a test program. What noticed it the last time stands in docs/MUTATIONS.md and is tried first (who adds a mutation may write
# there what should notice it); only if that does not notice it any more, all of larder-weak is run. A mutation that nothing notices is a failure: either what it takes away is not needed,
# or a scenario is missing.
#
#	tests/mutate/run.sh [pattern]     all, or those whose name matches; PART=1/3: each third of them, from the first on;
#	                                  PART=commit/3: another third for another commit; RECORD=no: leaves docs/MUTATIONS.md as it is
#
# One line per mutation; the last line is "N passed, N failed". JOBS at a time (default: all processors).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

here=$PWD
table=$here/docs/MUTATIONS.md
mutate=$here/tests/mutate/mutate.pl
seconds=1800 # for one; nothing has to be that slow, and what is decides nothing
part=${PART:-1/1}
if [ "${part%/*}" = commit ]; then part=$((0x$(git rev-parse --short=7 HEAD 2>/dev/null || echo 0) % ${part#*/}))/${part#*/}; fi
jobs=${JOBS:-$(nproc)}
weak=build/release/bin/larder-weak
work=$(mktemp -d) || exit 1
trap 'record; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export CK_DEFAULT_TIMEOUT=$seconds
unset MAKEFLAGS MFLAGS DEVELOPER # warnings of what is left out are no errors

build() { # tree, programs...
	make -C "$1" --no-print-directory -j"${build_jobs:-1}" "${@:2}"
}

# What was found so far, even if that is not all.
record() {
	[ "${RECORD:-yes}" != no ] || return 0
	cat "$work"/result.* >"$work/results" 2>/dev/null && perl "$mutate" record "$table" "$work/all" "$work/results"
}

# The program that a killer is.
program() {
	case $1 in
	*/check_*) echo "build/release/tests/unit/$1" ;;
	*) echo "$weak" ;;
	esac
}

# Runs a killer, or all of larder-weak. Return: 0: it passes; 1: it fails, and what failed was printed; 2: that is not clear.
try() { # tree, killer or nothing
	local log=$1.log status
	case $2 in
	*/check_*)
		timeout "$seconds" "$1/$(program "$2")" >"$log" 2>&1
		status=$?
		[ $status -eq 0 ] && return 0
		{ [ $status -eq 124 ] || grep -q 'Test timeout expired' "$log"; } && return 2
		echo "$2"
		;;
	*)
		WEAK_FIRST=1 JOBS=1 timeout "$seconds" "$1/$weak" ${2:+"$2"} >"$log" 2>&1
		status=$?
		[ $status -eq 0 ] && return 0
		awk '$1 == "FAILED" { print $2; found = 1; exit } END { exit !found }' "$log" || return 2
		;;
	esac
	return 1
}

# Without a mutation, whoever is said to have noticed it must pass.
sound() { # killer
	[ -e "$work/sound/${1//\//:}" ] && return
	local log=$work/whole.$BASHPID.log

	if ! build "$work/whole" "$(program "$1")" >"$log" 2>&1 || ! case $1 in
		*/check_*) (cd "$here" && timeout "$seconds" "$work/whole/$(program "$1")") ;;
		*) JOBS=1 "$work/whole/$weak" "$1" ;;
		esac >"$log" 2>&1; then
		tail -n 5 "$log" >&2
		return 1
	fi
	touch "$work/sound/${1//\//:}"
}

one() { # number, name, file, recorded killer
	local tree=$work/tree.$1 name=$2 file=$3 killer=$4 verdict='' result=FAIL began=$EPOCHREALTIME
	local wanted=$weak

	cp -a "$work/whole" "$tree"
	[ -n "$killer" ] && wanted=$(program "$killer")
	if ! perl "$mutate" apply "$tree" "$name" >"$tree.log" 2>&1 || ! build "$tree" "$wanted" >"$tree.log" 2>&1; then
		verdict=BROKEN
		tail -n 5 "$tree.log"
	elif [ -z "$killer" ] || { verdict=$(try "$tree" "$killer") && build "$tree" "$weak" >"$tree.log" 2>&1; }; then
		verdict=$(try "$tree" '')
		case $? in
		0) verdict=SURVIVED ;;
		1) sound "$verdict" && result=ok || verdict="UNSOUND $verdict" ;;
		*) verdict=UNDECIDED ;;
		esac
	elif [ -n "$verdict" ]; then
		result=ok
	else
		verdict=UNDECIDED
		tail -n 5 "$tree.log"
	fi
	printf '%s\t%s\t%s\t%s\n' "$name" "$file" "$verdict" $result >"$work/result.$1"
	printf '%-4s %-66s %-26s %-30s %5.1f s\n' $result "$name" "$file" "$verdict" \
		"$(awk "BEGIN { print $EPOCHREALTIME - $began }")"
	rm -rf "$tree" "$tree.log"
}

# ---- what is to be done -----------------------------------------------------------------------------------------------

mkdir -p "$work/whole" "$work/sound"
cp -a Makefile libshm daemon tests tools "$work/whole"
perl "$mutate" prepare "$work/whole" || exit 1
perl "$mutate" list "$here" >"$work/all" || exit 1
number=0
while IFS=$'\t' read -r name file; do
	[[ $name =~ ${1:-.} ]] || continue
	number=$((number + 1))
	[ $((number % ${part#*/})) -eq $((${part%/*} % ${part#*/})) ] || continue
	killer=$(perl "$mutate" killer "$table" "$name") || exit 1
	printf '%s\t%s\t%s\n' "$name" "$file" "$killer"
done <"$work/all" >"$work/list"
mapfile -t killers < <(cut -f3 "$work/list" | sort -u | grep .)
programs=("$weak")
for killer in "${killers[@]}"; do programs+=("$(program "$killer")"); done
mapfile -t programs < <(printf '%s\n' "${programs[@]}" | sort -u)
build_jobs=$jobs build "$work/whole" "${programs[@]}" >"$work/whole.build" 2>&1 || {
	tail -n 20 "$work/whole.build"
	exit 1
}
for killer in "${killers[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	sound "$killer" || echo "$killer" >>"$work/unsound" &
done
wait
if [ -e "$work/unsound" ]; then
	printf '%s fails without any mutation\n' "$(paste -sd' ' "$work/unsound")"
	echo "0 passed, 1 failed"
	exit 1
fi

# ---- doing it ---------------------------------------------------------------------------------------------------------

number=0
while IFS=$'\t' read -r name file killer; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	number=$((number + 1))
	one $number "$name" "$file" "$killer" &
done <"$work/list"
wait
passed=$(cat "$work"/result.* 2>/dev/null | grep -c $'\tok$')
echo "$passed passed, $((number - passed)) failed"
[ "$number" -gt 0 ] && [ "$passed" -eq "$number" ]
