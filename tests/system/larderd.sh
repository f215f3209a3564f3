# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For the shell tests of this folder, which source it: the binaries, a private larderd in a temporary folder, and counting.
# Sets $top, $larderd, $larder, $dir; ends the test with 77 where the binaries are missing.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
larderd=${LARDERD:-$top/build/release/bin/larderd}
larder=${LARDER:-$top/build/release/bin/larder}
if [ ! -x "$larderd" ] || [ ! -x "$larder" ]; then
	echo "larderd and larder are not built"
	exit 77
fi

dir=$(mktemp -d)
daemon=
passed=0
failed=0
export LARDER_SOCKET=$dir/socket
unset POSIXLY_CORRECT
trap 'stop_larderd; rm -rf "$dir"' EXIT

# Starts a larderd with the options given and returns when it is ready; false if it ended before.
start_larderd() {
	rm -f "$dir/ready"
	mkfifo "$dir/ready"
	"$larderd" --socket "$LARDER_SOCKET" --ready-fd 9 "$@" 9>"$dir/ready" 2>"$dir/larderd.log" &
	daemon=$!
	[ "$(timeout 30 head -c 1 "$dir/ready" | wc -c)" = 1 ] && return
	cat "$dir/larderd.log"
	echo "larderd did not become ready"
	return 1
}

stop_larderd() {
	[ -z "$daemon" ] && return
	kill "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null
	daemon=
}

# note yes|... WHAT: counts a check; WHAT says what is wrong unless it is yes.
note() {
	if [ "$1" = yes ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $2"
	fi
}

# What tests/run.sh reads. The last command of a test.
summary() {
	echo "$passed passed, $failed failed"
	[ $failed = 0 ]
}
