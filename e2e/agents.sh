#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: the vendors' unmodified coding agents, in a container without network and with no key but the
# container's own token, each complete a task that edits a file through a tool call: `berth run AGENT` sets
# their environment and nothing else. The provider is the simulator; it calls the tool that the task names.
# BERTH_AGENTS="claude qwen" runs only these.
AGENT=1
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
((EUID == 0)) || { skip agents "containers need root"; exit 0; }
for program in node npm podman runc; do
  command -v "$program" >/dev/null || { skip agents "needs $program"; exit 0; }
done
agents=$e2e_root/e2e/agents
[[ -f $agents/node_modules/.package-lock.json ]] ||
  npm install --prefix "$agents" --no-audit --no-fund --no-package-lock >"$e2e_dir/npm.log" 2>&1 ||
  { skip agents "npm install: $(tail -n 1 "$e2e_dir/npm.log")"; exit 0; }
# What the packages' own install scripts do, whether this npm runs them or not.
(cd "$agents/node_modules/@anthropic-ai/claude-code" && node install.cjs) >"$e2e_dir/install.log" 2>&1 &&
  (cd "$agents/node_modules/opencode-ai" && node postinstall.mjs) >>"$e2e_dir/install.log" 2>&1 ||
  { skip agents "install scripts: $(tail -n 1 "$e2e_dir/install.log")"; exit 0; }

stack_start
wallet_fund 100.00
pods_start
node=$(readlink -f "$(command -v node)")
echo 'root:x:0:0:root:/root:/bin/sh' >"$e2e_dir/passwd"
mounts=(-v "$e2e_dir/passwd:/etc/passwd:ro" -v /usr:/usr:ro -v /lib:/lib:ro -v "$agents:/agents:ro" -v "$bin:/berth:ro")
[[ ! -d /lib64 ]] || mounts+=(-v /lib64:/lib64:ro)
[[ $node == /usr/* ]] || mounts+=(-v "$(dirname "$(dirname "$node")"):$(dirname "$(dirname "$node")"):ro")

ran=()
# task AGENT MODEL TOOL ARGUMENTS COMMAND...: the task is on standard input or replaces TASK
task() {
  local agent=$1 model=$2 call="[[call: $3 $4]]" have
  shift 4
  [[ -z ${BERTH_AGENTS:-} || " $BERTH_AGENTS " == *" $agent "* ]] || return 0
  ran+=("$agent")
  local text="Please write the file. $call" words=() word input=/dev/null
  for word in "$@"; do
    [[ $word != TASK ]] || word=$text
    words+=("$word")
  done
  [[ " $* " == *" TASK "* ]] || { input=$e2e_dir/$agent.task; echo "$text" >"$input"; }
  have=$(timeout 120 "$e2e_dir/podman/pod" run --rm -i --name "box-$agent" --network none --pull never \
    --http-proxy=false "${mounts[@]}" --unsetenv-all -e HOME=/home/container -e TERM=dumb \
    -e PATH="/berth:/agents/node_modules/.bin:$(dirname "$node"):/usr/bin:/bin" berth-demo \
    sh -c 'mkdir -p "$HOME" && chmod 700 "$HOME" && cd "$HOME" && "$@" >&2; echo "exit $?"; cat hello.txt' sh \
    berth run --url "http://127.0.0.1:$port" --token "container-box-$agent" --model "$model" "${words[@]}" \
    <"$input" 2>"$e2e_dir/$agent.log") || true
  same "$agent edits a file through a tool call" $'exit 0\nhello from '"$agent" "$have"
  [[ $have == *"hello from $agent" ]] || tail -n 5 "$e2e_dir/$agent.log" | sed 's/^/# /'
}

hello() { printf '{"%s":"/home/container/hello.txt","content":"hello from %s"}' "$1" "$2"; }
task claude claude-haiku-4-5 Write "$(hello file_path claude)" claude -p TASK --permission-mode acceptEdits
task qwen gpt-4o-mini write_file "$(hello file_path qwen)" qwen --yolo -p TASK
task opencode gpt-4o-mini write "$(hello filePath opencode)" opencode run
node_major=$(node -p 'process.versions.node.split(".")[0]')
if ((node_major >= 20)); then
  task gemini gemini-2.5-flash write_file "$(hello file_path gemini)" gemini --yolo --skip-trust -p TASK
else
  skip gemini "Gemini CLI needs Node.js 20, this is $node_major"
fi
task codex gpt-4o-mini exec_command '{"cmd":"printf \"hello from codex\" > hello.txt"}' \
  codex exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox TASK

charged() { berth usage --by subject | grep -q "container/box-$1 "; }
# Every call was identified as its container's and charged.
for name in "${ran[@]}"; do
  within 10 charged "$name" && ok "$name was charged to its container" || not_ok "$name was charged to its container" "no usage record"
done
