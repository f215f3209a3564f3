#!/bin/bash
# SPDX-License-Identifier: MIT
# The larder command against a larderd of its own: every command, exit status, and kind of output.
# Environment: LARDERD and LARDER name the binaries.
set -uo pipefail

# shellcheck source=tests/system/larderd.sh
. "$(dirname "$0")/larderd.sh"

# Where there is a larderd, it is waited for as long as it takes.
patience=()
patient() {
	"$larder" "$1" "${patience[@]}" "${@:2}"
}

# Runs larder; what it leaves is in $status, $dir/out, $dir/err. Standard input is that of the caller.
call() {
	timeout 60 "$larder" "${@:1:1}" "${patience[@]}" "${@:2}" >"$dir/out" 2>"$dir/err"
	status=$?
}

# t STATUS OUTPUT ARGUMENT...: runs larder, whose standard output must be exactly this; without newlines at the end, and
# OUTPUT may be a pattern.
t() {
	local want=$1 pattern=$2 out good=no
	shift 2
	call "$@" </dev/null
	out=$(cat "$dir/out")
	# shellcheck disable=SC2053 # the right side is a pattern
	[ $status = "$want" ] && [[ $out == $pattern ]] && good=yes
	note $good "larder ${*:1:5}: status $status (wanted $want), printed '${out:0:200}' (wanted '$pattern'): $(head -c 200 "$dir/err")"
}

# complains PATTERN: standard error of the last run matches, is one line, and begins as messages do.
complains() {
	local err good=no
	err=$(cat "$dir/err")
	# shellcheck disable=SC2053
	[[ $err == larder:* && $err == *$1* && $err != *$'\n'* ]] && good=yes
	note $good "stderr is '$err', wanted *$1*"
}

# same FILE: standard output of the last run is that file, byte for byte.
same() {
	local good=no
	[ "$status" = 0 ] && cmp "$1" "$dir/out" >"$dir/err" && good=yes
	note $good "output is not $1"
}

version_of() {
	patient get --json "$1" </dev/null | sed 's/.*"version":"\([0-9]*\)".*/\1/'
}

field() { # of stat
	patient stat --json </dev/null | sed "s/.*\"$1\":\\([0-9]*\\).*/\\1/"
}

# eventually COMMAND...: whether it succeeds within half a minute; for what larderd does by itself.
eventually() {
	local end=$((SECONDS + 30))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
	done
}

has_counted() { # sets
	[ "$(field sets)" = "$1" ]
}

# Every entry is an object of some class; what has expired is an entry until its segment is taken back, and no object.
classes_agree() {
	patient stat --json </dev/null | jq -e '.entries == ([.classes[].objects] | add)' >"$dir/out"
}

test_usage() { # needs no larderd
	t 2 ''
	complains 'no command'
	t 0 'usage: larder COMMAND*' help
	t 0 'usage: larder COMMAND*' --help
	t 0 'usage: larder set KEY*--ttl LIFE*' help set
	t 0 'usage: larder set KEY*--ttl LIFE*' set --help
	t 0 'usage: larder get KEY*' -h get
	t 0 'larder [0-9]*.*, library [0-9]*, arena layout [0-9]* (stamp *)' version
	t 0 'larder [0-9]*.*, library [0-9]*, arena layout [0-9]* (stamp *)' --version
	t 0 'larder [0-9]*' get --version
	t 2 '' delete k
	complains 'did you mean del?'
	t 2 '' sett k
	complains 'did you mean set?'
	t 2 '' ge k
	complains 'did you mean get?'
	t 2 '' ''
	t 2 '' help nothing
	t 2 '' get
	complains 'too few arguments'
	t 2 '' get a b
	complains 'too many arguments'
	t 2 '' get a --ttl 5s
	complains 'does not take --ttl'
	t 2 '' get a --bogus
	complains 'unknown option --bogus'
	t 2 '' get -x a
	complains 'unknown option -x'
	t 2 '' get a --timeout
	complains 'needs an argument'
	t 2 '' get a --timeout 0
	t 3 '' -- get a
	t 2 '' scan -lx
	complains 'unknown option -x'
	t 2 '' get a --ttl
	complains '--ttl needs an argument'
	for life in 5q 5x 1.5s '' s -1 99999999999999999999 18446744073709551615w '5 s'; do
		t 2 '' set k v --ttl "$life"
		complains 'ms, s, m, h, d, w'
	done
	t 2 '' touch k soon
	complains 'ms, s, m, h, d, w'
	t 2 '' set k v --flags 4294967296
	t 2 '' cas k x v
	t 2 '' incr k 9223372036854775808
	t 2 '' incr k 1x
	t 2 '' incr k --ttl 5s
	t 2 '' del a b --if-version 5
	t 2 '' scan --json -0
	t 2 '' set '' v
	complains 'the key has 0 bytes'
	t 2 '' get -e '\q'
	complains 'malformed escape'
	t 2 '' get -e '\x4'
	t 2 '' get -e "\\"
}

