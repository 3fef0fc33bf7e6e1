#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a key in the environment makes its provider; private addresses and clear http are refused when they are
# connected to unless the owner allowed them; a stored key is sealed, opens with its own master key only, and what an older
# version stored in plain is sealed by the next start; a model that does not exist is 404 with near names.
# shellcheck source=e2e/lib.sh
source "$(dirname "$0")/lib.sh"

secret=sk-e2e-providers-0123456789abcdefghijklmnop
manifest() { # NAME MORE
  printf 'apiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: %s}\nspec: {dialect: openai, %s}\n---\n' "$1" "$2"
  printf 'apiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/m}\nspec: {provider: %s, upstream: gpt-4o-mini, free: true}\n' "$1" "$1"
}
ask() { # MODEL: status and body
  curl -s -m 20 -w '\n%{http_code}' -H "Authorization: Bearer $host_key" -H 'Content-Type: application/json' \
    -d "{\"model\":\"$1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}" "$host_url/v1/chat/completions"
}
status_of() { ask "$1" | tail -1; }
is_status() { [[ $(status_of "$1") == "$2" ]]; }
offered() { curl -s -H "Authorization: Bearer $host_key" "$host_url/v1/models" | grep -q "\"id\":\"$1\""; }

# ---- what may be connected to ----------------------------------------------------------------------
stack_start
berth apply -f - >/dev/null < <(manifest mine "baseUrl: \"$sim_url/v1\", allowPrivate: true, key: {value: $secret}")
if within 10 is_status mine/m 200; then ok "a provider of one's own at a private address"; else not_ok "a provider of one's own" "$(ask mine/m)"; fi
# whoever connects to the loopback address is counted; refused means: nobody did
canary_port=0
if command -v python3 >/dev/null; then
  python3 -u -c '
import socket
a = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
print(a.getsockname()[1])
while True:
    a.accept()[0].close()
    print("connected")' >"$e2e_dir/canary" &
  canary_pid=$!
  within 10 test -s "$e2e_dir/canary"
  canary_port=$(head -1 "$e2e_dir/canary")
fi
i=0
for url in "https://127.0.0.1:$canary_port" "https://localhost:$canary_port" "https://[::1]:$canary_port" "https://[::ffff:127.0.0.1]:$canary_port" \
  "https://0.0.0.0:$canary_port" "https://[::]:$canary_port" https://10.0.0.1 https://192.168.0.1 https://172.16.0.1 https://100.64.0.1 \
  https://169.254.169.254 "https://[fd00:ec2::254]" "https://[64:ff9b::7f00:1]" "https://[fe80::1]" https://224.0.0.1; do
  [[ $url != *:0 ]] || continue
  i=$((i + 1))
  berth apply -f - >/dev/null < <(manifest "p$i" "baseUrl: '$url', key: {value: $secret}")
  if within 10 offered "p$i/m"; then
    same "refused: ${url/$canary_port/PORT}" 502 "$(status_of "p$i/m")"
  else
    not_ok "refused: $url" "not offered"
  fi
done
if ((canary_port > 0)); then
  same "nobody was connected to" 0 "$(grep -c connected "$e2e_dir/canary")"
  berth apply -f - >/dev/null < <(manifest allowed "baseUrl: 'https://127.0.0.1:$canary_port', allowPrivate: true, key: {value: $secret}")
  within 10 offered allowed/m || true
  status_of allowed/m >/dev/null
  has "and would have been, had the owner allowed it" connected "$(cat "$e2e_dir/canary")"
  kill "$canary_pid"
  wait "$canary_pid" 2>/dev/null || true
fi
for url in http://169.254.169.254 "http://[fd00:ec2::254]" http://0.0.0.0:1 http://224.0.0.1 "http://[fe80::1]"; do
  i=$((i + 1))
  berth apply -f - >/dev/null < <(manifest "p$i" "baseUrl: '$url', allowPrivate: true, key: {value: $secret}")
  if within 10 offered "p$i/m"; then same "never: $url" 502 "$(status_of "p$i/m")"; else not_ok "never: $url" "not offered"; fi
