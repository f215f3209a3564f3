#!/bin/bash
# SPDX-License-Identifier: MIT
# Manual pages without warnings, where mandoc is installed to say so.
set -euo pipefail
cd "$(dirname "$0")/../.."

shopt -s nullglob
pages=(docs/man/*.[1-8])
if [ ${#pages[@]} -eq 0 ] || ! command -v mandoc >/dev/null; then
	echo "mandoc is not installed; the manual pages were not checked"
	exit 77
fi
mandoc -T lint -W warning "${pages[@]}"
