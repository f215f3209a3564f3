#!/bin/bash
# SPDX-License-Identifier: MIT
# The floors of docs/CONTRIBUTING.md: an include names a header of its own floor or a lower one; libshm's own headers are
# named from libshm/; a module includes its own header first.
# shellcheck disable=SC2016 # the $ are awk's
set -euo pipefail
cd "$(dirname "$0")/../.."

find libshm daemon tools bench tests -name '*.[ch]' | sort | xargs awk '
	BEGIN {
		floor["base"] = 0; floor["arena"] = 1; floor["epoch"] = 2; floor["object"] = 3
		floor["index"] = 4; floor["cache"] = 5; floor["client"] = 6
	}
	function complain(sentence) {
		printf "%s:%d: %s\n", FILENAME, FNR, sentence
		bad = 1
	}
	function exists(path,    line, found) {
		found = (getline line < path) >= 0
		close(path)
		return found
	}
	FNR == 1 {
		split(FILENAME, part, "/")
		in_library = part[1] == "libshm"
		own = part[1] == "daemon" ? 5 : in_library ? 0 : 7
		if (in_library && part[3] != "") {
			if (part[2] in floor)
				own = floor[part[2]]
			else
				complain("libshm/" part[2] " has no floor; give it one in docs/CONTRIBUTING.md and here")
		}
		includes = 0
		name = FILENAME
		sub(/.*\//, "", name)
		sub(/\.c$/, ".h", name)
		header = FILENAME
		sub(/\.c$/, ".h", header)
		has_header = FILENAME ~ /\.c$/ && exists(header)
	}
	/^[ \t]*#[ \t]*include[ \t]/ {
		target = $0
		sub(/^[ \t]*#[ \t]*include[ \t]*["<]/, "", target)
		sub(/[">].*/, "", target)
		includes++
		base = target
		sub(/.*\//, "", base)
		if (has_header && includes == 1 && base != name)
			complain("the first include is not the module\047s own " name "; put that first, so that it is known to stand alone")
		if ($0 !~ /"/)
			next
		split(target, step, "/")
		if (target == "larder.h")
			next
		if (target ~ /\.\./)
			complain("\"" target "\" climbs out of its folder; name it from libshm/ or from the top")
		else if (step[1] in floor && step[2] != "") {
			if (floor[step[1]] > own)
				complain("floor " own " includes \"" target "\" of floor " floor[step[1]] \
					 "; move what is needed down, or hand it in as an argument")
		} else if (in_library && step[1] ~ /^(daemon|tools|bench|tests)$/)
			complain("the library includes \"" target "\" of a program; a program may use the library, never the other way")
		else if (in_library)
			complain("write \"" target "\" from libshm/, as \"" part[2] "/" base "\"")
	}
	END { exit bad }'