test_detached() {
	t 3 '' get k
	complains 'cannot attach'
	t 3 '' -s "$dir/elsewhere" stat
	complains "$dir/elsewhere"
	: >"$dir/file"
	t 3 '' --socket "$dir/file" verify
	t 3 '' -s "$(printf '/%0200d' 0)" set k v
}

test_store() {
	t 0 '' set greeting hello
	t 0 hello get greeting
	t 0 hello get -s "$LARDER_SOCKET" greeting
	t 1 '' get nothing
	complains '"nothing"'
	t 1 '' add greeting other
	complains 'exists'
	t 0 '' add fresh one
	t 0 one get fresh
	t 1 '' replace absent x
	t 0 '' replace fresh two
	t 0 two get fresh
	t 0 '' append fresh ' three'
	t 0 'two three' get fresh
	t 1 '' append absent x
	t 0 '' set empty ''
	t 0 '' get empty
	t 0 '' set -- -key -value
	t 0 -value get -- -key
	t 0 '' set negative -17
	t 0 -17 get negative
	t 0 '' del fresh
	t 1 '' del fresh
	t 0 '' set a 1
	t 1 '' del a absent
	complains '"absent"'
	t 1 '' get a
}

test_cas() {
	local version
	t 0 '' set k one
	version=$(version_of k)
	t 0 '' cas k "$version" two
	t 1 '' cas k "$version" three
	complains 'present version'
	t 0 two get k
	t 1 '' cas absent 5 x
	t 1 '' del k --if-version "$version"
	t 0 '' del k --if-version "$(version_of k)"
	t 1 '' get k
}

test_count() {
	t 1 '' incr n
	complains 'make it with --initial'
	t 0 10 incr n --initial 10
	t 0 11 incr n
	t 0 16 incr n 5
	t 0 14 incr n -2
	t 0 13 decr n
	t 0 3 decr n 10 --initial 99
	t 0 3 get n
	t 0 '' set n 41
	t 0 42 incr n
	t 0 '' set word abc
	t 1 '' incr word
	complains 'set it to a number'
	t 0 '' set n 9223372036854775807
	t 4 '' incr n
	t 0 9223372036854775807 get n
	t 0 -9223372036854775808 incr low --initial -9223372036854775808
	t 0 '{"key":"low","result":"ok","value":-9223372036854775807}' incr low --json
}

test_life() {
	local tries=0
	t 0 '' set k v
	t 0 never ttl k
	t 0 '' set k v --ttl 2h
	t 0 '7[12]?????ms' ttl k
	t 0 '' touch k 3m
	t 0 '1[78]????ms' ttl k
	t 0 v get k
	t 0 '' touch k 100
	t 0 '[19]*ms' ttl k
	t 0 '' touch k never
	t 0 never ttl k
	t 1 '' touch absent 5s
	t 1 '' ttl absent
	t 0 1 incr counter --initial 1 --ttl 5m
	t 0 '[23]?????ms' ttl counter
	t 0 '' set short v --ttl 1ms
	while [ $tries -lt 5000 ] && call get short </dev/null && [ $status = 0 ]; do
		tries=$((tries + 1))
	done
	note "$([ $status = 1 ] && echo yes)" "a value with a life of 1 ms never ends"
}

