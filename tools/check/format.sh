#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Format: clang-format 14 would change nothing.
# Usage: format.sh SOURCE_DIR [BUILD_DIR]. Exit 0 clean, 1 findings, 77 clang-format-14 is missing.
set -euo pipefail
cd "$1"
tool=$(command -v clang-format-14 || command -v clang-format || true)
if [[ -z $tool ]] || ! "$tool" --version | grep -q 'version 14\.'; then
  echo "format: clang-format 14 is not installed; skipped"
  exit 77
fi
mapfile -t files < <({ git ls-files -co --exclude-standard 2>/dev/null ||
  find . -name .git -prune -o -type f -print | sed 's|^\./||'; } | grep -E '\.[ch]$' | sort -u |
  while IFS= read -r file; do [[ ! -f $file ]] || echo "$file"; done)
findings=0
for file in "${files[@]}"; do
  line=$("$tool" --dry-run -Werror "$file" 2>&1 | grep -m1 -oE '^[^:]+:[0-9]+' | sed 's/.*://' || true)
  [[ -n $line ]] || continue
  echo "$file:$line: not formatted: run $(basename "$tool") -i $file"
  findings=$((findings + 1))
done
echo "format: ${#files[@]} files, $findings findings"
((findings == 0))
