#!/bin/bash
# SPDX-License-Identifier: MIT
# What each file must be: not too long, licensed, free of trailing blanks, and about nothing outside this project.
set -euo pipefail
cd "$(dirname "$0")/../.."

lines_max=600
bad=0
complain() {
	echo "$1"
	bad=1
}

sources() {
	find libshm daemon tools bench tests .ci -type f "$@" | sort
}

while read -r file; do
	lines=$(wc -l <"$file")
	[ "$lines" -le $lines_max ] || complain "$file:$lines: longer than $lines_max lines; split the module in two"
done < <(sources -name '*.[ch]')

while read -r file; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' ||
		complain "$file:1: no licence; add a comment with SPDX-License-Identifier: MIT at the top"
done < <(sources \( -name '*.[ch]' -o -name '*.sh' -o -name '*.pml' -o -name run \); ls Makefile)

while IFS= read -r line; do
	complain "$line: blanks at the end of the line; remove them"
done < <(sources \( -name '*.[ch]' -o -name '*.sh' \) | xargs grep -nE '[[:blank:]]+$' | cut -d: -f1,2)

# Each word is split so that this file does not find itself.
while IFS= read -r line; do
	complain "$line: speaks of something outside the project; say it in the project's own words"
done < <(find . -path ./.git -prune -o -path ./build -prune -o -type f -print0 | sort -z |
	xargs -0 grep -nIE '\.\./sh''ared|/work/sh''ared|\.lib''rary/|/tmp/br''ief' | cut -d: -f1,2)

[ $bad -eq 0 ]
