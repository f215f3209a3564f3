#!/bin/bash
# SPDX-License-Identifier: MIT
# Failpoints: each name stands at one place of the sources, tests/failpoint/points.c has a case for each and for no other, and
# docs/RELIABILITY.md names each.
set -euo pipefail
cd "$(dirname "$0")/../.."

cases=tests/failpoint/points.c
document=docs/RELIABILITY.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
: >"$work/all"

find libshm daemon -name '*.[ch]' ! -name 'failpoint.[ch]' | sort | xargs grep -noE '\<failpoint\([^)]*\)' >"$work/places" || true
while IFS=: read -r file line place; do
	name=${place#failpoint(\"}
	name=${name%\")}
	if ! [[ $name =~ ^[a-z]+\.[a-z_]+$ ]]; then
		echo "$file:$line: $place; write failpoint(\"module.what_was_done\")"
		bad=1
	fi
	echo "$name" >>"$work/all"
done <"$work/places"
sort "$work/all" >"$work/sources"
while read -r name; do
	grep "\"$name\"" "$work/places" | cut -d: -f1,2 | sed "s/\$/: $name is the name of another failpoint, too; choose another/"
	bad=1
done < <(uniq -d "$work/sources")

sed -nE 's/^\t\{ "([^"]+)", PASSES.*/\1/p' $cases | sort -u >"$work/cases"
compare() { # the list that has it, the list that has not, what to say
	while read -r name; do
		echo "$3: $name $4"
		bad=1
	done < <(comm -23 <(uniq "$work/$1") "$work/$2")
}
compare sources cases $cases:1 'is a failpoint but there is no case for it; add one for every role that passes it'
compare cases sources $cases:1 'is no failpoint of the sources; remove its cases'
{ grep -oE '`[a-z]+\.[a-z_]+`' $document || true; } | tr -d '`' | sort -u >"$work/document"
compare sources document $document:1 'is a failpoint that this document does not name; add it to the table'
[ $bad -eq 0 ]
