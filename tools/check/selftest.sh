#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The checks checked: a small tree with one fault of each kind must give one finding for each, and the
# same tree without them none. A check that cannot fail is a defect.
# Usage: selftest.sh SOURCE_DIR [BUILD_DIR]. Exit 0 good, 1 a check is blind or too strict.
set -euo pipefail
checks=$(cd "$1/tools/check" && pwd)
compiler=${CC:-cc}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"
bad=0

# want CHECK TEXT: the check fails and says so.
want() {
  local out status=0
  out=$("$checks/$1" "$tree" "$tree/build" 2>&1) || status=$?
  if ((status != 1)) || ! grep -qF -- "$2" <<<"$out"; then
    echo "tools/check/$1:1: does not report \"$2\" (exit $status): repair the check; it said:"
    echo "$out"
    bad=1
  fi
}
# clean CHECK: the check is content (0) or has nothing to look at (77).
clean() {
  local out status=0
  out=$("$checks/$1" "$tree" "$tree/build" 2>&1) || status=$?
  if ((status != 0 && status != 77)); then
    echo "tools/check/$1:1: complains about a clean tree (exit $status): repair the check; it said:"
    echo "$out"
    bad=1
  fi
}
# file PATH [LINE...]: a C file with a good map and these lines behind it.
file() {
  local path=$1
  shift
  mkdir -p "$(dirname "$path")"
  {
    printf '/* SPDX-License-Identifier: MIT\n * %s - a file.\n' "$(basename "$path")"
    printf ' * Floor: none.\n * Owns: nothing.\n * Invariant: none. */\n'
    printf '%s\n' "$@"
  } >"$path"
}
header() {
  local path=$1 guard
  guard=BERTH_$(tr 'a-z/.' 'A-Z__' <<<"$path")
  shift
  file "$path" "#ifndef $guard" "#define $guard" "$@" "#endif"
}
reset() {
  rm -rf "${tree:?}"/*
  cat >CMakeLists.txt <<'ROWS'
# SPDX-License-Identifier: MIT
berth_room(lib/base LINKS X)
berth_room(lib/text USES lib/base)
berth_room(api USES lib/text)
berth_room(controlplane/store USES api)
berth_room(dataplane/chat USES api)
berth_main(berth-dataplane dataplane/node USES dataplane/chat)
ROWS
  header lib/base/low.h "int low_get(void);"
  header lib/base/low_int.h "int anything(void);"
  header lib/text/high.h '#include "lib/base/low.h"' "struct high;" "int high_get(struct high *high);"
  header controlplane/store/store.h "int store_get(void);"
  header dataplane/chat/chat.h '#include "lib/text/high.h"' "int chat_get(void);"
  file lib/base/low.c '#include "lib/base/low.h"' "" "int" "low_get(void)" "{" "    return 0;" "}"
  file dataplane/node/main.c '#include "dataplane/chat/chat.h"'
}

reset
for check in floors.py names.py banned.sh paths.sh; do clean "$check"; done

file lib/base/up.c '#include "lib/text/high.h"'
want floors.py 'lib/base/up.c:6: lib/base includes "lib/text/high.h" of lib/text'
file lib/base/up.c '#include "low.h"'
want floors.py 'write "lib/base/low.h"'
file lib/base/up.c '/* #include "lib/text/high.h" */'
clean floors.py
file dataplane/chat/across.c '#include "controlplane/store/store.h"'
want floors.py "the planes never include each other"
file dataplane/chat/across.c '#include "lib/base/low_int.h"'
want floors.py "private to lib/base"
file dataplane/new/thing.c "int x;"
want floors.py "dataplane/new/thing.c:1: is in no room"
reset
header lib/base/alone.h "size_t alone_size(void);"
want floors.py "lib/base/alone.h:8: does not compile alone"
file lib/base/alone.h "#ifndef LOW_H" "#define LOW_H" "#endif"
want floors.py "include guard is LOW_H"
reset
sed -i 's|USES dataplane/chat|USES dataplane/chat controlplane/store|' CMakeLists.txt
want floors.py "dataplane/node reaches controlplane/store"
sed -i 's|controlplane/store)$|dataplane/later)|' CMakeLists.txt
want floors.py "USES dataplane/later, which has no row above it"

reset
header lib/base/low.h "int other_get(void);"
want names.py "lib/base/low.h:8: declares other_get"
header lib/base/low.h "int low_get(void);" "typedef struct low { int x; } low_t;"
want names.py "typedef struct"
header lib/base/twice.h "int low_get(void);" "struct low;"
header lib/base/low.h "int low_get(void);"
want names.py "declares low_get, which lib/base/low.h declares as well"
reset
header lib/base/table.h "struct table {" "    int (*a)(void);" "    int (*b)(void);" \
  "    int (*c)(void);" "};" "$(yes '/* more */' | head -90)"
want names.py "is a vtable of 3 slots"
reset
file lib/base/long.c "$(yes 'int low_x;' | head -600)"
want names.py "605 lines, 600 at most"
file lib/base/long.c "int" "low_long(void)" "{" "$(yes '    low_get();' | head -71)" "}"
want names.py "low_long has 71 lines, 70 at most"
file lib/base/long.c "int low_x; " "$(printf 'int\tlow_y;')" "/* $(yes x | head -100 | tr -d '\n') */"
want names.py "lib/base/long.c:6: blanks at the end"
want names.py "lib/base/long.c:7: a tab"
want names.py "lib/base/long.c:8: 106 columns"
echo 'int low_x;' >lib/base/long.c
want names.py "first line must be"
printf '/* SPDX-License-Identifier: MIT\n * other.c - x.\n * Floor: x.\n * Owns: x. */\n' >lib/base/long.c
want names.py 'second line must be: " * long.c'
want names.py 'has no "Invariant:" line'

reset
file lib/base/call.c "#include <stdio.h>" "int low_call(char *s);" "int" "low_call(char *s)" "{" \
  '    return sprintf(s, "%s", s);' "}"
mkdir -p build/CMakeFiles/x.dir/lib/base
for level in "-O0" "-O2 -D_FORTIFY_SOURCE=2"; do
  # shellcheck disable=SC2086
  "$compiler" $level -w -c lib/base/call.c -o build/CMakeFiles/x.dir/lib/base/call.c.o
  want banned.sh "lib/base/call.c:11: calls sprintf, which is banned: use snprintf"
done
reset
file lib/base/owe.c "/* TO""DO: all of it */"
want banned.sh "lib/base/owe.c:6: still owed"

reset
for text in "/wo""rk/main/x" "/ho""me/somebody/x" "/ro""ot/x" "127.0"".0.53"; do
  file lib/base/place.c "/* $text */"
  want paths.sh "lib/base/place.c:6: "
done
reset
echo "OPENAI_API_KEY=$(yes ab12 | head -10 | tr -d '\n')" >.env
want paths.sh ".env:1: looks like a secret"
want paths.sh ".env:1: an environment file"
rm -f .env

if command -v clang-format-14 >/dev/null; then
  cp "$checks/../../.clang-format" .
  reset
  clean format.sh
  file lib/base/ugly.c "int   low_x;"
  want format.sh "lib/base/ugly.c:6: not formatted"
fi

if command -v clang-tidy-14 >/dev/null; then
  cp "$checks/../../.clang-tidy" .
  reset
  mkdir -p tools build
  cp "$checks/../tidy" tools/
  echo "[{\"directory\": \"$tree\", \"command\": \"cc -c lib/base/low.c -I.\", \"file\": \"$tree/lib/base/low.c\"}]" \
    >build/compile_commands.json
  clean tidy.sh
  file lib/base/low.c "int low_get(void);" "int" "low_get(void)" "{" "    return low_get();" "}"
  want tidy.sh "function 'low_get' is within a recursive call chain"
  file lib/base/low.c "int low_get(int *at);" "int" "low_get(int *at)" "{" "    if (!at)" \
    "        return *at;" "    return 0;" "}"
  clean tidy.sh
  if [[ $(tools/tidy build) != *"lib/base/low.c:11:16: error: Dereference of null pointer"* ]]; then
    echo "tools/tidy:1: the analyzer does not find a null pointer: repair it"
    bad=1
  fi
fi
((bad == 0)) && echo "selftest: every check sees its faults"
exit "$bad"
