#!/bin/bash
# SPDX-License-Identifier: MIT
# What the documents say: their examples compile and work, and they leave no command, option, call or field out.
set -uo pipefail
# shellcheck source=tests/system/larderd.sh
. "$(dirname "$0")/larderd.sh"
cd "$top" || exit 1

# The complete programs. The header's stands in a comment, the manual's is in roff.
sed -n '/^```c$/,/^```$/{//!p}' README.md >"$dir/readme.c"
sed -n '/^ \*\t#include <larder.h>/,/^ \*\t}/{s/^ \*\t\{0,1\}//;p}' libshm/larder.h >"$dir/header.c"
sed -n '/^#include <larder.h>/,/^}/{s/\\e/\\/g;p}' docs/man/liblarder.3 >"$dir/manual.c"

start_larderd --size 16M || exit 1
for program in readme header manual; do
	${CC:-cc} -Ilibshm -o "$dir/$program" "$dir/$program.c" "${LARDER_LIB:-build/release/lib}/liblarder.a" -pthread \
		>"$dir/$program.log" 2>&1
	note "$([ "$("$dir/$program" 2>&1)" = hello ] && echo yes)" "the program of the $program: $(cat "$dir/$program.log")"
	"$larder" del greeting
done

# README's quick start, from a shell where larder is on the path.
mkdir "$dir/bin"
ln -s "$larder" "$dir/bin/larder"
export PATH=$dir/bin:$PATH
sed -n 's|^    \$ build/release/bin/larder |larder |p' README.md >"$dir/quick-start"
note "$([ "$(wc -l <"$dir/quick-start")" = 2 ] && [ "$(bash "$dir/quick-start" 2>&1)" = hello ] && echo yes)" \
	"the quick start of README.md"

"$larder" help | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p' >"$dir/commands"
note "$([ "$(wc -l <"$dir/commands")" = 18 ] && echo yes)" "larder help lists 18 commands"
while read -r command; do
	note "$(grep -q "^\.It Cm $command\b" docs/man/larder.1 && echo yes)" "larder.1 lacks the command $command"
	while read -r option; do
		note "$(grep -q "^\.It Fl.* Fl Fl $option\b\|^\.It Fl Fl $option\b" docs/man/larder.1 && echo yes)" \
			"larder.1 lacks --$option of $command"
	done < <("$larder" help "$command" | sed -n 's/^  \(-.,\|   \) --\([a-z-]*\) .*/\2/p')
done <"$dir/commands"
while read -r command; do
	note "$(grep -qx "$command" "$dir/commands" && echo yes)" "README.md names the command $command, which does not exist"
done < <(sed -n 's/^    larder \([a-z]*\).*/\1/p' README.md)

while IFS=: read -r file link; do
	note "$([ -e "$(dirname "$file")/$link" ] && echo yes)" "$file links to $link, which does not exist"
done < <(grep -HoE '\]\([^)#:]+\)' README.md docs/*.md | sed 's/\](\(.*\))/\1/')

while read -r call; do
	note "$(grep -q "^\.F[no] $call\b" docs/man/liblarder.3 && echo yes)" "liblarder.3 lacks $call"
done < <(sed -n 's/^[a-z][a-z *]*\b\(larder_[a-z]*\)(.*/\1/p' libshm/larder.h)
"$larder" stat >"$dir/stat"
while read -r field; do
	note "$(grep -q "^\.\(It Va\|Va\) .*\b$field\b" docs/man/liblarder.3 && echo yes)" "liblarder.3 lacks larder_stat.$field"
	note "$(grep -q "^$field " "$dir/stat" && echo yes)" "larder stat lacks $field"
done < <(sed -n '/^struct larder_stat {/,/^};/s/^\tuint64_t \([a-z_]*\);.*/\1/p' libshm/larder.h)

summary
