#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs fuzzers, and the storm, for so many seconds each: tests/fuzz/run.sh SECONDS program...
#
# Each begins with the inputs of tests/fuzz/corpus and with what earlier runs came to; it keeps what is new beside itself, in
# corpus/, and what it finds in findings/. The last line is "N passed, N failed".
set -uo pipefail

seconds=$1
shift
passed=0 failed=0
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

for fuzzer in "$@"; do
	name=${fuzzer##*/}
	name=${name#fuzz_}
	home=${fuzzer%/*}
	log=$home/$name.log
	mkdir -p "$home/corpus/$name" "$home/findings"
	if [ "${fuzzer##*/}" = storm ]; then
		if "$fuzzer" "$seconds" >"$log" 2>&1; then
			passed=$((passed + 1))
			printf 'ok    %s\n' "$(head -n 1 "$log")"
		else
			failed=$((failed + 1))
			printf 'FAIL  storm; the end of %s:\n' "$log"
			tail -n 60 "$log" | sed 's/^/      | /'
		fi
		continue
	fi
	"$fuzzer" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -max_len=1024 -print_final_stats=1 \
		-artifact_prefix="$home/findings/$name-" "$home/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1
	status=$?
	inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
	if [ $status -eq 0 ]; then
		passed=$((passed + 1))
		printf 'ok    fuzz %-10s %8s inputs, %s\n' "$name" "$inputs" "$covered"
		continue
	fi
	failed=$((failed + 1))
	printf 'FAIL  fuzz %-10s %8s inputs; the end of %s:\n' "$name" "$inputs" "$log"
	grep -vE '^(#[0-9]+|INFO|")' "$log" | tail -n 60 | sed 's/^/      | /'
	printf '      again: %s %s\n' "$fuzzer" "$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
done
printf '%d passed, %d failed\n' $passed $failed
[ $failed -eq 0 ]
