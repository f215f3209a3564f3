#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether the check of linearizability can fail: larder is built with one compare-and-swap of the index made a plain store,
# and larder-linear must find the histories wrong. Unchanged, it must not. Last line: "N passed, N failed".
# shellcheck disable=SC2016 # the $ are perl's
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

cp -r Makefile libshm daemon "$work"
mkdir "$work/tests"
cp -r tests/linear tests/support "$work/tests"

build() {
	make -C "$work" --no-print-directory -j"$(nproc)" build/release/bin/larderd build/release/bin/larder-linear \
		>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}

# Up to five runs, for a race need not show in the first; one that finds something ends it.
violated() {
	for _ in 1 2 3 4 5; do
		LARDERD=$work/build/release/bin/larderd "$work/build/release/bin/larder-linear" --operations 400000 \
			>"$work/log" 2>&1 || return 0
	done
	return 1
}

count() { # name, whether it is right
	if [ "$2" = yes ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s; the end of the log:\n' "$1"
		tail -n 5 "$work/log"
	fi
}

mutant() { # name, file, perl substitution over the whole of it
	cp "$2" "$work/$2"
	perl -0pi -e "$3" "$work/$2"
	if cmp -s "$2" "$work/$2"; then
		echo "nothing was changed for: $1; $2 looks different now, so adapt the pattern" >"$work/log"
		count "$1" no
		return
	fi
	build
	if violated; then count "$1" yes; else count "$1 was not noticed" no; fi
	cp "$2" "$work/$2"
}

build
if violated; then count "larder as it is" no; else count "larder as it is" yes; fi
mutant "replacing by a plain store" libshm/index/index.h \
	's/if \(!cas_acq_rel\(slot, &word, new_word\)\)/if (store_relaxed(slot, new_word), !word)/'
mutant "emptying by a plain store" libshm/index/index.c \
	's/if \(!cas_acq_rel\((index_slot_at\(chain, position\)), &word, (empty_pack\(control_sequence\(control\), word\))\)\)/if (store_relaxed($1, $2), !word)/'
mutant "an intent by a plain store" libshm/index/index.c \
	's/if \(!cas_acq_rel\(&chain->bucket\[0\]->control, &expected, control\)\)/if (store_relaxed(&chain->bucket[0]->control, control), !expected)/'
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
