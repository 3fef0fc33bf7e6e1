#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: searches of the web that a provider makes are asked for in each caller's own words and reach providers of each
# dialect that has them; their sources come back in the caller's own words, whole and streamed; each is paid: the ledger
# equals the simulator's bill to the nano-dollar. A model without a price of one refuses them, and whatever else its provider
# would run and bill beside tokens; what agents only offer with every request is left out there, and costs nobody anything.
# shellcheck source=e2e/lib.sh
source "$(dirname "$0")/lib.sh"
command -v python3 >/dev/null || { skip search "needs python3"; exit 0; }
stack_start --no-agent

{
  for row in "oai openai $sim_url/v1" "rsp openai-responses $sim_url/v1" "ant anthropic $sim_url" "gem gemini $sim_url/v1beta"; do
    read -r name dialect url <<<"$row"
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: %s}\n' "$name"
    printf 'spec: {dialect: %s, baseUrl: "%s", allowPrivate: true, key: {value: sim}}\n' "$dialect" "$url"
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/m}\n' "$name"
    printf 'spec: {provider: %s, upstream: gpt-4o-mini, price: {input: "0.15", cached: "0.075", output: "0.60", webSearch: "0.01"}}\n' "$name"
  done
  printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: ant/unpriced}\n'
  printf 'spec: {provider: ant, upstream: gpt-4o-mini, price: {input: "0.15", output: "0.60"}}\n'
  for row in "rsp/none rsp" "ant/code ant" "rsp/code rsp"; do
    read -r name provider <<<"$row"
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s}\n' "$name"
    printf 'spec: {provider: %s, upstream: gpt-4o-mini, price: {input: "0.15", cached: "0.075", output: "0.60"%s}}\n' "$provider" "$([[ $name == */code ]] && echo ', codeRun: "0.03"')"
  done
  printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: oai/own}\n'
  printf 'spec: {provider: oai, upstream: gpt-4o-mini, price: {input: "0.15", cached: "0.075", output: "0.60"}, freeTools: ["browser_search"]}\n'
} | berth apply -f - >/dev/null
berth wallet deposit 100.00 >/dev/null
berth wallet transfer 100.00 >/dev/null
get() { curl -s -m 20 -H "authorization: Bearer $host_key" "$host_url$1"; }
there() { get /v1/models | grep -q gem/m && get /v1/models | grep -q oai/own; }
within 10 there || not_ok "own models arrive"
curl -s -o /dev/null -X POST "$sim_url/sim/reset"

searching="[[sim: searches=2, words=9]]"
# ask CALLER MODEL STREAM: the answer
ask() {
  local path body stream=$3 say=${4:-$searching} where='"user_location":{"type":"approximate",'
  case $1 in
    oai) path=/v1/chat/completions
      body="{\"model\":\"$2\",\"stream\":$stream,\"messages\":[{\"role\":\"user\",\"content\":\"$say\"}],\"web_search_options\":{$where\"approximate\":{\"city\":\"Oslo\"}}}}" ;;
    rsp) path=/v1/responses
      body="{\"model\":\"$2\",\"stream\":$stream,\"store\":false,\"input\":\"$say\",\"tools\":[{\"type\":\"web_search\",$where\"city\":\"Oslo\"}}]}" ;;
    ant) path=/v1/messages
      body="{\"model\":\"$2\",\"stream\":$stream,\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":\"$say\"}],\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":3}]}" ;;
    gem) path=/v1beta/models/$2:generateContent
      [[ $stream == false ]] || path=/v1beta/models/$2:streamGenerateContent?alt=sse
      body="{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"$say\"}]}],\"tools\":[{\"google_search\":{}}]}" ;;
  esac
  curl -s -m 20 -D "$e2e_dir/head" -H "authorization: Bearer $host_key" --json "$body" "$host_url$path"
}
declare -A form=([oai]='"type":"url_citation","url_citation":{"start_index":0,"end_index":' [rsp]='"type":"url_citation","start_index":0,"end_index":'
  [ant]='"type":"web_search_result_location"' [gem]='"groundingChunks":[{"web":{"uri":"https://sim.test/1"')
