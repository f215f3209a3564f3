#!/bin/bash
# SPDX-License-Identifier: MIT
# docs/MUTATIONS.md says of each mutation what notices it: of each labelled memory order in the sources, and of what
# tests/mutate/mutations.txt makes wrong besides. So who adds an order, or changes what a mutation is made of, has to run it.
set -euo pipefail
cd "$(dirname "$0")/../.."

perl tests/mutate/mutate.pl check . docs/MUTATIONS.md