test_standard_input() {
	local size
	for size in 0 1 4096 65535 65536 65537 300000; do
		head -c $size /dev/urandom >"$dir/value"
		call set stdin <"$dir/value"
		note "$([ $status = 0 ] && echo yes)" "set of $size bytes from standard input"
		call get stdin </dev/null
		same "$dir/value"
		call set stdin - <"$dir/value"
		call get stdin </dev/null
		same "$dir/value"
	done
	printf 'one ' | patient set words
	(printf 'two '; printf 'three') | patient append words
	t 0 'one two three' get words
	call cas words "$(version_of words)" <"$dir/value"
	call get words </dev/null
	same "$dir/value"
	call set closed <&-
	note "$([ $status = 4 ] && echo yes)" "closed standard input: status $status"
	patient get words >&- 2>"$dir/err" </dev/null
	status=$?
	note "$([ $status = 4 ] && echo yes)" "closed standard output: status $status"
}

test_limits() {
	local long max
	printf -v long '%065535d' 0
	t 0 '' set "$long" v
	t 0 v get "$long"
	t 0 '' del "$long"
	t 2 '' set "${long}0" v
	complains 'the key has 65536 bytes'
	t 2 '' scan "${long}0"
	max=$(field value_size_max)
	printf -v long '%01024d' 0
	head -c "$max" /dev/urandom >"$dir/value"
	call set "$long" <"$dir/value"
	note "$([ $status = 0 ] && echo yes)" "a value of value_size_max ($max) bytes: status $status"
	call get "$long" </dev/null
	same "$dir/value"
	t 0 '' del "$long"
	call set big < <(cat "$dir/value" "$dir/value")
	note "$([ $status = 4 ] && echo yes)" "a value of twice value_size_max: status $status"
	complains 'larger than'
	t 1 '' get big
	patient get greeting >/dev/full 2>"$dir/err" </dev/null
	status=$?
	note "$([ $status = 4 ] && echo yes)" "output that cannot be written: status $status"
}

test_bytes() {
	local all
	all=$(for i in {0..255}; do printf '\\x%02x' "$i"; done)
	t 0 '' set -e "$all" "$all"
	# shellcheck disable=SC2059 # that is its purpose
	printf "$all" >"$dir/value"
	call get -e "$all" </dev/null
	same "$dir/value"
	call scan -0 </dev/null
	t 0 '\\x00\\x01\\x02*' scan -e '\x00\x01'
	call scan -0 -e '\x00\x01' </dev/null
	{ cat "$dir/value"; printf '\0'; } >"$dir/wanted"
	same "$dir/wanted"
	t 0 '' set -e 'tab\tnew\nline\\' 'v\x00w'
	t 0 $'tab\\\\tnew\\\\nline\\\\\\\\\tv\\\\x00w' mget -e 'tab\tnew\nline\\'
	t 0 '*"key":"tab\\tnew\\nline\\\\"*' scan --json tab
	t 0 '' del -e "$all" 'tab\tnew\nline\\'
}

test_scan() {
	local i keys=()
	for i in {1..200}; do
		keys+=("scan:$i")
	done
	for i in "${keys[@]}"; do
		patient set "$i" "value of $i" </dev/null || break
	done
	call scan scan: </dev/null
	sort -u "$dir/out" >"$dir/found"
	printf '%s\n' "${keys[@]}" | sort >"$dir/wanted"
	note "$(cmp -s "$dir/found" "$dir/wanted" && echo yes)" "scan finds all 200 keys and no others"
	call scan scan: --limit 7 </dev/null
	note "$([ "$(wc -l <"$dir/out")" = 7 ] && echo yes)" "scan --limit 7"
	t 0 '' scan scan: --limit 0
	t 0 '' scan nothing:
	t 0 'scan:200' scan scan:200
	patient set scan:flagged xyz --flags 4000000000 --ttl never </dev/null
	t 0 '*[0-9] never 3 4000000000 scan:flagged' scan -l scan:flagged
	call scan </dev/null
	note "$([ "$(grep -c '^scan:' "$dir/out")" -ge 201 ] && echo yes)" "scan without a prefix shows all"
	call mget "${keys[@]}" </dev/null
	for i in "${keys[@]}"; do
		printf '%s\tvalue of %s\n' "$i" "$i"
	done >"$dir/wanted"
	same "$dir/wanted"
	t 1 $'scan:1\tvalue of scan:1\nscan:2\tvalue of scan:2' mget scan:1 absent scan:2
	complains '"absent"'
	call scan -0 scan: </dev/null
	xargs -0 "$larder" del --timeout 20000 -- <"$dir/out"
	t 0 '' scan scan:
}

