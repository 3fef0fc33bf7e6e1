#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clang-tidy without its analyzer over what changed since the last time; `make lint` runs all of it.
# Usage: tidy.sh SOURCE_DIR BUILD_DIR. Exit 0 clean, 1 findings, 77 clang-tidy 14 is missing.
set -euo pipefail
exec "$1/tools/tidy" --quick "$2"