done
for host in 0x7f.1 2130706433 127.1; do
  has "refused as it is written: $host" "baseUrl" "$(manifest odd "baseUrl: 'https://$host/'" | berth apply -f - 2>&1 || true)"
done
berth apply -f - >/dev/null < <(manifest clear "baseUrl: 'http://example.org/v1', key: {value: $secret}")
offered clear/m && not_ok "clear http is not offered" "it is" || ok "clear http is not offered"
has "and says why" "not https" "$(berth get provider clear -o yaml)"
has "a dialect that is not there yet" "dialect" "$(printf 'apiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: bfl}\nspec: {dialect: bfl, baseUrl: "https://api.bfl.ai"}\n' | berth apply -f - 2>&1 || true)"

# ---- names -----------------------------------------------------------------------------------------
answer=$(ask openai/gpt-4o-minni)
same "an unknown model is 404" 404 "${answer##*$'\n'}"
has "with near names" "openai/gpt-4o-mini" "$answer"

# ---- sealed keys -----------------------------------------------------------------------------------
store=$BERTH_DATA/controlplane
same "the stored key cannot be read in the store's files" 0 "$(cat "$store"/berth.db* | grep -ac "$secret")"
has "nor through the API" "********" "$(berth get provider mine -o yaml)"
same "nor in a log" 0 "$(cat "$e2e_dir"/up.err "$BERTH_DATA"/*/*.log 2>/dev/null | grep -ac "$secret")"
same "mode of the master key" 600 "$(stat -c %a "$store/seal.key")"
stack_stop || true
cp "$store/seal.key" "$e2e_dir/seal.key"
rm "$store/seal.key"
if stack_start >"$e2e_dir/wrong" 2>&1; then
  not_ok "another master key is refused at the start" "it started"
  stack_stop || true
else
  has "another master key is refused at the start" "another" "$(cat "$e2e_dir/wrong")"