test_stat() {
	local name sets
	t 0 '*' stat
	for name in arena_bytes page_bytes segment_bytes segments segments_free segments_data segments_index \
		segments_condemned segments_system value_size_max access epoch clients entries key_bytes value_bytes \
		used_bytes gets hits sets deletes expired_segments evicted_segments uptime_ms compacted_segments \
		expired_objects evicted_objects moved_objects evicted_age_ms index_splits index_rebuilds \
		index_merges index_splitting displaced_objects hit_ratio overhead_bytes_per_entry; do
		note "$(grep -q "^$name *[a-z0-9-]" "$dir/out" && echo yes)" "stat shows $name"
	done
	note "$(grep -q '^arena_bytes *67108864 (64.0 MiB)$' "$dir/out" && echo yes)" "stat shows the size of the arena"
	note "$(grep -q '^access *shared-write$' "$dir/out" && echo yes)" "stat shows the access mode"
	sets=$(field sets)
	patient set k v </dev/null
	note "$(eventually has_counted $((sets + 1)) && echo yes)" "stat counts a set"
	t 0 'sound: 0 faults; [1-9]* segments, *' verify
	t 0 '{"broken":\[\],"sound":true,"faults":0,"segments":*}' verify --json
}

test_resize() {
	t 2 '' resize
	complains 'too few arguments'
	t 2 '' resize many
	complains 'SIZE is a number of bytes'
	t 2 '' resize 1Mb
	complains 'SIZE is a number of bytes'
	t 4 '' resize 65M
	complains 'the arena can have at most 67108864 bytes (64.0 MiB)'
	t 4 '' resize 1K
	complains 'the arena can have no less than 8388608 bytes (8.0 MiB)'
	# What was given back before the first look is not shown on its way.
	t 0 '*50331648 (48.0 MiB) of 50331648 (48.0 MiB)' resize 48MiB --wait
	note "$(! grep -qv ' of 50331648 (48.0 MiB)$' "$dir/out" && echo yes)" "each line says what is wanted"
	note "$([ "$(field arena_bytes_wanted)" = 50331648 ] && echo yes)" "stat shows the size that is wanted"
	t 0 '*{"arena_bytes":67108864,"arena_bytes_wanted":67108864}' resize --wait 64M --json
	t 0 '67108864 (64.0 MiB) of 67108864 (64.0 MiB)' resize 67108864
}

# json FILTER WANTED ARGUMENT...: what jq makes of the output.
json() {
	local filter=$1 wanted=$2 got
	shift 2
	call "$@" --json </dev/null
	got=$(jq -r "$filter" "$dir/out" 2>"$dir/err")
	note "$([ "$got" = "$wanted" ] && echo yes)" "larder ${*:1:4} --json | jq $filter: '$got' (wanted '$wanted')"
}

