#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a full disk stops what costs money with 503 journal_unavailable, loses no record of what was
# served, and ends with the disk's fullness, without a restart; a full store acks nothing that it did not book.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[[ $EUID == 0 ]] || { echo "skip disk: mounting a small file system needs root"; exit 0; }
command -v python3 >/dev/null || { echo "skip disk: needs python3"; exit 0; }
dir=$(mktemp -d /tmp/berth-disk.XXXXXX)
cleanup() {
  local status=$?
  trap - EXIT INT TERM
  for name in dp cp; do
    ! mountpoint -q "$dir/$name" || umount "$dir/$name" || umount -l "$dir/$name"
  done
  if ((status == 0)); then rm -rf "$dir"; else echo "# files of this run are kept in $dir"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$dir/dp" "$dir/cp"
if ! mount -t tmpfs -o size=24m,mode=0700 berth-dp "$dir/dp" 2>"$dir/mount.err" ||
  ! mount -t tmpfs -o size=24m,mode=0700 berth-cp "$dir/cp" 2>>"$dir/mount.err"; then
  echo "skip disk: $(head -1 "$dir/mount.err")"
  exit 0
fi
python3 "$here/hostile/disk.py" "$dir"
