#!/bin/bash
# SPDX-License-Identifier: MIT
# The labels of releases and acquires (libshm/base/atomics.h says how they are written): each store_release and each
# load_acquire carries one, on its line or in the comment above; each release has an acquire and the other way round; each
# pair is in docs/MEMORY-ORDER.md and that lists no other.
# shellcheck disable=SC2016 # the $ are awk's
set -euo pipefail
cd "$(dirname "$0")/../.."

list=docs/MEMORY-ORDER.md
{
	find libshm daemon -name '*.[ch]' ! -path libshm/base/atomics.h | sort
	find $list 2>/dev/null || true
} | xargs awk -v list=$list -v have_list="$(find $list 2>/dev/null)" '
	function complain(place, sentence) {
		print place ": " sentence
		bad = 1
	}
	function labels(text, pattern, side,    number) {
		while (match(text, pattern)) {
			number = substr(text, RSTART, RLENGTH)
			text = substr(text, RSTART + RLENGTH)
			split(number, half, /[^0-9]+/)
			if (half[2] != half[3])
				complain(FILENAME ":" FNR, "\"" number "\" joins two numbers; a pair has one")
			if (!((side, half[2]) in place))
				place[side, half[2]] = FILENAME ":" FNR
			seen[half[2]] = 1
		}
	}
	FNR == 1 { above = 0 }
	FILENAME == list {
		text = " " $0 " "
		while (match(text, /[^A-Za-z0-9]R[0-9]+[^A-Za-z0-9]/)) {
			listed[substr(text, RSTART + 2, RLENGTH - 3) + 0] = FILENAME ":" FNR
			text = substr(text, RSTART + RLENGTH - 1)
		}
		next
	}
	{
		is_comment = $0 ~ /^[ \t]*(\/\*|\*)/
		here = $0 ~ /R[0-9]+ -> A[0-9]+|A[0-9]+ <- R[0-9]+/
		labels($0, "R[0-9]+ -> A[0-9]+", "R")
		labels($0, "A[0-9]+ <- R[0-9]+", "A")
		if (match($0, /R[0-9]+ -> A[0-9]+: [^ ]/))
			explained[substr($0, RSTART + 1) + 0] = 1
		if (!is_comment && $0 ~ /(^|[^a-z_])(store_release|fetch_sub_release)\(/ && !here && !above)
			complain(FILENAME ":" FNR, "a release without a label; add /* R<n> -> A<n>: what breaks without it */")
		if (!is_comment && $0 ~ /(^|[^a-z_])load_acquire\(/ && !here && !above)
			complain(FILENAME ":" FNR, "an acquire without a label; add /* A<n> <- R<n> */ of the release it reads")
		# A comment speaks for the statement below it, over as many lines as that takes.
		if (here)
			above = 1
		if (!is_comment && $0 ~ /[;{}][ \t]*(\/\*.*)?$/)
			above = 0
	}
	END {
		for (number in seen) {
			if (!(("R", number) in place))
				complain(place["A", number], "A" number " has no release R" number "; label it, or drop this acquire")
			if (!(("A", number) in place))
				complain(place["R", number], "R" number " has no acquire A" number "; label it, or drop this release")
			if (("R", number) in place && !(number in explained))
				complain(place["R", number], "say what breaks without it: /* R" number " -> A" number ": ... */")
			if (have_list != "" && !(number in listed))
				complain(place["R", number], "R" number " is not in " list "; add it there")
		}
		for (number in listed)
			if (!(number in seen))
				complain(listed[number], "R" number " is listed but is nowhere in the code; remove it here")
		exit bad
	}'
