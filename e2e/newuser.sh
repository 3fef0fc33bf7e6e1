#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a newcomer's mistakes change nothing that was not meant, and the answer says in one
# sentence what is wrong, where, and what to do.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# refused NAME NEEDLE COMMAND...: it fails and says NEEDLE in one line
refused() {
  local name=$1 needle=$2 out status=0
  shift 2
  out=$("$@" 2>&1 </dev/null) || status=$?
  if ((status == 0)); then not_ok "$name" "exit 0: $out"; else
    has "$name" "$needle" "$out"
    same "$name, in one line" 1 "$(wc -l <<<"$out")"
  fi
}
# yaml NAME NEEDLE TEXT: what `berth apply -f -` says to TEXT (printf format)
yaml() {
  # shellcheck disable=SC2059
  has "$1" "$2" "$(printf "$3" | berth apply -f - 2>&1 || true)"
}

stack_start
v='apiVersion: berth.dev/v1alpha1\n'

# ---- files ----
mkdir "$e2e_dir/folder"
printf '%bkind: Container\nmetadata: {name: a}\nspec: {wallet: team-b}\n' "$v" >"$e2e_dir/folder/1.yaml"
printf '%bkind: Wallet\nmetadata: {name: team-b}\n' "$v" >"$e2e_dir/folder/2.yml"
printf 'no: manifest\n' >"$e2e_dir/folder/notes.txt"
same "a folder is applied file by file, and nothing is missing in the end" \
  "Container a created Wallet team-b created" "$(berth apply -f "$e2e_dir/folder" 2>&1 | xargs)"
has "-f may come twice" "Wallet team-b unchanged" "$(berth apply -f "$e2e_dir/folder/1.yaml" -f "$e2e_dir/folder/2.yml")"
printf '%bkind: Wallet\nmetadata: {name: team-c}\n' "$v" >"$e2e_dir/folder/0.yaml"
printf '%bkind: Wallet\nmetadata: {name: team-d}\nspec: {frozne: true}\n' "$v" >"$e2e_dir/folder/3.yaml"
refused "a bad file of a folder is named" "3.yaml: line 4" berth apply -f "$e2e_dir/folder"
refused "and none of the others was applied" "no Wallet" berth get wallet team-c
refused "a folder without manifests" "there is no *.yaml" berth apply -f "$BERTH_DATA/keys"
yaml "Windows' byte order mark" "Wallet bom created" "\xef\xbb\xbf${v}kind: Wallet\nmetadata: {name: bom}\n"
yaml "a tab has its place" "line 3, column 1: found character" "${v}metadata:\n\tname: x\n"
yaml "a key that is there twice has its place" "line 3, column 1: duplicate key" "${v}kind: Wallet\nkind: Wallet\n"
yaml "a file with nothing in it" "there is no object in it" "# later\n"
yaml "a name says how names are" "1 to 63 bytes" "${v}kind: Wallet\nmetadata: {name: ../x}\n"
yaml "a wallet that nobody made" "Container b names Wallet team-x, which does not exist yet" \
  "${v}kind: Container\nmetadata: {name: b}\nspec: {wallet: team-x}\n"
yaml "a target that nothing offers" "Route r names Model gpt-4o-mini, which nothing offers yet" \
  "${v}kind: Route\nmetadata: {name: r}\nspec: {targets: [gpt-4o-mini]}\n"
# shellcheck disable=SC2317
route_is_unready() { [[ $(berth get route r) == *NoTarget* ]]; }
within 5 route_is_unready && ok "get routes says that it leads nowhere" || not_ok "get routes says that it leads nowhere" "$(berth get routes)"
printf '%bkind: Provider\nmetadata: {name: keyless}\nspec: {dialect: openai, baseUrl: "https://api.example.com/v1", key: {env: NOBODY_SETS_THIS}}\n' "$v" |
  berth apply -f - >/dev/null
# shellcheck disable=SC2317
provider_is_unready() { [[ $(berth get provider keyless) == *KeyMissing* ]]; }
within 5 provider_is_unready && ok "get providers says whose key is missing" || not_ok "get providers says whose key is missing" "$(berth get providers)"

# ---- names ----
refused "a name is no path to another kind" 'there is no Wallet "../apikeys/host"' berth get wallet ../apikeys/host
refused "neither when deleting" 'there is no Wallet' berth delete wallet ../apikeys/host
has "and the key is still there" host "$(berth get apikeys)"
refused "no suggestion where nothing is near" 'there are wallets' berth get foo
refused "a kind with a typo" "did you mean containers" berth get conatiners
refused "help of no command" "unknown command" berth help frobnicate
refused "options before the command" "options stand behind the command" berth -o json version

