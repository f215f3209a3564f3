#!/bin/bash
# SPDX-License-Identifier: MIT
# larder-demo: the web shop and a trace end well and leave nothing behind; what goes wrong is noticed and said.
# Environment: LARDER_DEMO, LARDERD and LARDER name the binaries.
set -uo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
demo=${LARDER_DEMO:-$top/build/release/bin/larder-demo}
export LARDERD=${LARDERD:-$top/build/release/bin/larderd}
larder=${LARDER:-$top/build/release/bin/larder}
trace=$top/tests/data/sample-trace.csv
if [ ! -x "$demo" ] || [ ! -x "$LARDERD" ] || [ ! -x "$larder" ]; then
	echo "larder-demo, larderd and larder are not built"
	exit 77
fi

dir=$(mktemp -d)
running=
trap '[ -z "$running" ] || kill "$running" 2>/dev/null; rm -rf "$dir"' EXIT
mkdir "$dir/tmp"
export TMPDIR=$dir/tmp
passed=0
failed=0

# check WHAT COMMAND...: counts a check; WHAT is what should be so.
check() {
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $what; the end of what the demo said:"
		tail -n 30 "$dir/out"
	fi
}

# Runs the demo; what it leaves is in $status and $dir/out.
run() {
	"$demo" "$@" >"$dir/out" 2>&1 </dev/null
	status=$?
}

says() {
	grep -qE -- "$1" "$dir/out"
}

last_line() {
	[ "$(tail -n 1 "$dir/out")" = "$1" ]
}

# Reads what the started demo says up to a line that matches; false if it ends before.
await() {
	local line
	while IFS= read -r -u 7 line; do
		echo "$line" >>"$dir/out"
		[[ $line =~ $1 ]] && return
	done
	return 1
}

# Starts the demo and waits until it names its socket, which it does when larderd is ready; $running, $socket, $larderd_pid.
start() {
	mkfifo "$dir/lines"
	"$demo" "$@" >"$dir/lines" 2>&1 </dev/null &
	running=$!
	exec 7<"$dir/lines"
	rm "$dir/lines"
	: >"$dir/out"
	await 'process ([0-9]+), socket (.*)'
	larderd_pid=${BASH_REMATCH[1]}
	socket=${BASH_REMATCH[2]}
	await '^$' # after the beginning comes an empty line; then the workers begin
}

# Writes over fragments as no worker would have.
spoil_fragments() {
	local key
	"$larder" -s "$socket" scan fragment: --limit 20 | while read -r key; do
		"$larder" -s "$socket" set "$key" '{}' || return 1
	done
}

larderd_gone() {
	! kill -0 "$larderd_pid" 2>/dev/null
}

nobody_killed() {
	! says '^  killed'
}

# Takes the rest of what was started; $status and $dir/out.
finish() {
	cat <&7 >>"$dir/out"
	exec 7<&-
	wait "$running"
	status=$?
	running=
}

nothing_left() {
	[ -z "$(ls -A "$TMPDIR")" ]
}

# ---- what should go well ----------------------------------------------------------------------------------------------

run --seconds 2 --users 20000 --size 64M
check "the web shop ends with 0, not $status" [ $status = 0 ]
check "its last line is 'demo: ok'" last_line "demo: ok"
check "it counts wrong values" says '^  wrong values: 0$'
check "it kills a worker, and the others go on" says 'made [1-9][0-9]* calls from then on'
check "its table has reads" says '^  get +[1-9]'
check "it describes the arena" says '^  arena +64 MiB on '
check "it leaves no file" nothing_left

# So little memory that most is evicted before it is read, and more processes than processors.
run --seconds 1 --users 20000 --size 4M --workers 6 --seed 2
check "a small arena ends with 0, not $status" [ $status = 0 ]
check "a small arena evicts" says '[1-9][0-9]* to make room$'

run --seconds 0.5 --users 1000 --workers 1 --no-kill
check "one worker ends with 0, not $status" [ $status = 0 ]
check "nobody is killed when that is not wanted" nobody_killed

run --trace "$trace" --size 64M
check "the sample trace ends with 0, not $status" [ $status = 0 ]
check "its last line is 'demo: ok'" last_line "demo: ok"
check "all 3127 lookups of the trace are made" says ' 3127 keys looked up'
check "the trace's counters count" says '^  incr +128 '

run --trace "$trace" --speed 200 --workers 2 --size 64M
check "a trace at a given speed ends with 0, not $status" [ $status = 0 ]

run --help
check "--help ends with 0, not $status" [ $status = 0 ]
check "--help names the options" says '--seconds S'

# ---- what should be noticed --------------------------------------------------------------------------------------------

# Somebody else writes what no worker wrote.
start --seconds 60 --users 2000 --size 64M --no-kill
await ' calls/s ' # by now there are fragments
check "fragments can be overwritten" spoil_fragments
check "it notices" await '^WRONG: fragment [0-9]+: 2 bytes'
kill -TERM "$running"
finish
check "an overwritten value makes it end with 1, not $status" [ $status = 1 ]
check "wrong values are counted" says '^  wrong values: [1-9]'
check "its last line is 'demo: FAILED'" last_line "demo: FAILED"
check "it leaves no file" nothing_left

start --seconds 60 --users 2000 --size 64M
kill -TERM "$running"
finish
check "stopped by a signal it ends with 130, not $status" [ $status = 130 ]
check "its last line says so" last_line "demo: interrupted"
check "larderd is gone" larderd_gone
check "it leaves no file" nothing_left

start --seconds 60 --users 2000 --size 64M
kill -KILL "$larderd_pid"
finish
check "without larderd it ends with 1, not $status" [ $status = 1 ]
check "how larderd ended is said" says 'larderd was ended by signal 9'
check "it leaves no file" nothing_left

printf '0,k,1,10,0,set,0\n1,k,1,10,0,fetch,0\n' >"$dir/bad.csv"
run --trace "$dir/bad.csv"
check "a malformed trace ends with 1, not $status" [ $status = 1 ]
check "the line and what is wrong are named" says "bad.csv:2: operation is 'fetch'; expected get, "
check "its last line is 'demo: FAILED'" last_line "demo: FAILED"

printf '0,k,1,10,0,set,0\n1,k,1,ten,0,get,0\n' >"$dir/bad.csv"
run --trace "$dir/bad.csv"
check "a number that is none is named" says "bad.csv:2: value_size is 'ten'; expected a number"

printf '0,k,1,10,0,set\n' >"$dir/bad.csv"
run --trace "$dir/bad.csv"
check "a short line is named" says "bad.csv:1: there are too few fields"

run --trace "$dir/absent.csv"
check "a trace that is not there is named" says 'absent.csv: No such file'

LARDERD=$dir/absent run --seconds 1
check "a larderd that is not there ends with 1, not $status" [ $status = 1 ]
check "a larderd that is not there is named" says 'absent cannot be executed'

run --larderd /bin/false --seconds 1
check "a larderd that does not start ends with 1, not $status" [ $status = 1 ]
check "it leaves no file" nothing_left

run --seconds soon
check "a wrong option ends with 2, not $status" [ $status = 2 ]
check "a wrong option is explained" says '--seconds soon: expected a number from 0.1 to 86400'

echo "$passed passed, $failed failed"
[ $failed = 0 ]
