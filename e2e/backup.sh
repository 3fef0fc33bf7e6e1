#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: `berth backup` on a busy stack gives a file from which another data directory goes on:
# the audit is clean, tokens and keys work, sealed keys open; a bad file or a
# directory in use changes nothing.
# shellcheck source=e2e/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ask() { # KEY MODEL -> status
  curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $1" \
    --json '{"model":"'"$2"'","messages":[{"role":"user","content":"hi"}]}' "$host_url/v1/chat/completions"
}
# refused NAME NEEDLE COMMAND...
refused() {
  local name=$1 needle=$2 out status=0
  shift 2
  out=$("$@" 2>&1) || status=$?
  same "$name: exit 1" 1 "$status"
  has "$name" "$needle" "$out"
}

stack_start
berth keys create ci >/dev/null
ci_key=$(cat "$BERTH_DATA/keys/ci.key")
# apply_two KEY: a provider with a key of its own, which is sealed
apply_two() {
  berth apply -f - >/dev/null <<YAML
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: two}
spec: {dialect: openai, baseUrl: "$sim_url/v1", allowPrivate: true, key: {value: $1}}
---
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: two/mini}
spec: {provider: two, upstream: gpt-4o-mini, kind: chat, price: {input: "0.1", output: "0.4"}}
YAML
}
apply_two sealed-secret
# shellcheck disable=SC2317
two_serves() { [[ $(ask "$ci_key" two/mini) == 200 ]]; }
within 10 two_serves || not_ok "the second provider serves" "$(berth get providers)"
server_key=$(berth server-key show)
admin_token=$(cat "$BERTH_DATA/controlplane/admin.token")

# ---- a backup of a busy stack ----
(while :; do ask "$ci_key" openai/gpt-4o-mini >/dev/null || exit 0; done) &
busy=$!
# shellcheck disable=SC2317
some_records() { (($(berth usage --records -o csv | wc -l) > 5)); }
within 10 some_records || not_ok "calls are recorded" ""
file=$e2e_dir/backup.tar
has "berth backup says what it wrote" "mode 0600" "$(berth backup "$file")"
records=$(berth usage --records -o csv | wc -l)
kill "$busy" 2>/dev/null && wait "$busy" 2>/dev/null || true
same "its mode" 600 "$(stat -c %a "$file")"
list=$(tar tf "$file")
for name in berth-backup controlplane/berth.db controlplane/server.key controlplane/seal.key controlplane/admin.token controlplane/pki/ca.key keys/host.key keys/ci.key; do
  grep -qx "$name" <<<"$list" || not_ok "tar finds $name" "$list"
done
ok "tar reads it"
same "the copy beside the store is gone" "" "$(ls "$BERTH_DATA"/controlplane/backup.db* 2>/dev/null)"
refused "a file that is there stays" "exists already" berth backup "$file"
refused "a folder that is not there" "No such file" berth backup "$e2e_dir/nowhere/b.tar"
same "and the copy is gone" "" "$(ls "$BERTH_DATA"/controlplane/backup.db* 2>/dev/null)"
has "-o json" '"files"' "$(berth backup "$e2e_dir/second.tar" -o json)"
refused "restoring into a running stack" "berth down stops it" berth restore "$file"
stack_stop || not_ok "the first stack stops" "$?"
refused "restoring over a store" "holds a store already" berth restore "$file"
refused "a backup without a stack" "start it with berth up" berth backup "$e2e_dir/third.tar"

# ---- bad files ----
head -c $(($(stat -c %s "$file") - 5000)) "$file" >"$e2e_dir/cut.tar"
refused "a file that was cut" "ends in the middle" berth restore "$e2e_dir/cut.tar" --data "$e2e_dir/cut"
same "leaves no file" "" "$(find "$e2e_dir/cut" -type f ! -name up.lock)"
echo nothing >"$e2e_dir/nothing"
refused "a file of another kind" "cannot be restored" berth restore "$e2e_dir/nothing" --data "$e2e_dir/none"
same "makes no folder" no "$([[ -e $e2e_dir/none ]] && echo yes || echo no)"
ln -s /etc/passwd "$e2e_dir/host.key"
tar --format=ustar -C "$e2e_dir" -cf "$e2e_dir/link.tar" host.key
refused "a tar file of somebody else" "does not write" berth restore "$e2e_dir/link.tar" --data "$e2e_dir/none"