# ---- keys ----
printf '%bkind: ApiKey\nmetadata: {name: strict}\nspec: {wallet: team-b, models: ["openai/*"], cap: {day: "1.00"}}\n' "$v" |
  berth apply -f - >/dev/null 2>&1
before=$(berth get apikey strict -o json)
refused "a key is not made twice" "exists already" berth keys create strict --out "$e2e_dir/strict.key"
same "and stays as it is, caps and all" "$before" "$(berth get apikey strict -o json)"
refused "nor for a wallet that is not there" 'there is no Wallet "nope"' berth keys create x --wallet nope
berth delete apikey strict >/dev/null 2>&1
same "a deleted key's file is gone" no "$([[ -e $BERTH_DATA/keys/strict.key ]] && echo yes || echo no)"
answer=$(curl -s --json '{"model":"openai/gpt-4o-mini","messages":[]}' -H 'Authorization: Bearer container-dev' "$host_url/v1/chat/completions")
has "a 401 says what is taken where" "from inside container NAME" "$answer"
same "and is the same for every credential" "$answer" \
  "$(curl -s --json '{"model":"openai/gpt-4o-mini","messages":[]}' "$host_url/v1/chat/completions")"

# ---- money ----
refused "the default wallet stays" "not deleted" berth delete wallet default
berth wallet deposit 3.00 --wallet team-b >/dev/null
refused "a wallet with money stays" "holds 3.00 USD in General" berth delete wallet team-b
has "-3.00 is an amount" "general_balance    0.00" "$(berth wallet adjust -3.00 --wallet team-b --balance general --reason out)"
has "an empty one goes" deleted "$(berth delete wallet team-b)"
refused "a reference that is too long" "--reference has more than" berth wallet deposit 1 --reference "$(printf 'x%.0s' {1..200})"
has "transactions are in dollars" "-3.00" "$(berth wallet transactions --limit 2)"
refused "an end before the start" "--until is before --since" berth usage --since 1h --until 2h
has "times as Berth writes them" "REQUESTS" "$(berth usage --since 2026-01-31T12:00:00Z --until 2026-02-01T00:00:00Z)"
refused "half a time" "--since wants a time" berth usage --since 2026-01-31T12
refused "records are not added up" "one of the two" berth usage --records --by day
curl -s -o /dev/null -H "Authorization: Bearer $host_key" --json '{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}' "$host_url/v1/chat/completions"
# shellcheck disable=SC2317
recorded() { (($(berth usage --records -o csv | wc -l) > 1)); }
within 10 recorded || not_ok "a call is recorded" "$(berth usage --records)"
same "records of one caller" 2 "$(berth usage --records --subject key/host -o csv | wc -l)"
same "records of another caller" 1 "$(berth usage --records --subject key/other -o csv | wc -l)"
same "records before it" 1 "$(berth usage --records --until 1h -o csv | wc -l)"
has "near names of routes" "Did you mean fast?" "$(printf '%bkind: Route\nmetadata: {name: fast}\nspec: {targets: [openai/gpt-4o-mini]}\n' "$v" | berth apply -f - >/dev/null
  # shellcheck disable=SC2317
  near() { curl -s -H "Authorization: Bearer $host_key" --json '{"model":"fas","messages":[]}' "$host_url/v1/chat/completions" | tee "$e2e_dir/near" | grep -q fast; }
  within 5 near; cat "$e2e_dir/near")"

# ---- output ----
for words in "get wallets" "get providers" "describe wallet default" "wallet show" "wallet transactions" "wallet audit" \
  "wallet settings" "invoices list" "keys list" "models" "usage" "usage --records" "nodes" "logs" "version" "server-key show"; do
  # shellcheck disable=SC2086
  berth $words -o json >"$e2e_dir/out.json" || not_ok "berth $words -o json" "exit $?"
  python3 -I -c 'import json, sys; json.load(open(sys.argv[1]))' "$e2e_dir/out.json" ||
    not_ok "berth $words -o json is JSON" "$(head -c 200 "$e2e_dir/out.json")"
done
ok "-o json is JSON"
same "completion of verbs" "deposit describe" "$(bash -c 'source <(berth completion bash)
  try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _berth; echo "${COMPREPLY[*]}"; }
  try berth wallet dep; try berth desc' | xargs)"

# ---- folders ----
refused "a data directory that is a file" "is no directory" berth up --offline --data "$e2e_dir/up.out"
refused "an empty data directory" "empty or too long" berth up --offline --data ""
