#!/bin/bash
# SPDX-License-Identifier: MIT
# Grace periods under torture: as they are they must hold; with each part left out they must be seen to fail.
#   tests/torture/test_grace.sh [seconds [seed]]
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

seconds=${1:-5}
seed=${2:-1}
torture=${LARDER_TORTURE:-build/release/bin/larder-torture}
passed=0 failed=0 skipped=0

count() { # whether it is right, name
	if [ "$1" = yes ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $2"
	fi
}

# A race need not show in the first run, and on a busy machine not in the fifth.
missed() { # what is left out
	for ((try = 1; try <= 20; try++)); do
		"$torture" grace --duration 4 --seed "$((seed + try))" --break "$1" || return 0
	done
	return 1
}

if "$torture" grace --duration "$seconds" --seed "$seed"; then count yes; else count no "grace periods"; fi
for part in membarrier epoch wait validity pins recheck; do
	# A processor sees its own stores in their order.
	if [ $part = membarrier ] && [ "$(nproc)" -eq 1 ]; then
		skipped=1
		continue
	fi
	echo "without $part:"
	if missed $part; then count yes; else count no "$part can be left out and nobody notices"; fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
