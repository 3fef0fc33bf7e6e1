#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a key and a container with a list of models see and may call those, in every dialect, and the list changes at
# once; another catalogue holds on every node without a restart and survives one; what a provider lists is offered, and
# what it lists no more is taken away only when three layers of proof say so. Real processes, real container.
# shellcheck source=e2e/lib.sh
source "$(dirname "$0")/lib.sh"

agent=--no-agent
((EUID != 0)) || ! command -v podman >/dev/null || ! command -v runc >/dev/null || agent=
# the simulator as a provider with a list of its own; the stack's are asked by hand only
export BERTH_DISCOVERY_INTERVAL=off
# shellcheck disable=SC2086
stack_start $agent

get() { curl -s -m 20 -H "authorization: Bearer ${2:-$host_key}" "$host_url$1"; }
ids() { get /v1/models "${1:-$host_key}" | grep -o '"id":"[^"]*"' | cut -d'"' -f4 | sort | tr '\n' ' '; }
chat() { # MODEL [KEY]: status
  curl -s -o "$e2e_dir/answer" -m 20 -w '%{http_code}' -H "authorization: Bearer ${2:-$host_key}" \
    --json "{\"model\":\"$1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}" "$host_url/v1/chat/completions"
}

# ---- a key with a list -----------------------------------------------------------------------------
berth apply -f - --key-dir "$e2e_dir" >/dev/null 2>&1 <<'YAML'
apiVersion: berth.dev/v1alpha1
kind: ApiKey
metadata: {name: narrow}
spec: {models: ["openai/gpt-4o-mini", "anthropic/claude-haiku-*"]}
YAML
narrow=$(cat "$e2e_dir/narrow.key")
knows_key() { [[ $(get /v1/models "$narrow") == *'"data"'* ]]; }
within 10 knows_key || not_ok "the key arrives"
listed=$(ids "$narrow")
has "lists what it may use" "openai/gpt-4o-mini" "$listed"
has "and what the pattern means" "anthropic/claude-haiku-4" "$listed"
same "nothing else" 0 "$(tr ' ' '\n' <<<"$listed" | grep -cvE '^(openai/gpt-4o-mini|anthropic/claude-haiku-.*|)$')"
same "it is called" 200 "$(chat openai/gpt-4o-mini "$narrow")"
same "another is refused" 403 "$(chat openai/gpt-4o "$narrow")"
has "and named" "model_not_allowed" "$(cat "$e2e_dir/answer")"
same "not for the other key" 200 "$(chat openai/gpt-4o)"
has "one model in OpenAI's shape" '"context_length":128000' "$(get /v1/models/openai%2Fgpt-4o-mini "$narrow")"
has "in Anthropic's" '"type":"model"' "$(curl -s -H "x-api-key: $narrow" -H 'anthropic-version: 2023-06-01' "$host_url/v1/models/openai/gpt-4o-mini")"
has "in Gemini's" '"name":"models/openai/gpt-4o-mini"' "$(curl -s -H "x-goog-api-key: $narrow" "$host_url/v1beta/models/openai/gpt-4o-mini")"
has "an unknown one has near names" "openai/gpt-4o-mini" "$(get /v1/models/openai/gpt-4o-minni)"
printf 'apiVersion: berth.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: narrow}\nspec: {models: ["openai/gpt-4o"]}\n' | berth apply -f - >/dev/null
widened() { [[ $(chat openai/gpt-4o "$narrow") == 200 ]]; }
if within 10 widened; then same "what left the list is refused at once" 403 "$(chat openai/gpt-4o-mini "$narrow")"; else not_ok "the list changes"; fi
has "an empty list is a typo" "1 to 100" "$(printf 'apiVersion: berth.dev/v1alpha1\nkind: ApiKey\nmetadata: {name: narrow}\nspec: {models: []}\n' | berth apply -f - 2>&1 || true)"

