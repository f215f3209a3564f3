#!/bin/bash
# SPDX-License-Identifier: MIT
# larder-bench quick prints one JSON object with every ratio, does without systems that are not there, and leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp"

# Beside a program of which only the binary was copied there are no drivers.
cp "$LARDER_LIB/../bin/larder-bench" "$work"
TMPDIR=$work/tmp "$work/larder-bench" quick --keys 5000 --rounds 1 --json >"$work/json" 2>"$work/errors" &
pid=$!
wait $pid || {
	cat "$work/errors"
	exit 1
}

for name in get_touch_vs_floor get_copy_vs_floor mget32_vs_bulk_floor view_any_size_vs_get set_vs_floor_set \
	two_process_scaling_reads two_process_scaling_95_5 two_process_scaling_95_5_zipf get_p999_vs_p50; do
	jq -e --arg name $name '.[$name] > 0' "$work/json" >"$work/log" || {
		echo "$name is not a number above 0:"
		jq --arg name $name '.[$name]' "$work/json"
		exit 1
	}
done
for name in get_vs_lfht get_vs_rte_hash mget32_vs_rte_bulk set_vs_rte_hash set_vs_ck_ht set_vs_lmdb get_vs_lmdb; do
	jq -e --arg name $name 'has($name) and .[$name] == null' "$work/json" >"$work/log" || {
		echo "$name was measured without a driver, or is missing"
		exit 1
	}
done
for name in set_vs_redis set_vs_memcached get_vs_memcached get_vs_redis mget32_vs_pipelined32 two_clients_vs_servers get_vs_apcu; do
	jq -e --arg name $name 'has($name)' "$work/json" >"$work/log" || {
		echo "$name is missing"
		exit 1
	}
done
grep -q '^larder-bench: without lmdb: was not built' "$work/errors" || {
	echo "nothing is said about the missing drivers:"
	cat "$work/errors"
	exit 1
}

left=$(ls "$work/tmp"; find /dev/shm /tmp -maxdepth 1 -name "larder-bench-$pid-*")
[ -z "$left" ] || {
	echo "left behind: $left"
	exit 1
}
