#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: h2spec passes whole and strict on every clear and TLS listener; the hostile cases of HTTP/1.1, HTTP/2, TLS
# and providers get their one answer and harm nobody; sanitizer builds report nothing under real traffic.
# BERTH_BIN: programs (default build/dev/bin). BERTH_BIN_ASAN, BERTH_BIN_TSAN: folders with sanitizer builds, for the last part.
set -euo pipefail
e2e=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$e2e")
export BERTH_BIN=${BERTH_BIN:-$root/build/dev/bin}
command -v python3 >/dev/null || { echo "skip conformance: needs python3"; exit 0; }
bad=0
part() { "$@" || bad=$((bad + 1)); }

# Its clients wait for a minute and a half, with a stack of their own: beside the others.
slow_log=$(mktemp)
trap 'rm -f "$slow_log"' EXIT
python3 "$e2e/hostile/slow.py" >"$slow_log" 2>&1 &
slow=$!
part python3 "$e2e/hostile/h2spec.py" "$root/tools/h2spec"
for suite in h1 h2 tls upstream; do
  part python3 "$e2e/hostile/$suite.py"
done
part wait "$slow"
cat "$slow_log"

# A thread-sanitizer build of the planes is enough; the simulator is then the ordinary one.
sanitized() { # NAME FOLDER
  if [[ -z $2 ]]; then
    echo "skip $1 traffic: set BERTH_BIN_${1^^} to a folder with that build"
    return
  fi
  local sim=$2
  [[ -x $2/berth-sim ]] || sim=$BERTH_BIN
  part python3 "$e2e/hostile/traffic.py" "$1" "$2" "$sim"
  for suite in h1 h2 upstream; do
    echo "# $suite, $1 build"
    part env BERTH_LAX=10 BERTH_BIN="$2" BERTH_BIN_SIM="$sim" python3 "$e2e/hostile/$suite.py"
  done
}
sanitized asan "${BERTH_BIN_ASAN:-}"
sanitized tsan "${BERTH_BIN_TSAN:-}"
exit $((bad > 0))
