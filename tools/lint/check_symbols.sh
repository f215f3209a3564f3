#!/bin/bash
# SPDX-License-Identifier: MIT
# The functions declared in larder.h, those named in larder.map and those the shared library shows are the same.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
library=${LARDER_LIB:-build/release/lib}/liblarder.so

# Declarations, without comments: the preprocessor drops those.
"${CC:-cc}" -E -P libshm/larder.h | tr '\n' ' ' | tr ';' '\n' | grep -oE '\<larder_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$work/header"
sed -nE 's/^\t(larder_[a-z0-9_]+);$/\1/p' libshm/larder.map | sort >"$work/map"
nm --dynamic --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/library"

bad=0
compare() { # the file that has it, the file that has not, what to say
	while read -r name; do
		echo "$3: $name $4"
		bad=1
	done < <(comm -23 "$work/$1" "$work/$2")
}
compare header map libshm/larder.map:1 'is declared in larder.h but not listed; list it'
compare map header libshm/larder.map:1 'is listed but not declared in larder.h; remove it'
compare header library "$library" 'is declared in larder.h but not there; define it in a file that includes larder.h'
compare library map "$library" 'is visible though larder.map does not list it'
[ $bad -eq 0 ]
