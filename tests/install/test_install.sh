#!/bin/bash
# SPDX-License-Identifier: MIT
# What `make install` puts down is enough to compile, link and run a program, with the shared and with the static library;
# `make uninstall` takes all of it away again.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0 failed=0
try() { # what is tried, command...
	local what=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $what"
	fi
}

# The configuration directory is elsewhere than the prefix, as on a real system.
where=(DESTDIR="$root/tree" prefix=/usr libdir=/usr/lib/any sysconfdir=/etc)
installed() { # arguments of pkg-config, which is to see what was installed and nothing else
	PKG_CONFIG_SYSROOT_DIR=$root/tree PKG_CONFIG_LIBDIR=$root/tree/usr/lib/any/pkgconfig pkg-config "$@" larder
}
# This test may be a child of make: its job slots are not for the make run here. (Its variables come by the environment.)
unset MAKEFLAGS MFLAGS MAKELEVEL

cat >"$root/program.c" <<'END'
#include <larder.h>
#include <stdio.h>
int main(void)
{
	return puts(larder_version()) < 0;
}
END
compile() { # output, libraries...
	local output=$1
	shift
	# shellcheck disable=SC2046 # several words are wanted
	"${CC:-cc}" -o "$root/$output" "$root/program.c" $(installed --cflags) "$@"
}
runs_shared() { [ "$(LD_LIBRARY_PATH=$root/tree/usr/lib/any "$root/shared")" = "$version" ]; }
runs_static() { [ "$("$root/static")" = "$version" ]; }
# To the end, or readelf may be ended by the pipe.
needs_no_library() { ! readelf --dynamic "$root/static" | grep 'NEEDED.*larder'; }
needs_soname() { readelf --dynamic "$root/shared" | grep 'NEEDED.*liblarder.so.0\]' >"$root/log"; }
no_placeholder() { ! grep -rIE "@[a-z_]+@" "$root/tree"; }
nothing_left() {
	local left
	left=$(find "$root/tree" ! -type d ! -path '*/etc/*')
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

try "make install" make install "${where[@]}" >"$root/log" 2>&1
[ $failed -eq 0 ] || cat "$root/log"
version=$(installed --modversion)
# shellcheck disable=SC2046
try "compile against the shared library" compile shared $(installed --libs)
try "the program needs the library by its soname" needs_soname
try "run with the shared library" runs_shared
# shellcheck disable=SC2046
try "compile against the static library" compile static -Wl,-Bstatic $(installed --libs) -Wl,-Bdynamic \
	$(installed --libs --static | tr ' ' '\n' | grep -v larder)
try "the static program needs no library of ours" needs_no_library
try "run with the static library" runs_static
for program in usr/sbin/larderd usr/bin/larder; do
	try "$program --version" "$root/tree/$program" --version
done
try "no placeholder is left" no_placeholder
try "make uninstall" make uninstall "${where[@]}" >"$root/log" 2>&1
try "nothing is left" nothing_left

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
