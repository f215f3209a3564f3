#!/bin/bash
# SPDX-License-Identifier: MIT
# larder.h stands alone and compiles in every language a caller may use, without a warning.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/use.c" <<'END'
#include <larder.h>
int main(void)
{
	struct larder_open_options open_options = LARDER_OPEN_OPTIONS;
	struct larder_set_options set_options = LARDER_SET_OPTIONS;
	struct larder_incr_options incr_options = LARDER_INCR_OPTIONS;
	return (int)(open_options.flags + set_options.flags + incr_options.flags);
}
END
cp "$work/use.c" "$work/use.cc"

bad=0
strict=(-Wall -Wextra -pedantic -Werror -fsyntax-only -Ilibshm)
for standard in c99 c11 c17; do
	"${CC:-cc}" -std=$standard "${strict[@]}" "$work/use.c" || { echo "libshm/larder.h:1: not valid $standard"; bad=1; }
done
for standard in c++11 c++17; do
	"${CXX:-c++}" -std=$standard "${strict[@]}" "$work/use.cc" || { echo "libshm/larder.h:1: not valid $standard"; bad=1; }
done
[ $bad -eq 0 ]
