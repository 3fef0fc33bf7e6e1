#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: every command that README, the pages of docs/ and `berth COMMAND --help` print works as
# it stands there, on a stack with one container, in the order of the pages.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
((EUID == 0)) || { skip "commands of the documents" "their containers need root"; exit 0; }
cd "$e2e_root"
work=$e2e_dir/work
mkdir -p "$work/bin"
cp -r manifests "$work"
cd "$work"

# What the pages take for granted: programs that are installed, files that somebody has.
for program in claude codex python; do
  printf '#!/bin/sh\nexit 0\n' >"bin/$program"
  chmod +x "bin/$program"
done
export PATH=$work/bin:$PATH
sed 's/"as_of":"[^"]*"/"as_of":"2030-01-02"/' "$e2e_root/controlplane/catalog/data/models.json" >models.json
cp manifests/examples/routes.yaml routes.yaml
printf 'apiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: house/x}\nspec: {provider: house, upstream: x, free: true}\n' >models.yaml

# commands: those of stdin's fenced blocks, each with its here-document, NUL between them
commands() {
  awk '/^```/ { fenced = !fenced; next }
    !fenced { next }
    inside { printf "%s\n", $0; if ($0 == "YAML") { inside = 0; printf "%c", 0 } next }
    !/^(berth|eval|source) / { next }
    { gsub(/[ \t]+#.*$/, "") }
    /<<.YAML/ { inside = 1; print; next }
    { printf "%s%c", $0, 0 }'
}
# examples COMMAND: of its help, likewise
examples() { berth "$1" --help | awk '/^Examples/ { on = 1; next } /^$/ { on = 0 } on { sub(/^  /, ""); printf "%s%c", $0, 0 }'; }

# ready COMMAND: what stands before it in the life of whoever types it
ready() {
  case $1 in
  *'revoke dev-env'* | *verify-binding*)
    pod rm -f -t 0 dev-env >/dev/null
    pod run -d --name dev-env --network none berth-demo sleep 1000000 >/dev/null
    berth get container dev-env -o json | sed -n '/"binding"/,/^    }/p' | sed '1s/.*/{/;$s/,$//' >binding.json
    cp "$BERTH_DATA/controlplane/server.pub" server.pub
    ;;
  *'container release'*) berth container register build-7 --pid "$alone" >/dev/null 2>&1 || true ;;
  *'container register'*) berth container release build-7 >/dev/null 2>&1 || true ;;
  *'delete route fast'* | *'get route fast'*) berth apply -f routes.yaml >/dev/null 2>&1 ;;
  *'delete apikey'*) for key in ci laptop; do berth keys create $key >/dev/null 2>&1 || true; done ;;
  *'keys create'*)
    berth keys delete ci >/dev/null 2>&1 || true
    berth keys delete laptop >/dev/null 2>&1 || true
    ;;
  *'delete wallet team-a'*)
    printf 'apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: team-a}\n' | berth apply -f - >/dev/null
    ;;
  'berth backup'*) rm -f berth-backup.tar ;;
  'berth restore'*)
    rm -rf restored
    [[ -e berth-backup.tar ]] || berth backup berth-backup.tar >/dev/null
    ;;
  *'invoices issue'*) berth wallet deposit 1.00 >/dev/null ;;
  *'--pdf november.pdf'*) rm -f november.pdf ;;
  esac
}

# try PAGE COMMAND
try() {
  local page=$1 command=$2 out
  case $command in
  # other suites: they start and stop the stack, change the host, or speak from inside a container
  # (discover fetches a list that lacks models again after 15 s and 45 s)
  'berth models discover' | 'berth models discover --provider'* | 'berth up'* | *'berth up' | 'berth down'* | 'berth check'* | *install-hooks* | *'--token container-'* | curl* | *bash_completion.d* | *'.config/fish'*)
    return ;;
  esac
  ready "$command"
  command=${command//--pid 4711/--pid $alone}
  command=$(sed -E 's/(invoices get) 7/\1 1/; s/freeze\|unfreeze/unfreeze/; s/\[WALLET\]|\[--wallet NAME\]//; s/\[(-o csv)\]/\1/' <<<"$command")
  tried=$((tried + 1))
  out=$(bash -c "$command" 2>&1) && return
  not_ok "$page: ${command%%$'\n'*}" "$out"
}

stack_start
pods_start
unshare -n sleep 1000000 &
alone=$!
pod run -d --name dev-env --network none berth-demo sleep 1000000 >/dev/null
berth wallet deposit 1.00 >/dev/null
berth invoices issue >/dev/null
for page in README.md docs/catalogue.md docs/clients.md docs/from-litellm.md docs/media.md docs/operations.md docs/providers.md docs/wallet.md; do
  tried=0
  bad=$e2e_bad
  while IFS= read -r -d '' command; do try "$page" "$command"; done < <(commands <"$e2e_root/$page")
  ((bad < e2e_bad)) || ok "$page: $tried commands"
done
tried=0
bad=$e2e_bad
for name in $(berth --help | awk '/^  [a-z]/ { print $1 }'); do
  while IFS= read -r -d '' command; do try "berth $name --help" "$command"; done < <(examples "$name")
done
((bad < e2e_bad)) || ok "examples of --help: $tried commands"
((tried > 30)) || not_ok "examples of --help are found" "$tried"

# Every option on the pages is one of its command.
while IFS= read -r -d '' command; do
  read -r _ name _ <<<"$command"
  for option in $(grep -oE -- ' --[a-z-]+' <<<"${command%%[|$'\n']*}"); do
    [[ $name != run && $option != --help && $(berth "$name" --help) != *"$option"* ]] || continue
    [[ $name == run ]] || not_ok "an option of the pages" "berth $name has no $option"
  done
done < <(cat "$e2e_root"/README.md "$e2e_root"/docs/*.md | commands)

# The tables of metrics are what the daemons have, and what these tell is in the tables.
curl -s -o /dev/null -H "Authorization: Bearer $host_key" --json '{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}' "$host_url/v1/chat/completions"
curl -s -o /dev/null -H "Authorization: Bearer none" "$host_url/v1/models"
told() { for at in 2 4; do curl -s "http://127.0.0.1:$((port + at))/metrics"; done | awk '/^# TYPE/ { print $3 }' | sort; }
on_page=$(sed -n 's/^| `\(berth_[a-z_]*\|gen_ai_[a-z_]*\)` .*/\1/p' "$e2e_root/docs/operations.md" | sort)
in_tables=$(cd "$e2e_root" && { sed -nE 's/^METRIC_ROW\([a-z_]+, "([a-z_]+)".*/\1/p' dataplane/pipeline/metrics.def
  sed -nE 's/^METRIC_ROW\(([a-z_]+), [A-Z]+,.*/\1/p' controlplane/admin/metrics.def
  sed -nE 's/.*# TYPE (berth_[a-z_]+) .*/\1/p' dataplane/node/admin.c; } | sort)
same "docs/operations.md has every metric" "$in_tables" "$on_page"
same "and the daemons tell no other" "" "$(comm -23 <(told) <(echo "$on_page"))"
(($(told | wc -l) > 14)) && ok "they tell most of them" || not_ok "they tell most of them" "$(told | xargs)"
for at in 2 4; do
  for probe in readyz livez healthz; do
    same "port $at: /$probe" 200 "$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$((port + at))/$probe")"
  done
done
kill "$alone" 2>/dev/null || true