fi
# what an older version left: the key as it is
install -m 600 "$e2e_dir/seal.key" "$store/seal.key"
if command -v python3 >/dev/null; then
  python3 - "$store/berth.db" "$secret" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for (table,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
    columns = [row[1] for row in db.execute("pragma table_info(%s)" % table)]
    if "key" in columns and "value" in columns and "mod_rev" in columns:
        db.execute("update %s set value = cast(? as blob) where cast(key as text) = 'secrets/Provider/mine'" % table, (sys.argv[2],))
db.commit()
PY
  stack_start
  if within 10 is_status mine/m 200; then ok "a key that was stored in plain works on"; else not_ok "a key that was stored in plain works on" "$(ask mine/m)"; fi
  stack_stop || true
  sealed=$(python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for (table,) in db.execute("select name from sqlite_master where type = \"table\"").fetchall():
    columns = [row[1] for row in db.execute("pragma table_info(%s)" % table)]
    if "key" in columns and "value" in columns and "mod_rev" in columns:
        for (value,) in db.execute("select cast(value as text) from %s where cast(key as text) = \"secrets/Provider/mine\"" % table):
            print(value[:9])' "$store/berth.db")
  same "and is sealed now" "sealed:1:" "$sealed"
fi

# ---- the environment -------------------------------------------------------------------------------
# every provider of the table whose dialect is spoken; no request is made
cp_dir=$e2e_dir/env
names="AI21_API_KEY AZURE_AI_API_KEY DASHSCOPE_API_KEY ANTHROPIC_API_KEY AZURE_OPENAI_API_KEY CEREBRAS_API_KEY CLOUDFLARE_API_TOKEN COHERE_API_KEY DEEPINFRA_TOKEN
DEEPSEEK_API_KEY FIREWORKS_API_KEY GITHUB_TOKEN GEMINI_API_KEY GROQ_API_KEY HF_TOKEN HYPERBOLIC_API_KEY JINA_API_KEY LLAMA_API_KEY MINIMAX_API_KEY
MISTRAL_API_KEY MOONSHOT_API_KEY NEBIUS_API_KEY NOVITA_API_KEY NVIDIA_API_KEY OLLAMA_API_KEY OPENAI_API_KEY OPENROUTER_API_KEY PERPLEXITY_API_KEY
RECRAFT_API_KEY SAMBANOVA_API_KEY TOGETHER_API_KEY VOYAGE_API_KEY XAI_API_KEY ZAI_API_KEY BFL_API_KEY STABILITY_API_KEY
  ELEVENLABS_API_KEY" # the last one speaks a dialect that is not ours
settings=(AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=$secret AWS_REGION=eu-west-1 AZURE_RESOURCE_NAME=house CLOUDFLARE_ACCOUNT_ID=acc
  LM_STUDIO_API_BASE=http://127.0.0.1:1234/v1 RESPONSES_BASE_URL=http://127.0.0.1:8080/v1
  BERTH_DISCOVERY_INTERVAL=off VLLM_BASE_URL=http://127.0.0.1:8000/v1 OLLAMA_BASE_URL=http://127.0.0.1:11434 BERTH_ALLOW_HOSTS=127.0.0.1:8000)
for name in $names; do settings+=("$name=k-$name-0123456789"); done
env "${settings[@]}" berth-controlplane --data "$cp_dir" --listen-admin none --listen-planes 127.0.0.1:0 >"$e2e_dir/cp.out" 2>"$e2e_dir/cp.err" &
cp_pid=$!
within 20 grep -q '"ready":true' "$e2e_dir/cp.out" || not_ok "the control plane starts" "$(cat "$e2e_dir/cp.err")"
list=$(curl -s --unix-socket "$cp_dir/admin.sock" http://localhost/apis/berth.dev/v1alpha1/providers)
made=$(grep -o '"baseUrl"' <<<"$list" | wc -l)
same "providers made from the environment" 41 "$made"
has "an address with a blank" "https://house.openai.azure.com/openai/v1" "$list"
has "and by region" "https://bedrock-runtime.eu-west-1.amazonaws.com" "$list"
same "only the allowed host may be private" 1 "$(grep -o '"allowPrivate":true' <<<"$list" | wc -l)"
has "it is the allowed one" '"baseUrl":"http://127.0.0.1:8000/v1"' "$(grep -o '"spec":{[^}]*"allowPrivate":true' <<<"$list")"
has "a dialect that is not spoken is named" "not supported yet" "$(cat "$e2e_dir/cp.err")"
same "no key in list or log" 0 "$(cat - "$e2e_dir/cp.err" <<<"$list" | grep -c -e "$secret" -e '-0123456789')"
kill "$cp_pid"
wait "$cp_pid" || true

# ---- a passphrase ----------------------------------------------------------------------------------
(umask 077 && echo "correct horse battery staple" >"$e2e_dir/phrase" && echo "another horse battery staple" >"$e2e_dir/wrong-phrase")
for phrase in phrase phrase wrong-phrase; do
  : >"$e2e_dir/cp.out"
  env AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY="$secret" AWS_REGION=eu-west-1 berth-controlplane --data "$e2e_dir/phrased" \
    --listen-admin none --listen-planes 127.0.0.1:0 --seal-passphrase-file "$e2e_dir/$phrase" >"$e2e_dir/cp.out" 2>"$e2e_dir/cp.err" &
  cp_pid=$!
  cp_is_ready_or_gone() { grep -q '"ready":true' "$e2e_dir/cp.out" || ! kill -0 "$cp_pid" 2>/dev/null; }
  within 20 cp_is_ready_or_gone
  if [[ $phrase == phrase ]]; then
    has "opens with its passphrase" '"ready":true' "$(cat "$e2e_dir/cp.out")"
  else
    has "not with another" "another" "$(cat "$e2e_dir/cp.out" "$e2e_dir/cp.err")"
  fi
  kill "$cp_pid" 2>/dev/null || true
  wait "$cp_pid" || true
done
same "neither key nor passphrase lies there" 0 "$(grep -rac -e "$secret" -e "horse battery" "$e2e_dir/phrased" | awk -F: '{ n += $NF } END { print n + 0 }')"
