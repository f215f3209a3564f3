#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes sample-trace.csv: 4000 requests in the form of the traces that Twitter published, invented from beginning to end.
#   tests/data/make-sample-trace.sh >tests/data/sample-trace.csv
# It has a random generator of its own, so every awk makes the same file.
set -euo pipefail

awk '
function chance() { # in [0, 1): Lehmer generator with the multiplier 16807, which stays below 2^53
	state = state * 16807 % 2147483647
	return state / 2147483647
}
function pick(list,    words, n) {
	n = split(list, words, " ")
	return words[int(chance() * n) + 1]
}
BEGIN {
	state = 20231
	for (i = 0; i < 4000; i++) {
		time = int(i / 40)
		item = int(600 * chance() ^ 3) # a few are asked for often
		client = int(chance() * 12)
		if (item % 10 == 7) {
			key = "shop:n:" item
			size = 1 + item % 4
			operation = pick("incr incr incr decr get get get get get set")
		} else {
			key = item % 50 == 0 ? "shop:p,q:" item * 7919 : "shop:s:" item * 104729 % 1000003
			size = 40 + (item * item) % 900 + (item % 37 == 0 ? 20000 : 0)
			operation = "get"
			if (chance() < 0.25)
				operation = pick("set set set set set add add replace cas cas append prepend delete gets gets")
			if (operation == "append" || operation == "prepend")
				size = 8 + item % 40
		}
		ttl = operation ~ /^(get|gets|delete|incr|decr|append|prepend)$/ ? 0 : pick("0 2 60 1800 86400")
		printf "%d,%s,%d,%d,%d,%s,%d\n", time, key, length(key), operation == "delete" ? 0 : size, client, operation, ttl
	}
}' </dev/null
