#!/bin/bash
# SPDX-License-Identifier: MIT
# The instructions of an operation must not grow unnoticed, and the comparison must notice.
set -euo pipefail
cd "$(dirname "$0")/../.."

bench=$LARDER_LIB/../bin/larder-bench
status=0
bench/instructions.sh --check "$bench" || status=$?
[ $status -eq 0 ] || exit $status

# A table that says less makes it fail.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp bench/instructions.sh "$copy"
sed -E 's/^get .*/get 100/' bench/instructions.txt >"$copy/instructions.txt"
if "$copy/instructions.sh" --check "$bench" >"$copy/log"; then
	echo "get grew from 100, and the check has not failed:"
	cat "$copy/log"
	exit 1
fi
grep -q '^get .*TOO MUCH$' "$copy/log"