# ---- a container with a list -----------------------------------------------------------------------
if [[ -z $agent ]]; then
  printf 'apiVersion: berth.dev/v1alpha1\nkind: Container\nmetadata: {name: boxed}\nspec: {models: ["openai/gpt-4o-mini"]}\n' | berth apply -f - >/dev/null
  pods_start
  pod run -d --name boxed --network none berth-demo sleep 600 >/dev/null
  in_box() { # MODEL: what wget says
    pod exec boxed wget -S -q -O - --header "Authorization: Bearer container-boxed" --header "Content-Type: application/json" \
      --post-data "{\"model\":\"$1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}" "http://127.0.0.1:$port/v1/chat/completions" 2>&1 || true
  }
  has "the container calls its model" "chat.completion" "$(in_box openai/gpt-4o-mini)"
  has "and no other, from its first call on" "403" "$(in_box openai/gpt-4o)"
  same "it sees one" '"id":"openai/gpt-4o-mini"' \
    "$(pod exec boxed wget -q -O - --header 'Authorization: Bearer container-boxed' "http://127.0.0.1:$port/v1/models" | grep -o '"id":"[^"]*"' | tr -d '\n')"
  printf 'apiVersion: berth.dev/v1alpha1\nkind: Container\nmetadata: {name: boxed}\nspec: {}\n' | berth apply -f - >/dev/null
  freed() { [[ $(in_box openai/gpt-4o) == *chat.completion* ]]; }
  if within 10 freed; then ok "without its list it may use all"; else not_ok "without its list it may use all" "$(in_box openai/gpt-4o)"; fi
else
  skip "a container with a list" "needs root, podman and runc"
fi

# ---- another catalogue -----------------------------------------------------------------------------
shipped=$e2e_root/controlplane/catalog/data/models.json
price() { berth models show "$1" -o json | grep -A3 '"pricing_per_million"' | sed -n 's/.*"input": "\([^"]*\)".*/\1/p'; }
sed -e 's/"as_of":"[^"]*"/"as_of":"2030-01-02"/' -e '/"id":"openai\/gpt-4o-mini",/s/"pricing":{"input":150,/"pricing":{"input":170,/' \
  -e '/"id":"openai\/gpt-3.5-turbo",/d' "$shipped" >"$e2e_dir/cut.json"
has "a cut file is refused whole" "cut" "$(berth models update --file "$e2e_dir/cut.json" 2>&1 || true)"
sed -E 's/"count":([0-9]+)/"count":'"$(($(sed -n 's/"count":\([0-9]*\),/\1/p' "$shipped") - 1))"'/' "$e2e_dir/cut.json" >"$e2e_dir/next.json"
sed 's/"as_of":"[^"]*"/"as_of":"2026-01-01"/' "$shipped" >"$e2e_dir/old.json"
has "an older one too" "later" "$(berth models update --file "$e2e_dir/old.json" 2>&1 || true)"
sed 's/"pricing":{"input":150,/"pricing":{"input":1.5,/' "$e2e_dir/next.json" >"$e2e_dir/float.json"
has "nor one with a fraction" "whole" "$(berth models update --file "$e2e_dir/float.json" 2>&1 || true)"
same "before" 0.15 "$(price openai/gpt-4o-mini)"
dry=$(berth models update --file "$e2e_dir/next.json" --dry-run)
has "a dry run says what goes" "- openai/gpt-3.5-turbo" "$dry"
has "and what is repriced" '$ openai/gpt-4o-mini  input 0.15 -> 0.17 USD/M' "$dry"
same "and changes nothing" 0.15 "$(price openai/gpt-4o-mini)"
same "the same without" "$(sed '$d' <<<"$dry")" "$(berth models update --file "$e2e_dir/next.json" | sed '$d')"
is_price() { [[ $(price "$1") == "$2" ]]; }
if within 10 is_price openai/gpt-4o-mini 0.17; then ok "it holds on the node at once"; else not_ok "it holds on the node" "$(price openai/gpt-4o-mini)"; fi
same "what it lacks is unknown" 404 "$(chat openai/gpt-3.5-turbo)"
chat openai/gpt-4o-mini >/dev/null
charged() { berth usage --records -o json | grep -q '"price_version": *"\{0,1\}20300102'; }
if within 10 charged; then ok "charges name its date"; else not_ok "charges name its date" "$(berth usage --records -o json | tail -30)"; fi
kill -9 "$(daemon_pid controlplane)"
same_after() { is_price openai/gpt-4o-mini 0.17; }
cp_is_back() { berth models update --shipped --dry-run >/dev/null 2>&1; }
within 20 cp_is_back && same_after && ok "and after kill -9 of the control plane" || not_ok "after kill -9" "$(price openai/gpt-4o-mini)"
has "back to the shipped one" "+ openai/gpt-3.5-turbo" "$(berth models update --shipped)"
if within 10 is_price openai/gpt-4o-mini 0.15; then ok "which holds again"; else not_ok "which holds again" "$(price openai/gpt-4o-mini)"; fi

