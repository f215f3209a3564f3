#!/bin/bash
# SPDX-License-Identifier: MIT
# Short runs of larder-linear, each with a seed of its own: first where nothing is evicted, then where memory is reused all
# the time and processes are stopped wherever they are.
#   tests/linear/test_linear.sh [rounds [operations]]
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

rounds=${1:-1}
operations=${2:-1000000}
linear=${LARDER_LINEAR:-build/release/bin/larder-linear}
passed=0 failed=0
for ((round = 0; round < rounds; round++)); do
	for mode in --strict --evicting; do
		seed=$((RANDOM << 15 | RANDOM))
		if "$linear" "$mode" --operations "$operations" --seed $seed; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
			echo "FAILED: $linear $mode --operations $operations --seed $seed"
		fi
	done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
