# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What a suite leaves behind when it is killed: started beside it by lib.sh, `bash sweep.sh PID DIR` waits
# for the end of process PID and then ends every process of its run. One belongs to it if DIR is in its
# environment (BERTH_DATA, BERTH_AGENT_RUN_OF), or if it is a monitor of containers in DIR; and so do all
# their descendants. A session of its own: what ends the suite's process group does not end this.
suite=$1 dir=$2
while kill -0 "$suite" 2>/dev/null; do sleep 0.2; done

declare -A parent=() mine=()
look() {
  local proc pid line
  parent=() mine=()
  for proc in /proc/[0-9]*; do
    pid=${proc#/proc/}
    # the name may have blanks and brackets; behind the last bracket come state and parent
    line=$(cat "$proc/stat" 2>/dev/null) || continue
    # shellcheck disable=SC2086
    set -- ${line##*) }
    [[ $1 != Z && $pid != "$$" && $2 != "$$" ]] || continue
    parent[$pid]=$2
    if tr '\0' '\n' 2>/dev/null <"$proc/environ" | grep -qE "^BERTH_(DATA|AGENT_RUN_OF)=$dir(/|\$)"; then
      mine[$pid]=1
    elif [[ ${line#*(} == conmon* ]] && tr '\0' '\n' 2>/dev/null <"$proc/cmdline" | grep -qF "$dir/"; then
      mine[$pid]=1
    fi
  done
}
# descends PID: from one of ours
descends() {
  local pid=$1
  while [[ -n $pid && -z ${mine[$pid]:-} ]]; do pid=${parent[$pid]:-}; done
  [[ -n $pid ]]
}
for _ in 1 2 3; do # what starts while we look is seen the next time
  found=0
  look
  for pid in "${!parent[@]}"; do
    descends "$pid" || continue
    kill -KILL "$pid" 2>/dev/null && found=1
  done
  ((found)) || break
done
# and what no process holds
ip netns del "berth-e2e-$suite" 2>/dev/null || true
awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r umount -l 2>/dev/null || true
