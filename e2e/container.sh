# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Real containers from nothing but this machine: podman with storage, configuration and hooks of its
# own below one folder, and an image made of the static busybox. Sourced by ./run and e2e/lib.sh.
# The caller's own podman is neither used nor changed.

# container_setup DIR HOOKS_DIR: prepare DIR, write DIR/pod (podman with all of this), import image.
container_setup() {
  local dir=$1 hooks=$2 busybox
  mkdir -p "$dir"/{storage,runroot,tmp,rootfs/bin,rootfs/tmp,rootfs/etc}
  cat >"$dir/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
hooks_dir = ["$hooks"]
CONF
  cat >"$dir/pod" <<POD
#!/bin/sh
# podman with the storage and the hooks of this folder
export CONTAINERS_CONF="$dir/containers.conf"
exec podman --root "$dir/storage" --runroot "$dir/runroot" --tmpdir "$dir/tmp" \\
  --storage-driver vfs --hooks-dir "$hooks" --log-level error "\$@"
POD
  chmod +x "$dir/pod"
  if ! "$dir/pod" image exists berth-demo 2>/dev/null; then
    busybox=$(command -v busybox || echo /bin/busybox)
    [[ -x $busybox ]] || { echo "container.sh: busybox-static is not installed" >&2; return 1; }
    cp "$busybox" "$dir/rootfs/bin/busybox"
    local applet
    for applet in sh wget cat env sleep ls nc id ps grep head; do
      ln -sf busybox "$dir/rootfs/bin/$applet"
    done
    tar -C "$dir/rootfs" -c . | "$dir/pod" import - berth-demo >/dev/null 2>"$dir/import.log" ||
      { cat "$dir/import.log" >&2; return 1; }
  fi
}

# container_cleanup DIR: end its containers, remove its storage.
container_cleanup() {
  local dir=$1
  [[ -x $dir/pod ]] || return 0
  "$dir/pod" rm -af -t 1 >/dev/null 2>&1 || true
  "$dir/pod" rmi -af >/dev/null 2>&1 || true
  rm -rf "$dir"
}
