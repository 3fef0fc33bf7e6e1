#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: images, speech, transcriptions, moderations and reranking cost what the provider's own bill says,
# to the nano-dollar, and nothing where nothing came; the vendor's unmodified SDK makes them from inside a
# container that knows a base URL and its own token.
: "${AGENT:=1}"
((EUID == 0)) && command -v podman >/dev/null || AGENT=0
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
command -v node >/dev/null || { skip media "needs node"; exit 0; }
stack_start
# Models at the catalogue's own prices, and what no provider of the offline stack has.
{
  for row in "house-cohere cohere-v2 $sim_url" "house-jina openai $sim_url/v1" \
    "house-gemini gemini $sim_url/v1beta" "house-ollama ollama-native $sim_url" \
    "house-stability stability $sim_url" "house-replicate replicate $sim_url" \
    "house-bfl black-forest-labs $sim_url" "house-aws bedrock-converse $sim_url" \
    "house-vertex gemini $sim_url/v1/projects/p/locations/l" "house-gone openai http://127.0.0.1:1/v1"; do
    read -r name dialect url <<<"$row"
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: %s}\n' "$name"
    printf 'spec: {dialect: %s, baseUrl: "%s", allowPrivate: true, key: {value: sim}}\n' "$dialect" "$url"
  done
  for row in "house-cohere rank rerank rerank-v3.5 query 0.002" \
    "house-jina rank rerank jina-reranker-v2-base-multilingual input 0.018" \
    "house-cohere embed embedding text-embedding-3-small input 0.02" \
    "house-gemini imagen image imagen-4.0-generate-001 image 0.04" \
    "house-stability core image stable-image-core image 0.03" \
    "house-replicate flux image black-forest-labs/flux-schnell image 0.003" \
    "house-replicate slow image black-forest-labs/flux-slow image 0.003" \
    "house-bfl flux image flux-dev image 0.025" \
    "house-gemini draw image gemini-2.5-flash-image image 0.039" \
    "house-stability ultra image stable-image-ultra image 0.08" \
    "house-stability sd3 image sd3.5-large image 0.065" \
    "house-replicate kontext image black-forest-labs/flux-kontext-pro image 0.04" \
    "house-bfl kontext image flux-kontext-pro image 0.04" \
    "house-aws canvas image amazon.nova-canvas-v1 image 0.06" "house-gone draw image up-draw image 0.01" \
    "house-aws embed embedding amazon.titan-embed-text-v2 input 0.02" \
    "house-vertex embed embedding text-embedding-3-small input 0.02" \
    "house-gemini embed embedding text-embedding-3-small input 0.02" \
    "house-ollama embed embedding text-embedding-3-small input 0.02"; do
    read -r provider name kind upstream class price <<<"$row"
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/%s}\n' "$provider" "$name"
    printf 'spec: {provider: %s, upstream: %s, kind: %s, price: {%s: "%s"%s}}\n' "$provider" "$upstream" "$kind" "$class" \
      "$price" "$([[ $class != input ]] || echo ', output: "0"')"
  done
  printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Route\nmetadata: {name: redraw}\n'
  printf 'spec: {targets: [house-gone/draw, house-stability/ultra]}\n'
} | apply >"$e2e_dir/apply.json"
wallet_fund 1000.00
key_create media
models_are_there() { curl -s -H "authorization: Bearer $key" "$host_url/v1/models" | grep -q house-ollama/embed; }
within 10 models_are_there || stop_suite media "own models do not arrive: $(cat "$e2e_dir/apply.json")"

SOCKET=$BERTH_DATA/controlplane/admin.sock
export SOCKET BASE=$host_url SIM=$sim_url KEY=$key
node "$e2e_root/e2e/ledger/media.mjs" || e2e_bad=$((e2e_bad + 1))
