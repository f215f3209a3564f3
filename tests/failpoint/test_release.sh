#!/bin/bash
# SPDX-License-Identifier: MIT
# An ordinary build knows nothing of failpoints: the object files of library and daemon are the same, byte for byte, when the
# lines that speak of them are deleted from the sources. Last line: "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

mkdir "$work/with"
cp -r Makefile libshm daemon "$work/with"
cp -r "$work/with" "$work/without"
find "$work/without" -name '*.[ch]' ! -name 'failpoint.*' -print0 |
	xargs -0 sed -i -E '/^\s*failpoint(_arm|_next_keeper)?\([^)]*\);$/d; /#include "base\/failpoint\.h"/d'
rm "$work/without/libshm/base/failpoint."[ch]
if grep -rn failpoint "$work/without/libshm" "$work/without/daemon"; then
	echo "a line that speaks of failpoints was not understood; write failpoint(\"...\"); on a line of its own"
	failed=1
fi
for tree in with without; do
	# Without debugging information, which tells the lines apart.
	make -C "$work/$tree" --no-print-directory -j"$(nproc)" CFLAGS=-O2 lib build/release/bin/larderd >"$work/log" 2>&1 ||
		{ cat "$work/log"; exit 1; }
done
while read -r object; do
	if cmp "$work/with/$object" "$work/without/$object"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done < <(cd "$work/with" && find build -name '*.o' | sort)
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
