#!/bin/bash
# SPDX-License-Identifier: MIT
# Whether larder-step can fail: larder is built with two steps in the wrong order, or one left out, so that everything is as it
# should be unless somebody dies in between; larder-step must find that. Unchanged, it must not.
# Last line: "N passed, N failed".
# shellcheck disable=SC2016 # the $ are perl's
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

mkdir "$work/tests"
cp -r Makefile libshm daemon "$work"
cp -r --parents tests/step tests/support tests/unit/support "$work"

build() {
	make -C "$work" --no-print-directory -j"$(nproc)" build/release/bin/larder-step >"$work/log" 2>&1 ||
		{ cat "$work/log"; exit 1; }
}

sound() { # options
	"$work/build/release/bin/larder-step" --points 400000 "$@" >"$work/log" 2>&1
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

mutant() { # name, file, perl substitution over the whole of it, scenarios
	cp "$2" "$work/$2"
	perl -0pi -e "$3" "$work/$2"
	if cmp -s "$2" "$work/$2"; then
		echo "nothing was changed; $2 looks different now, so adapt the pattern" >"$work/log"
		count "$1" no
		return
	fi
	build
	if sound --only "$4"; then
		count "$1: was not noticed" no
	else
		printf '%s: %s\n' "$1" "$(grep -m 1 'killed after' "$work/log" || tail -n 1 "$work/log")"
		count "$1" yes
	fi
	cp "$2" "$work/$2"
}

build
if sound --only set; then count "larder as it is" yes; else count "larder as it is" no; fi
mutant "published before it is complete" libshm/cache/write.c \
	's/(\tobject_complete\(arena, room\.offset, plan\);\n)(\tresult = publish\(writer, room\.generation[^\n]*\n)/$2$1/' "set, "
mutant "replaced before the new object is complete" libshm/cache/replace.c \
	's/(\tobject_complete\(arena, room\.offset, &plan\);\n)(.*?\t\treturn false;\n\t\}\n)/$2$1/s' "set, "
mutant "the intent is cleared before the object is placed" libshm/index/index.c \
	's/(\tif \(slot && word && slot_is_empty.*?\n)(\tfailpoint\("publish.intent_placed"\);\n)(.*?control_without_intent\(control\)\);\n)/$3$1/s' "set, "
mutant "an overflow bucket is linked before the object is in it" libshm/index/index.c \
	's/(\t\tif \(mirrored != moving && !cas_acq_rel\(&overflow->slots\[0\], &mirrored, moving\)\)\n\t\t\tcontinue;\n)(.*?\t\tif \(cas_acq_rel\(last, &moving, link\)\) \{\n)/$2\t\t\tcas_acq_rel(&overflow->slots[0], &mirrored, moving);\n/s' "overflow bucket"
mutant "a run begins before the end of its objects is marked" libshm/object/allocate.c \
	's/(\tallocate_end_objects\(arena, ret_run->next\);\n)(.*?\tstore_release\(&header->chunks, chunks\);\n)/$2$1/s' "used up"
mutant "a bucket is left before it is copied" libshm/index/split.c \
	's/(?=\tif \(!complete\) \{\n)/\tleave_bucket(arena, segment, home);\n/' "bucket"
mutant "a segment is retired before its objects are unlinked" daemon/reclaim.c \
	's/(\t\tif \(!empty\(reclaim, segment\)\) \{\n)/\t\tsegment_change(arena, segment, SEGMENT_CONDEMNED, SEGMENT_RETIRED);\n$1/' "keeper: "
mutant "a segment is free before it is clean" libshm/arena/segment.c \
	's/(static void recycle\(.*?)(\tfor \(uint32_t chunk.*?\n\t\}\n)(.*?segment_pack\(word\)\);\n)/$1$3$2/s' "keeper: "
mutant "an object is moved before it is copied" libshm/cache/move.c \
	's/\tobject_complete\(arena, offset, &plan\);\n\treturn (index_replace.*?);\n/\tbool moved = $1;\n\tobject_complete(arena, offset, &plan);\n\treturn moved;\n/s' "keeper: "
mutant "retired segments are forgotten" daemon/reclaim.c \
	's/\t\t\tfailpoint\("adopt.retired"\);\n\t\t\treclaim_retired\(reclaim, segment\);\n//' "keeper: "
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
