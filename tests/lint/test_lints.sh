#!/bin/bash
# SPDX-License-Identifier: MIT
# Each lint, and the runner of the tests, on a small tree: silent on a good one, and naming the line of each planted fault.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
top=$PWD

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
passed=0 failed=0

fresh_tree() {
	rm -rf "${tree:?}"/*
	mkdir -p "$tree"/{libshm/{base,arena,index,client},daemon,tools,bench,tests,.ci,docs}
	cp -r tools/lint "$tree/tools/"
	cp libshm/larder.h libshm/larder.map "$tree/libshm/"
	echo '# SPDX-License-Identifier: MIT' | tee "$tree/Makefile" >"$tree/.ci/run"
	file libshm/base/word.h 'int word_read(void);'
	file libshm/index/find.h '#include "base/word.h"'
	file libshm/client/client.h 'int client_open(void);'
	file libshm/arena/map.h 'int map(void);'
	file libshm/arena/map.c '#include "arena/map.h"' '#include <stdlib.h>' '#include "base/word.h"' '' \
		'int map(void)' '{' '	/* R1 -> A1: the word would be seen before what it stands for. */' '	store_release(&word,' \
		'	              1);' '	return load_acquire(&word); /* A1 <- R1 */' '}'
	file daemon/house.c '#include "index/find.h"'
	echo 'R1: map.c' >"$tree/docs/MEMORY-ORDER.md"
	mkdir "$tree/tests/failpoint"
	file libshm/arena/step.c '	failpoint("map.done");'
	file tests/failpoint/points.c '	{ "map.done", PASSES(WRITER, ROOMY, 1) },'
	echo 'and `map.done`' >"$tree/docs/RELIABILITY.md"
	mkdir "$tree/tests/mutate"
	cp tests/mutate/mutate.pl "$tree/tests/mutate/"
	printf 'another word\tlibshm/arena/map.c\ts/&word/\\&other/\n' >"$tree/tests/mutate/mutations.txt"
	printf '| %s | `libshm/arena/map.c` | x |\n' 'R1 map store_release>store_relaxed' \
		'A1 map load_acquire>load_relaxed' 'another word' >"$tree/docs/MUTATIONS.md"
}

file() { # path, lines...
	local path=$tree/$1
	shift
	printf '%s\n' '/* SPDX-License-Identifier: MIT */' "$@" >"$path"
}

# Runs a lint in the tree; it must say so (an extended regular expression), or nothing and succeed where that is empty.
expect() { # what, lint, expression
	local said status=0
	said=$("$tree/tools/lint/check_$2.sh" 2>&1) || status=$?
	if { [ -z "$3" ] && [ $status -eq 0 ] && [ -z "$said" ]; } ||
		{ [ -n "$3" ] && [ $status -ne 0 ] && grep -qE -- "$3" <<<"$said"; }; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n  status %d, said: %s\n  expected: %s\n' "$1" $status "$said" "${3:-nothing}"
	fi
}

fresh_tree
for lint in includes atomics labels files header failpoints mutations; do
	expect "a good tree" $lint ''
done

file libshm/index/step.c '	failpoint("map.done");'
expect "two failpoints of one name" failpoints '^libshm/index/step\.c:2: map\.done is the name of another'
file libshm/index/step.c '	failpoint("step.done");'
expect "a failpoint without a case" failpoints '^tests/failpoint/points\.c:1: step\.done is a failpoint but'
expect "a failpoint that is not documented" failpoints '^docs/RELIABILITY\.md:1: step\.done is a failpoint that'
file libshm/index/step.c '	failpoint("Step");'
expect "a failpoint without a module" failpoints '^libshm/index/step\.c:2: failpoint\("Step"\); write'
rm "$tree/libshm/index/step.c" "$tree/libshm/arena/step.c"
expect "a case without a failpoint" failpoints 'map\.done is no failpoint of the sources'

fresh_tree
file libshm/index/find.h '#include "client/client.h"'
expect "a higher floor" includes '^libshm/index/find\.h:2: floor 4 includes "client/client\.h" of floor 6'
file libshm/index/find.h '#include "daemon/house.h"'
expect "the library uses a program" includes '^libshm/index/find\.h:2: .*of a program'
file libshm/index/find.h '#include "word.h"'
expect "a short name" includes '^libshm/index/find\.h:2: write "word.h" from libshm/'
file libshm/index/find.h '#include "../base/word.h"'
expect "a climbing name" includes '^libshm/index/find\.h:2: .*climbs'
fresh_tree
file daemon/house.c '' '#include "client/client.h"'
expect "the daemon uses the client" includes '^daemon/house\.c:3: floor 5 includes'
fresh_tree
file libshm/arena/map.c '#include <stdlib.h>' '#include "arena/map.h"'
expect "another header first" includes '^libshm/arena/map\.c:2: the first include'
mkdir "$tree/libshm/extra" && file libshm/extra/more.c ''
expect "a folder without floor" includes '^libshm/extra/more\.c:1: .*has no floor'

fresh_tree
for raw in 'x = memory_order_relaxed;' '__atomic_load_n(p, 0);' 'atomic_store(p, 1);' '#include <stdatomic.h>' '__sync_synchronize();'; do
	file daemon/house.c '' "$raw"
	expect "raw atomics: $raw" atomics '^daemon/house\.c:3:'
done

