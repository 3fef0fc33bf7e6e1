#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Banned calls: no object of ours asks for them (nm -u, so that no macro hides one), and nothing is
# owed at a release: no OWED(), TODO or FIXME is left.
# Usage: banned.sh SOURCE_DIR BUILD_DIR. Exit 0 clean, 1 findings, 77 nothing is built yet.
set -euo pipefail
source_dir=$(cd "$1" && pwd)
build_dir=${2:-}
cd "$source_dir"

declare -A instead=(
  [strcpy]="str_copy or memcpy" [strcat]="buf_put_str" [strncpy]="str_copy" [sprintf]="snprintf"
  [vsprintf]="vsnprintf" [gets]="read(2) into a capped buffer" [strtok]="str_cut"
  [atoi]="num_i64" [atol]="num_i64" [atoll]="num_i64" [strtol]="num_i64" [strtoul]="num_u64"
  [strtoll]="num_i64" [strtoull]="num_u64" [rand]="rand_below" [srand]="rand_seed"
  [localtime]="clock_format_rfc3339" [gmtime]="gmtime_r" [system]="fork and execve"
  [popen]="fork and execve" [signal]="sigaction")
findings=0
objects=0

if [[ -n $build_dir && -d $build_dir ]]; then
  while IFS= read -r object; do
    # .../CMakeFiles/TARGET.dir/lib/base/str.c.o -> lib/base/str.c; of deleted sources nothing counts
    file=${object#*.dir/}
    file=${file%.o}
    [[ -f $file ]] || continue
    objects=$((objects + 1))
    while IFS= read -r symbol; do
      name=${symbol#__isoc99_}
      name=${name#__isoc23_}
      # _FORTIFY_SOURCE turns sprintf into __sprintf_chk
      if [[ $name == __*_chk ]]; then
        name=${name#__}
        name=${name%_chk}
      fi
      [[ -n ${instead[$name]:-} ]] || continue
      line=$(grep -nE "\b$name[[:space:]]*\(" "$file" | head -1 | cut -d: -f1 || true)
      echo "$file:${line:-1}: calls $name, which is banned: use ${instead[$name]}"
      findings=$((findings + 1))
    done < <(nm -u --format=posix "$object" 2>/dev/null | awk '{print $1}' | sed 's/@.*//' | sort -u)
  done < <(find "$build_dir" -name '*.c.o' -path '*.dir/*' 2>/dev/null | sort)
fi

while IFS=: read -r file line text; do
  case $file:$text in
  lib/base/check.h:*"define OWED("*) continue ;;
  esac
  echo "$file:$line: still owed: handle it, or open an issue and delete the mark"
  findings=$((findings + 1))
done < <({ git ls-files -co --exclude-standard 2>/dev/null || find . -type f | sed 's|^\./||'; } |
  grep -E '\.(c|h|def|py|sh|cmake|js|ts|yaml|yml)$|CMakeLists\.txt$' |
  grep -vE '^tools/check/|/node_modules/' |
  while IFS= read -r file; do [[ ! -f $file ]] || echo "$file"; done |
  xargs -r -d '\n' grep -nHE '\bOWED\(|\b(TODO|FIXME)\b' 2>/dev/null || true)

echo "banned: $objects objects, $findings findings"
((findings == 0)) || exit 1
((objects > 0)) || exit 77
