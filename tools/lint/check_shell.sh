#!/bin/bash
# SPDX-License-Identifier: MIT
# Shell scripts without warnings, where shellcheck is installed to say so.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v shellcheck >/dev/null; then
	echo "shellcheck is not installed; the scripts were not checked"
	exit 77
fi
{ find tools bench tests -name '*.sh'; echo .ci/run; } | sort | xargs shellcheck --severity=warning --format=gcc
