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
installed=$agents/node_modules/.package-lock.json
[[ -f $installed && ! $agents/package.json -nt $installed ]] ||
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
# claims AGENT WHAT COMMAND...: a cell of docs/clients.md
claims() {
  local agent=$1 what=$2 holds=no
  shift 2
  ! "$@" || holds=yes
  printf '# claim\t%s\t%s\t%s\n' "\`berth run $agent\`" "$what" "$holds" >>"$e2e_dir/claims.agents"
}
# attempt AGENT MODEL CALL WHAT COMMAND...: the task is on standard input or replaces TASK
attempt() {
  local agent=$1 model=$2 text="Please write the file. $3" what=$4 want=$'exit 0\nhello from '$1 have words=() word input=/dev/null
  shift 4
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
  same "$agent before $model: $what" "$want" "$have"
  claims "$agent" "$what" [ "$have" == "$want" ]
  [[ $have == "$want" ]] || tail -n 5 "$e2e_dir/$agent.log" | sed 's/^/# /'
}
# task AGENT MODEL OTHER TOOL ARGUMENTS COMMAND...: with a model of its own vendor and another's, which
# other_call gives another tool
task() {
  local agent=$1 model=$2 other=$3 call="[[call: $4 $5]]"
  shift 5
  [[ -z ${BERTH_AGENTS:-} || " $BERTH_AGENTS " == *" $agent "* ]] || return 0
  ran+=("$agent")
  attempt "$agent" "$model" "$call" "edits a file by a tool call" "$@"
  attempt "$agent" "$other" "${other_call:-$call}" "the same before another vendor's model" "$@"
}

# What a new user gets to read.
key_create agents-host
says() { # NAME NEEDLE OPTIONS-AND-PROGRAM...
  local name=$1 needle=$2
  shift 2
  has "berth run: $name" "$needle" "$(berth run "$@" 2>&1 || true)"
}
says "no Berth there" "start one with: berth up" --url http://127.0.0.1:1 --token x true
says "a token that is not taken" "does not take this token" --url "$host_url" --token nobody true
says "an unknown model" "Did you mean openai/gpt-4o-mini" --url "$host_url" --token "$key" --model gpt-4o-mimi true
says "an agent that is not there" "npm install -g cline" --url "$host_url" --token "$key" --model gpt-4o-mini no/such/folder/cline
says "no model where one is needed" "opencode needs --model" --url "$host_url" --token "$key" opencode
says "no URL" "'foo' is no URL" --url foo --token x true
says "a URL with /v1" "OPENAI_BASE_URL='$host_url/v1'" --url "$host_url/v1" --token x --print true
says "a container's token" "OPENAI_BASE_URL='http://127.0.0.1:4180/v1'" --token container-x --print true
says "a quote in a model" "quotes" --url "$host_url" --token x --model "a'b" --print true

hello() { printf '{"%s":"/home/container/hello.txt","content":"hello from %s"}' "$1" "$2"; }
task claude claude-haiku-4-5 openai/gpt-4o-mini Write "$(hello file_path claude)" claude -p TASK --permission-mode acceptEdits
task qwen gpt-4o-mini anthropic/claude-haiku-4.5 write_file "$(hello file_path qwen)" qwen --yolo -p TASK
task opencode gpt-4o-mini anthropic/claude-haiku-4.5 write "$(hello filePath opencode)" opencode run
node_major=$(node -p 'process.versions.node.split(".")[0]')
if ((node_major >= 20)); then
  task gemini gemini-2.5-flash openai/gpt-4o-mini write_file "$(hello file_path gemini)" gemini --yolo --skip-trust -p TASK
else
  skip gemini "Gemini CLI needs Node.js 20, this is $node_major"
fi
task codex gpt-4o-mini anthropic/claude-haiku-4.5 exec_command '{"cmd":"printf \"hello from codex\" > hello.txt"}' \
  codex exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox TASK

if [[ -x $agents/node_modules/.bin/cline ]]; then
  other_call='[[call: editor {"path":"/home/container/hello.txt","new_text":"hello from cline"}]]' \
    task cline gpt-4o-mini anthropic/claude-haiku-4.5 apply_patch \
    '{"input":"*** Begin Patch\n*** Add File: hello.txt\n+hello from cline\n*** End Patch"}' cline TASK
else
  skip cline "Cline has no program for $(uname -m)"
fi

charged() { berth usage --by subject | grep -q "container/box-$1 "; }
# Every call was identified as its container's and charged.
for name in "${ran[@]}"; do
  within 10 charged "$name" && ok "$name was charged to its container" || not_ok "$name was charged to its container" "no usage record"
  claims "$name" "charged to its container" charged "$name"
done
[[ -n ${BERTH_AGENTS:-} ]] || claims_agree agents