asked=0
for caller in oai rsp ant gem; do
  for provider in oai rsp ant gem; do
    for stream in false true; do
      name="$caller before $provider, $([[ $stream == true ]] && echo streamed || echo whole)"
      asked=$((asked + 1))
      if [[ $caller$provider == rspoai ]]; then # an offer, which chat completions have no place for
        ask $caller $provider/m $stream "[[sim: words=9]]" >/dev/null
        has "$name: left out and named" "tools.web_search" "$(grep -i '^x-berth-dropped' "$e2e_dir/head")"
        continue
      fi
      answer=$(ask $caller $provider/m $stream)
      if [[ $answer == *"${form[$caller]}"* && $answer == *https://sim.test/1* && $answer == *https://sim.test/2* ]]; then
        ok "$name: two sources"
      else
        not_ok "$name: two sources" "$answer"
      fi
    done
  done
done
# post PATH BODY: the answer; its head in $e2e_dir/head
post() { curl -s -m 20 -D "$e2e_dir/head" -H "authorization: Bearer $host_key" --json "$2" "$host_url$1"; }
message='"messages":[{"role":"user","content":"[[sim: code=2, searches=2, words=9]]"}]'
for stream in false true; do
  how=$([[ $stream == true ]] && echo streamed || echo whole)
  asked=$((asked + 4))
  has "code in two sandboxes, $how: Responses" cntr_sim1 "$(post /v1/responses "{\"model\":\"rsp/code\",\"stream\":$stream,\"input\":\"[[sim: code=2, words=9]]\",\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"type\":\"auto\"}}]}")"
  has "Anthropic, $how" '"code_execution_requests":2' "$(post /v1/messages "{\"model\":\"ant/code\",\"stream\":$stream,\"max_tokens\":99,${message/searches=2, /},\"tools\":[{\"type\":\"code_execution_20250825\",\"name\":\"code_execution\"}]}")"
  answer=$(post /v1/responses "{\"model\":\"rsp/none\",\"stream\":$stream,\"input\":\"$searching\",\"tools\":[{\"type\":\"web_search\"},{\"type\":\"image_generation\"}],\"tool_choice\":\"auto\"}")
  has "an offer without a price is left out, $how" tools.web_search,tools.image_generation "$(grep -i '^x-berth-dropped' "$e2e_dir/head")"
  [[ $answer == *output_text* && $answer != *web_search_call* ]] && ok "and nobody searched, $how" || not_ok "and nobody searched, $how" "$answer"
  has "what the owner says is free passes, $how" 'content' "$(post /v1/chat/completions "{\"model\":\"oai/own\",\"stream\":$stream,${message/code=2, searches=2, /},\"tools\":[{\"type\":\"browser_search\"}]}")"
done
bill() { curl -s "$sim_url/sim/bill?summary=1" | sed -n 's/.*"total_nano":"\{0,1\}\([0-9]*\).*/\1/p'; }
ledger() { curl -s --unix-socket "$BERTH_DATA/controlplane/admin.sock" "http://admin/api/v1/usage?by=model" | python3 -c 'import decimal, json, sys
rows = json.load(sys.stdin)["items"]
print(sum(row["requests"] for row in rows), int(sum(decimal.Decimal(row["cost"]) for row in rows) * 10**9), sum(int(row["usage"].get("web_search", 0)) for row in rows))'; }
all_there() { [[ $(ledger) == "$asked "* ]]; }
within 10 all_there || not_ok "all records arrive" "$(ledger), asked $asked"
read -r _ cost searches <<<"$(ledger)"
echo "# $asked calls, $searches searches, ledger $cost, bill $(bill) nano-dollars"
same "the ledger is the provider's bill" "$(bill)" "$cost"
refusal=$(ask oai ant/unpriced false)
has "without a price of a search there is none" "no price of one is known" "$refusal"
has "and the field is named" "web_search_options" "$refusal"
while read -r name path model more; do
  has "$name is refused" "no price of one is known" "$(post "$path" "{\"model\":\"$model\",\"max_tokens\":9,$message,$more}")"
done <<'ROWS'
live-search /v1/chat/completions oai/own "search_parameters":{"mode":"on"}
a-plugin /v1/chat/completions oai/own "plugins":[{"id":"web"}]
a-search-by-the-call /v1/chat/completions oai/own "enable_search":true
a-tool-to-come /v1/chat/completions oai/own "tools":[{"type":"oracle"}]
code /v1/messages ant/unpriced "tools":[{"type":"code_execution_20250825","name":"code_execution"}]
files /v1/responses rsp/none "input":"hi","tools":[{"type":"file_search","vector_store_ids":["v"]}]
a-search-that-must-be /v1/responses rsp/none "input":"hi","tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}
ROWS
has "in another caller's words, too" "no price of one is known" "$(ask gem ant/unpriced false)"
exit $((e2e_bad > 0))