test_json() {
	command -v jq >/dev/null || return 0
	patient set text $'quote " back \\ tab\t \x7f nl\n \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80' --flags 7 </dev/null
	json .value $'quote " back \\ tab\t \x7f nl\n \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80' get text
	json '[.key, .result, .flags, .ttl_ms, .size] | map(tostring) | join(" ")' 'text ok 7 null 37' get text
	json '.version | type' string get text
	json .result miss get nothing
	json .result exists add text x
	json .result changed cas text 5 x
	json .result not_number incr text
	json .result ok set other x
	json '.version | type' string append other y
	json '[.result, .value] | map(tostring) | join(" ")' 'ok 5' incr five --initial 5
	patient set brief v --ttl 1m </dev/null
	json '.ttl_ms > 1000 and .ttl_ms <= 60000' true ttl brief
	json .result ok touch brief 5m
	json '[.key, .result] | join(" ")' $'text ok\nnothing miss' mget text nothing
	json 'select(.key == "other") | .size' 2 scan
	json .result ok del other
	# Not UTF-8: a lone continuation, overlong, a surrogate, beyond the last, cut off.
	for bytes in '\x80' '\xc0\xaf' '\xed\xa0\x80' '\xf4\x90\x80\x80' 'a\xe2\x82'; do
		patient set -e "$bytes" "$bytes" </dev/null
		# shellcheck disable=SC2059
		json '.value_base64 + .key_base64' "$(printf "$bytes" | base64)$(printf "$bytes" | base64)" get -e "$bytes"
	done
	head -c 200001 /dev/urandom >"$dir/value"
	patient set binary <"$dir/value"
	call get binary --json </dev/null
	jq -r .value_base64 "$dir/out" | base64 -d >"$dir/decoded"
	note "$(cmp -s "$dir/value" "$dir/decoded" && echo yes)" "a large binary value as JSON"
	json 'keys | length' 45 stat
	json '.entries > 0 and .arena_bytes == 67108864 and .access == "shared-write"' true stat
	json '[.classes[] | select(.pool == "probation")] | length > 0' true stat
	note "$(eventually classes_agree && echo yes)" "the objects of all classes are the entries"
	json '.evicted_age' null stat
	json '[.estimated_miss_ratios[] | [.memory, .miss_ratio]] | tostring' '[[0.25,null],[0.5,null],[1,null],[2,null],[4,null]]' stat
	json '.hit_ratio >= 0 and .hit_ratio <= 1' true stat
	json .sound true verify
	json '.["library"] | type' string version
}

# The memory of the arena, by what it begins with.
arena_file() {
	local file
	for file in "/proc/$daemon/fd"/*; do
		[[ $(readlink "$file") == *memfd:* ]] && [ "$(head -c 8 "$file" 2>/dev/null)" = RDLARENA ] && echo "$file" && return
	done
}

# damage FIELD BYTES: overwrites where the table of which the offset stands at FIELD of the arena's header begins.
damage() {
	local file offset
	file=$(arena_file)
	offset=$(od -A n -t u8 -j "$1" -N 8 "$file")
	head -c "$2" /dev/zero | tr '\0' '\377' | dd of="$file" bs=1 seek="${offset// /}" conv=notrunc status=none
}

test_damage() {
	damage 64 4 # directory_offset: the first entry
	t 1 'unsound: 1 faults; *' verify
	complains 'directory entry 0'
	t 1 '{"broken":\["directory entry 0: *"\],"sound":false,"faults":1,*}' verify --json
	damage 56 2048 # table_offset: all segments
	t 1 'unsound: [1-9][0-9]* faults; *' verify
	note "$([ "$(grep -c '^larder: verify: [hsd]' "$dir/err")" = 20 ] && echo yes)" "verify tells of 20 faults"
	note "$(tail -n 1 "$dir/err" | grep -q '^larder: verify: and [1-9][0-9]* more$' && echo yes)" "verify counts the others"
	t 1 '{"broken":\["*"\],"sound":false,"faults":[1-9][0-9]*}' verify --json
	note "$(kill -0 "$daemon" && ! grep -q 'keeper.*killed' "$dir/larderd.log" && echo yes)" \
		"larderd did not survive a damaged arena"
}

# The commands do not differ where larderd does the writing; values that fill a message and more than that.
test_read_only() {
	t 0 '*access *read-only*' stat
	t 0 '' set k one --flags 5
	t 0 one get k
	t 0 '' append k ' two'
	t 0 'one two' get k
	t 1 '' add k x
	t 1 '' cas k 5 x
	t 0 '' cas k "$(version_of k)" three --ttl 2h
	t 0 '7[12]?????ms' ttl k
	t 0 7 incr n --initial 7
	t 0 5 decr n 2
	t 0 '' touch k never
	head -c 300000 /dev/urandom >"$dir/value"
	call set large <"$dir/value"
	call get large </dev/null
	same "$dir/value"
	t 0 '' del k
	t 1 '' del k
	t 0 'sound: 0 faults; *' verify
}

test_usage
test_detached
start_larderd --size 64M --pages small || exit 1
patience=(--timeout 20000)
test_store
test_cas
test_count
test_life
test_standard_input
test_limits
test_bytes
test_scan
test_stat
test_resize
test_json
test_damage
stop_larderd
patience=()
t 3 '' get greeting
start_larderd --size 64M --pages small --access read-only || exit 1
patience=(--timeout 20000)
test_read_only
summary