(umask 077 && mkdir -p "$e2e_dir/half/controlplane/pki")
echo mine >"$e2e_dir/half/controlplane/pki/ca.key"
refused "a data directory with other files" "is it empty" berth restore "$file" --data "$e2e_dir/half"
same "gets none" "$e2e_dir/half/controlplane/pki/ca.key" "$(find "$e2e_dir/half" -type f ! -name up.lock)"

# ---- another machine ----
export BERTH_DATA=$e2e_dir/other
has "berth restore" "files are in" "$(berth restore "$file")"
same "no file that others may read" "" "$(find "$BERTH_DATA" -type f -perm /077)"
stack_start
same "the server's key" "$server_key" "$(berth server-key show)"
same "the admin token" "$admin_token" "$(cat "$BERTH_DATA/controlplane/admin.token")"
same "the token opens the admin API" 200 "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $admin_token" "http://127.0.0.1:$((port + 4))/api/v1/nodes")"
# shellcheck disable=SC2317
serves() { [[ $(ask "$1" "$2") == 200 ]]; }
within 10 serves "$host_key" openai/gpt-4o-mini && ok "the host's key works" || not_ok "the host's key works" "$(ask "$host_key" openai/gpt-4o-mini)"
within 10 serves "$ci_key" two/mini && ok "another key, and a sealed key of a provider" || not_ok "another key, and a sealed key of a provider" "$(berth get providers)"
have=$(berth usage --records -o csv | wc -l)
((have >= 6 && have <= records + 10)) && ok "its usage is there ($have records)" || not_ok "its usage is there" "$have of $records"
# shellcheck disable=SC2317
audit_is_clean() { berth wallet audit >"$e2e_dir/audit" 2>&1; }
within 5 audit_is_clean && ok "the audit is clean" || not_ok "the audit is clean" "$(cat "$e2e_dir/audit")"
stack_stop || not_ok "the second stack stops" "$?"

# ---- another disk: stop, copy, start ----
cp -a "$BERTH_DATA" "$e2e_dir/moved"
count=$have
export BERTH_DATA=$e2e_dir/moved
stack_start
# shellcheck disable=SC2317
all_there() { (($(berth usage --records -o csv | wc -l) >= count)); }
within 10 all_there && ok "a stopped data directory moves by cp -a" || not_ok "a stopped data directory moves" "$(berth usage --records -o csv | wc -l) of $count"
within 5 audit_is_clean && ok "and its audit is clean" || not_ok "and its audit is clean" "$(cat "$e2e_dir/audit")"

# ---- new keys: docs/operations.md ----
stack_stop || not_ok "the third stack stops" "$?"
mv "$BERTH_DATA/controlplane/seal.key" "$e2e_dir/old-seal.key"
refused "another master key" "was sealed with another one" berth up --offline --port "$port"
mv "$e2e_dir/old-seal.key" "$BERTH_DATA/controlplane/seal.key"
rm "$BERTH_DATA/controlplane/admin.token"
stack_start
admin() { curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $1" "http://127.0.0.1:$((port + 4))/api/v1/nodes"; }
same "the old admin token is dead" 401 "$(admin "$admin_token")"
same "the new one opens" 200 "$(admin "$(cat "$BERTH_DATA/controlplane/admin.token")")"
# shellcheck disable=SC2046
berth delete provider $(berth get providers | awk 'NR > 1 { print $1 }') >/dev/null
stack_stop || not_ok "the fourth stack stops" "$?"
mv "$BERTH_DATA/controlplane/seal.key" "$e2e_dir/old-seal.key"
stack_start
apply_two another-secret
within 10 serves "$ci_key" two/mini && ok "a new master key, and the provider's key applied again" ||
  not_ok "a new master key, and the provider's key applied again" "$(berth get providers)"