fresh_tree
file daemon/house.c '	store_release(p, 1);'
expect "a release without label" labels '^daemon/house\.c:2: a release without a label'
file daemon/house.c '	x = load_acquire(p);'
expect "an acquire without label" labels '^daemon/house\.c:2: an acquire without a label'
file daemon/house.c '	store_release(p, 1); /* R1 -> A1 */' '	store_release(q, 1);'
expect "a label does not reach the next statement" labels '^daemon/house\.c:3: a release without a label'
file daemon/house.c '	store_release(p, 1); /* R7 -> A7: something breaks */'
expect "a release alone" labels '^daemon/house\.c:2: R7 has no acquire A7'
expect "a pair not listed" labels '^daemon/house\.c:2: R7 is not in docs/MEMORY-ORDER\.md'
file daemon/house.c '	x = load_acquire(p); /* A8 <- R8 */'
expect "an acquire alone" labels '^daemon/house\.c:2: A8 has no release R8'
file daemon/house.c '	store_release(p, 1); /* R1 -> A2: crossed */'
expect "crossed numbers" labels '^daemon/house\.c:2: "R1 -> A2" joins two numbers'
file daemon/house.c '	store_release(p, 1); /* R2 -> A2 */' '	x = load_acquire(p); /* A2 <- R2 */'
expect "a release without reason" labels '^daemon/house\.c:2: say what breaks'
fresh_tree
printf 'R1: map.c\nR9: gone\n' >"$tree/docs/MEMORY-ORDER.md"
expect "a listed pair that is gone" labels '^docs/MEMORY-ORDER\.md:2: R9 is listed'

fresh_tree
sed -i '/^| A1/d' "$tree/docs/MUTATIONS.md"
expect "a mutation that is not in the table" mutations 'does not say what notices "A1 map load_acquire>load_relaxed"'
echo '| A9 gone | `libshm/arena/map.c` | x |' >>"$tree/docs/MUTATIONS.md"
expect "a mutation that is gone" mutations '"A9 gone" is no mutation any more'
printf 'nothing\tlibshm/arena/map.c\ts/no such thing//\n' >>"$tree/tests/mutate/mutations.txt"
expect "a pattern that matches nothing" mutations 'the pattern of "nothing" matches nothing'

fresh_tree
seq 600 | sed 's/.*/int x&;/' >>"$tree/daemon/house.c"
expect "a long file" files '^daemon/house\.c:602: longer than 600 lines'
fresh_tree
echo 'int x;' >"$tree/daemon/house.c"
expect "no licence" files '^daemon/house\.c:1: no licence'
file daemon/house.c 'int x; '
expect "blanks at the end" files '^daemon/house\.c:2: blanks'
file daemon/house.c '/* see ..''/shared/notes */'
expect "something outside" files '^./daemon/house\.c:2: speaks of something outside'

fresh_tree
sed -i 's/^#define LARDER_SET_OPTIONS .*/#define LARDER_SET_OPTIONS { .size = 1 }/' "$tree/libshm/larder.h"
expect "a header that is not C++11" header 'larder\.h:1: not valid c\+\+11'

# The symbols of a library made of one function, against a header and a map that know that one only.
fresh_tree
symbols() { # names that the library defines...
	printf 'int %s(void);\n' larder_one >"$tree/libshm/larder.h"
	printf 'X {\nglobal:\n\tlarder_one;\nlocal:\n\t*;\n};\n' >"$tree/libshm/larder.map"
	printf 'int %s(void) { return 1; }\n' "$@" | "${CC:-cc}" -shared -fPIC -x c -o "$tree/liblarder.so" -
}
export LARDER_LIB=$tree
symbols larder_one
expect "symbols that agree" symbols ''
symbols larder_one stray
expect "a stray symbol" symbols 'stray is visible'
symbols larder_two
expect "a symbol that is not there" symbols 'larder_one is declared in larder\.h but not there'
sed -i '/larder_one/d' "$tree/libshm/larder.map"
expect "a symbol that the map lacks" symbols 'larder\.map:1: larder_one is declared'

# The runner adds up what programs say, and lets none of them hide a failure.
runs() { # expected last line, expected status, seconds for each program, programs...
	local line=$1 expected=$2 seconds=$3 said status=0
	shift 3
	said=$("$top/tests/run.sh" -t "$seconds" "$tree/logs" "$@" 2>&1) || status=$?
	if [ "$(tail -n 1 <<<"$said")" = "$line" ] && [ $status -eq "$expected" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED: the runner: status %d, said: %s\n  expected: %s\n' $status "$said" "$line"
	fi
}
program() { # name, body
	printf '#!/bin/bash\n%s\n' "$2" >"$tree/$1"
	chmod +x "$tree/$1"
}
program good 'echo "100%: Checks: 5, Failures: 0, Errors: 0"'
program bad 'echo "50%: Checks: 4, Failures: 1, Errors: 1"; exit 1'
program plain true
program wrong false
program crash 'echo "100%: Checks: 3, Failures: 0, Errors: 0"; kill -SEGV $$'
program script 'echo "7 passed, 2 failed"; exit 1'
program absent 'exit 77'
program slow 'sleep 600'
runs '5 passed, 0 failed' 0 60 "$tree/good"
runs '7 passed, 2 failed' 1 60 "$tree/good" "$tree/bad"
runs '1 passed, 1 failed' 1 60 "$tree/plain" "$tree/wrong"
runs '3 passed, 1 failed' 1 60 "$tree/crash"
runs '7 passed, 2 failed' 1 60 "$tree/script"
runs '1 passed, 0 failed, 1 skipped' 0 60 "$tree/plain" "$tree/absent"
runs '0 passed, 1 failed' 1 1 "$tree/slow"
runs '0 passed, 1 failed' 1 60 "$tree/not-there"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
