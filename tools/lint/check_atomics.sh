#!/bin/bash
# SPDX-License-Identifier: MIT
# Only libshm/base/atomics.h names memory orders and raw atomic operations.
set -euo pipefail
cd "$(dirname "$0")/../.."

raw='memory_order_[a-z]|__atomic_|__sync_|stdatomic\.h|\<atomic_(load|store|exchange|compare_exchange|fetch|thread|signal)_?[a-z_]*\('
if find libshm daemon -name '*.[ch]' ! -path libshm/base/atomics.h -print0 | sort -z | xargs -0 grep -nHE "$raw"; then
	echo "use the functions of base/atomics.h (add one there when none fits), so that every order is seen at its call"
	exit 1
fi