# ---- the command line ------------------------------------------------------------------------------
has "search without a server" "google/gemini-2.5-pro" "$(BERTH_DATA=$e2e_dir/none berth models search gemini-2.5-pro --shipped)"
has "by capability and price" "openai/gpt-5-nano" "$(berth models list --capability tools,vision --max-input 0.05)"
same "which leaves out the dearer" 0 "$(berth models list --max-input 0.05 | grep -c 'openai/gpt-4o-mini ')"
same "and by provider" 0 "$(berth models list --provider anthropic | tail -n +2 | grep -cv '^anthropic/')"
has "a price that is none" "--max-input wants" "$(berth models list --max-input cheap 2>&1 || true)"
has "show suggests" "did you mean openai/gpt-4o-mini?" "$(berth models show openai/gpt-4o-minni 2>&1 || true)"

# ---- what providers list ---------------------------------------------------------------------------
script() { curl -s -o /dev/null --data-binary "$1" "$sim_url/sim/script"; }
berth apply -f - >/dev/null <<YAML
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: ollama}
spec: {dialect: ollama-native, baseUrl: "$sim_url", allowPrivate: true}
---
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: house}
spec: {dialect: openai, baseUrl: "$sim_url/v1", allowPrivate: true, key: {value: sim}}
YAML
scan() { berth models discover --provider "$1" "${@:2}" 2>&1 || true; }
has "models of one's own machine" "+ ollama/claude-haiku-4-5" "$(scan ollama)"
offered() { [[ " $(ids) " == *" $1 "* ]]; }
within 10 offered ollama/claude-haiku-4-5 || true
same "are called for nothing" 200 "$(chat ollama/claude-haiku-4-5)"
has "of an unknown provider they are added" "+ house/gpt-4o-mini" "$(scan house)"
unpriced() { [[ $(chat house/gpt-4o-mini) == 422 ]]; }
if within 10 unpriced; then ok "and wait for a price"; else not_ok "and wait for a price" "$(chat house/gpt-4o-mini)"; fi
for provider in openai anthropic google cohere; do
  same "the list of $provider is read" 0 "$(scan "$provider" | grep -cE 'answers its list|no list|error')"
done
script '[{match: {path: /v1/models}, do: {list_status: 503}}]'
has "a list that fails says so" "status 503" "$(scan house)"
script '[{match: {path: /v1/models}, do: {hide: 3}}]'
scan house >/dev/null
scan house >/dev/null
has "by hand nothing is taken away" " 0 " "$(berth models discover --status --provider house | awk '$1 == "house" { print " " $6 " " }')"
berth apply -f - >/dev/null <<YAML
apiVersion: berth.dev/v1alpha1
kind: Provider
metadata: {name: late}
spec: {dialect: openai, baseUrl: "$sim_url/v1", allowPrivate: true, key: {value: sim}}
YAML
scan late >/dev/null # its first list is no news
same "a first list is no change" 0 "$(berth models changes --provider late | grep -c late)"
script '[]'
scan late >/dev/null
same "what is new since is one, until it is acknowledged" 3 "$(berth models changes --provider late | grep -c new_model)"
same "an acknowledgement says of how many" "3 acknowledged" "$(berth models ack --provider late)"
same "and they are gone" 0 "$(berth models changes --provider late | grep -c late)"
# ---- what traffic finds out ------------------------------------------------------------------------
scan openai >/dev/null
script '[{match: {model: gpt-4o}, do: {status: 404}}]'
for _ in 1 2 3; do same "a provider that has a model no more" 502 "$(chat openai/gpt-4o)"; done
widened_again() { [[ $(chat openai/gpt-4o) == 200 ]]; }
retired() { [[ $(chat openai/gpt-4o) == 404 ]]; }
if within 10 retired; then ok "three strikes and a probe take it away"; else not_ok "three strikes and a probe" "$(chat openai/gpt-4o)"; fi
has "which is a change" "retired" "$(berth models changes --provider openai)"
same "of this model alone" 200 "$(chat openai/gpt-4o-mini)"
script '[]'
scan openai >/dev/null
if within 10 widened_again; then ok "and the next scan brings it back"; else not_ok "the next scan brings it back" "$(chat openai/gpt-4o)"; fi

has "scans are counted" 'berth_controlplane_discovery_models_total{change="added"}' \
  "$(curl -s --unix-socket "$BERTH_DATA/controlplane/admin.sock" http://admin/metrics)"
has "the Provider says it too" "Listed" "$(berth get provider house -o yaml)"
