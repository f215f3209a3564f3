#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs test programs one after another and adds up what they say.
#   tests/run.sh [-t seconds] [-w wrapper] LOGS program... [--huge program...]
#
# A program's count is what it prints: libcheck's "NN%: Checks: c, Failures: f, Errors: e", or a last line
# "N passed, N failed[, N skipped]"; one that prints neither is one case, by its exit status. Status 77 is a skip.
# Programs after --huge run with LARDER_TEST_PAGES=huge while some huge pages are reserved; where none can be, they are
# counted as skipped. The last line is "N passed, N failed[, N skipped]"; the status is 1 when anything failed.
set -uo pipefail

timeout=180
wrapper=()
while getopts t:w: option; do
	case $option in
	t) timeout=$OPTARG ;;
	w) read -ra wrapper <<<"$OPTARG" ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
logs=$1
shift
mkdir -p "$logs"

huge_pages_wanted=64
huge_pages_file=/proc/sys/vm/nr_hugepages
huge_pages_before=

restore_huge_pages() {
	[ -z "$huge_pages_before" ] || echo "$huge_pages_before" >$huge_pages_file
	huge_pages_before=
}
trap restore_huge_pages EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Adds to the pages that are free until so many are; false when the kernel has no more, or this is not root.
reserve_huge_pages() {
	local before free
	# One run at a time, so that each restores what it found; the tests do not inherit the lock.
	{ exec 8<$huge_pages_file; } 2>/dev/null && flock -w 600 8 || return 1
	before=$(cat $huge_pages_file)
	free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
	[ "$free" -ge $huge_pages_wanted ] && return 0
	{ echo $((before + huge_pages_wanted - free)) >$huge_pages_file; } 2>/dev/null || return 1
	huge_pages_before=$before
	free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
	[ "$free" -ge $huge_pages_wanted ]
}

# Prints "checks failures skips" from a log and an exit status.
count() {
	awk -v status="$2" '
		/^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ {
			gsub(/[^0-9 ]/, ""); checks += $2; failures += $3 + $4; found = 1
		}
		{ last = $0 }
		END {
			if (last ~ /^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/) {
				split(last, n, /[^0-9]+/); checks = n[1] + n[2]; failures = n[2]; skips = n[3] + 0; found = 1
			}
			if (status == 77) { print 0, 0, 1; exit }
			if (!found) checks = 1
			# A program that dies after it counted, or counts nothing and fails, has failed all the same.
			if (status != 0 && failures == 0) { failures = 1; if (found) checks++ }
			print checks + 0, failures + 0, skips + 0
		}' "$1"
}

passed=0 failed=0 skipped=0
run() {
	local name=$1 program=$2 log status started checks failures skips word
	log=$logs/${name//[\/ ]/_}.log
	started=$SECONDS
	timeout --kill-after=10 "$timeout" "${wrapper[@]}" "$program" </dev/null >"$log" 2>&1 8<&-
	status=$?
	[ $status -eq 124 ] && echo "(stopped: it took longer than $timeout s)" >>"$log"
	read -r checks failures skips < <(count "$log" $status)
	passed=$((passed + checks - failures)) failed=$((failed + failures)) skipped=$((skipped + skips))
	word=ok
	[ "$skips" -gt 0 ] && [ "$checks" -eq 0 ] && word=skip
	[ "$failures" -gt 0 ] && word=FAIL
	printf '%-4s  %-48s %4d passed' $word "$name" $((checks - failures))
	[ "$failures" -gt 0 ] && printf ', %d failed' "$failures"
	[ "$skips" -gt 0 ] && printf ', %d skipped' "$skips"
	[ $((SECONDS - started)) -gt 1 ] && printf '  (%d s)' $((SECONDS - started))
	echo
	if [ $word = FAIL ]; then
		echo "      status $status; the end of $log:"
		tail -n 40 "$log" | sed 's/^/      | /'
	fi
}

pages=
for program in "$@"; do
	if [ "$program" = --huge ]; then
		pages=none
		reserve_huge_pages && pages=huge
		continue
	fi
	name=${program#build/*/}
	case $pages in
	'') run "$name" "$program" ;;
	huge) LARDER_TEST_PAGES=huge run "$name (huge pages)" "$program" ;;
	none)
		printf 'skip  %-48s no huge pages to be had\n' "$name (huge pages)"
		skipped=$((skipped + 1))
		;;
	esac
done

summary="$passed passed, $failed failed"
[ $skipped -gt 0 ] && summary+=", $skipped skipped"
echo "$summary"
[ $failed -eq 0 ]
