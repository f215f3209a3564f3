#!/bin/bash
# SPDX-License-Identifier: MIT
# Searches every state of the models. A run that must pass has to pass, one that is broken on purpose has to be caught.
#
#	tests/model/run.sh [model...]
#
# One line per run; the last line is "N passed, N failed". JOBS runs at a time (default: all processors).

set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
memory_mb=3500
seconds=300

# one NUMBER EXPECTATION MODEL FLAGS...: searches one variant. EXPECTATION: pass; caught (an assertion fails); progress (it passes, and
# there is no cycle: nobody waits for anybody); waits (there is one).
one()
{
	local number=$1 expectation=$2 model=$3 dir="$work/$1" verdict states began=$EPOCHREALTIME
	shift 3
	local compile=(-DSAFETY) search=()

	if [ "$expectation" = progress ] || [ "$expectation" = waits ]; then
		compile=(-DNP)
		search=(-l)
	fi
	mkdir "$dir" && cp "$here"/*.pml "$here"/*.h "$dir" && cd "$dir" || return 1
	# Broken variants leave gaps in the inlined text, of which the compiler warns in vain: -w.
	spin -a "$@" "$model.pml" >spin.log 2>&1 &&
		gcc -O2 -w -DCOLLAPSE -DMEMLIM=$memory_mb "${compile[@]}" -o pan pan.c >gcc.log 2>&1 &&
		timeout $seconds ./pan -w24 -m200000 "${search[@]}" >pan.log 2>&1
	verdict=broken
	if grep -q 'errors: 0$' pan.log 2>/dev/null && ! grep -qE 'max search depth|out of memory|memory limit' pan.log; then
		verdict=pass
	elif grep -q '^pan.*assertion violated' pan.log 2>/dev/null; then
		verdict=caught
	elif grep -q '^pan.*non-progress cycle' pan.log 2>/dev/null; then
		verdict=waits
	fi
	states=$(awk '/states, stored/ { print $1; exit }' pan.log 2>/dev/null)
	local result=FAIL
	[ "$verdict" = "${expectation/progress/pass}" ] && result=ok
	printf '%-4s %-9s %-8s %-44s %10s states %6.1f s\n' "$result" "$expectation" "$model" "$*" "${states:-?}" \
		"$(awk "BEGIN { print $EPOCHREALTIME - $began }")"
	if [ $result = FAIL ]; then
		echo "     it came to: $verdict"
		tail -n 5 spin.log gcc.log pan.log 2>/dev/null | sed 's/^/     /'
	fi
	echo "$result" >"$work/result.$number"
	rm -rf "$dir"
}

runs=0
wanted=" $* "
jobs=${JOBS:-$(nproc)}
add()
{
	[ "$wanted" = "  " ] || [[ "$wanted" == *" $2 "* ]] || return 0
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
	runs=$((runs + 1))
	one $runs "$@" &
}

for tool in spin gcc awk; do
	command -v $tool >/dev/null || { echo "$0: needs $tool" >&2; exit 1; }
done

add pass     bucket  -DRUN=1
add pass     bucket  -DRUN=2
add pass     bucket  -DRUN=3
add progress bucket  -DRUN=1
add waits    bucket  -DRUN=1 -DBROKEN_WAITS
add caught   bucket  -DRUN=1 -DBROKEN_NO_INTENT
add caught   bucket  -DRUN=1 -DBROKEN_UNVERSIONED
add caught   bucket  -DRUN=1 -DBROKEN_SEQUENCE_FIRST
add caught   bucket  -DRUN=2 -DBROKEN_NO_RECHECK

add pass     claim
add pass     claim   -DFOREIGN
add progress claim   -DFOREIGN
add caught   claim   -DFOREIGN -DBROKEN_BLIND
add caught   claim   -DBROKEN_NOT_MINE

add pass     chain   -DRUN=1
add pass     chain   -DRUN=2
add pass     chain   -DRUN=3
add pass     chain   -DRUN=4
add pass     chain   -DRUN=5
add pass     chain   -DRUN=6
add progress chain   -DRUN=2
add progress chain   -DRUN=3
add caught   chain   -DRUN=1 -DBROKEN_MIRROR_LAST
add caught   chain   -DRUN=2 -DBROKEN_MIRROR_ONCE
add caught   chain   -DRUN=2 -DBROKEN_NO_NONCE

add pass     split   -DRUN=1
add pass     split   -DRUN=2
add pass     split   -DRUN=3
add pass     split   -DRUN=4
add pass     split   -DRUN=5
add pass     split   -DRUN=11
add pass     split   -DRUN=12
add pass     split   -DRUN=13
add pass     split   -DRUN=14
add pass     split   -DRUN=21
add pass     split   -DRUN=22
add pass     split   -DRUN=2 -DCROWDED
add pass     split   -DRUN=4 -DCROWDED
add progress split   -DRUN=2
add progress split   -DRUN=21
add caught   split   -DRUN=2 -DBROKEN_NO_FREEZE
add caught   split   -DRUN=2 -DBROKEN_READER
add caught   split   -DRUN=3 -DBROKEN_NOT_VIRGIN
add caught   split   -DRUN=5 -DBROKEN_NO_SEAL
add caught   split   -DRUN=2 -DBROKEN_CHILD_FIRST

add pass     rebuild -DRUN=1
add pass     rebuild -DRUN=2
add pass     rebuild -DRUN=3
add pass     rebuild -DRUN=4
add pass     rebuild -DRUN=5
add pass     rebuild -DRUN=6
add progress rebuild -DRUN=1
add caught   rebuild -DRUN=1 -DBROKEN_PARTED
add caught   rebuild -DRUN=2 -DBROKEN_NO_FREEZE
add caught   rebuild -DRUN=4 -DBROKEN_READER
add caught   rebuild -DRUN=3 -DBROKEN_NO_SEAL
add caught   rebuild -DRUN=6 -DBROKEN_NOT_VIRGIN

add pass     merge   -DRUN=1
add pass     merge   -DRUN=2
add pass     merge   -DRUN=3
add pass     merge   -DRUN=4
add pass     merge   -DRUN=5
add pass     merge   -DRUN=6
add pass     merge   -DRUN=11
add pass     merge   -DRUN=12
add pass     merge   -DRUN=13
add pass     merge   -DRUN=14
add pass     merge   -DRUN=21
add pass     merge   -DRUN=22
add pass     merge   -DRUN=31 -DTIGHT -DUPPER=3
add pass     merge   -DRUN=32 -DTIGHT -DUPPER=3
add pass     merge   -DRUN=11 -DCROWDED
add pass     merge   -DRUN=14 -DCROWDED
add progress merge   -DRUN=2
add progress merge   -DRUN=31 -DTIGHT -DUPPER=3
add caught   merge   -DRUN=4 -DBROKEN_NO_FREEZE
add caught   merge   -DRUN=4 -DBROKEN_ONE_FROZEN
add caught   merge   -DRUN=1 -DBROKEN_OWN_FIRST
add caught   merge   -DRUN=2 -DBROKEN_MOVED_EARLY
add caught   merge   -DRUN=3 -DBROKEN_READER
add caught   merge   -DRUN=5 -DBROKEN_NO_SEAL
add caught   merge   -DRUN=12 -DBROKEN_NOT_VIRGIN
add caught   merge   -DRUN=31 -DTIGHT -DUPPER=3 -DBROKEN_ONE_NAMED

add pass     epoch   -DRECYCLES=2 -DRUN=1
add pass     epoch   -DRECYCLES=2 -DRUN=2
add pass     epoch   -DRECYCLES=2 -DRUN=3
add pass     epoch   -DRECYCLES=2 -DRUN=4
add pass     epoch   -DRECYCLES=2 -DRUN=5
add pass     epoch   -DRECYCLES=2 -DRUN=6
add pass     epoch   -DRECYCLES=2 -DRUN=7
add pass     epoch   -DRECYCLES=2 -DRUN=8
add caught   epoch   -DRECYCLES=2 -DRUN=1 -DBROKEN_NO_EXIT_CHECK
add caught   epoch   -DRECYCLES=2 -DRUN=1 -DBROKEN_EPOCH_FIRST
add caught   epoch   -DRECYCLES=2 -DRUN=2 -DBROKEN_PIN_LATE
add caught   epoch   -DRECYCLES=2 -DRUN=2 -DBROKEN_NO_LOOK_AT_LINES
add caught   epoch   -DRECYCLES=2 -DRUN=8 -DBROKEN_OVER_ANOTHER
add caught   epoch   -DRECYCLES=2 -DRUN=3 -DBROKEN_CHECK_BEFORE_PIN
add caught   epoch   -DRECYCLES=2 -DRUN=3 -DBROKEN_NO_WRITE_PIN_WAIT
add caught   epoch   -DRECYCLES=2 -DRUN=4 -DBROKEN_ADD_UNPINNED

add pass     revoked -DRUN=1
add pass     revoked -DRUN=2
add pass     revoked -DRUN=3
add caught   revoked -DRUN=1 -DBROKEN_UNCHECKED
add caught   revoked -DRUN=2 -DBROKEN_UNCHECKED
add caught   revoked -DRUN=3 -DBROKEN_IGNORES_PINS
add caught   revoked -DRUN=3 -DBROKEN_UNCHECKED
add caught   revoked -DRUN=3 -DBROKEN_PIN_AFTER_CHECK

add pass     unlink
add caught   unlink  -DBROKEN_NO_RECHECK
add caught   unlink  -DBROKEN_WALK_IGNORES_INTENTS

add pass     chunk
add caught   chunk   -DBROKEN_UNCHECKED
add caught   chunk   -DBROKEN_HEADER_FIRST
add caught   chunk   -DBROKEN_HEADERS_KEPT

add pass     extent  -DRUN=1
add pass     extent  -DRUN=2
add pass     extent  -DRUN=3
add caught   extent  -DRUN=1 -DBROKEN_HEAD_FIRST
add caught   extent  -DRUN=1 -DBROKEN_REST_FIRST
add caught   extent  -DRUN=2 -DBROKEN_NO_SWEEP

wait
passed=$(cat "$work"/result.* 2>/dev/null | grep -c '^ok$')
echo "$passed passed, $((runs - passed)) failed"
[ "$runs" -gt 0 ] && [ "$passed" -eq "$runs" ]
