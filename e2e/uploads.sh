#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a form flows to the provider as it comes, over HTTP/1.1 and HTTP/2 on both sides, the caller's bytes with the
# model's name in them; what was cut or is no form is never whole there and costs nothing; a provider that does not read
# stops the caller; the data plane needs no more than 256 KiB a request, whatever the file's size.
# UPLOADS_COUNT uploads of UPLOADS_MIB each at a time (5 of 8): 50 of 25 are the figures of docs/internals/media.md.
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
command -v node >/dev/null || { skip uploads "needs node"; exit 0; }
DATAPLANE_FLAGS=(--workers 1 --spool-mib 2048)
stack_start
provider=$((port + 16))
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=provider" \
  -addext "subjectAltName=IP:127.0.0.1" -keyout "$e2e_dir/provider.key" -out "$e2e_dir/provider.crt" 2>/dev/null
PORT=$provider CERT=$e2e_dir/provider.crt KEY_FILE=$e2e_dir/provider.key \
  node "$e2e_root/e2e/ledger/uploads.mjs" serve >"$e2e_dir/provider.out" 2>"$e2e_dir/provider.log" &
helpers+=($!)
within 10 grep -q ready "$e2e_dir/provider.out" || stop_suite uploads "no provider: $(cat "$e2e_dir/provider.log")"
{
  for row in "plain1 http $provider plain" "plain2 https $((provider + 1)) plain" "shy2 https $((provider + 1)) shy" "slow1 http $provider slow" "deaf1 http $provider deaf"; do
    read -r name scheme at how <<<"$row"
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: %s}\n' "$name"
    printf 'spec: {dialect: openai, baseUrl: "%s://127.0.0.1:%s/%s/v1", allowPrivate: true, key: {value: sim}' "$scheme" "$at" "$how"
    [[ $scheme == http ]] || printf ', caFile: %s' "$e2e_dir/provider.crt"
    printf '}\n'
    printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/hear}\n' "$name"
    printf 'spec: {provider: %s, upstream: up-hear, kind: transcription, price: {secondIn: "0.0001"}}\n' "$name"
  done
  printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: draw1}\n'
  printf 'spec: {dialect: gemini, baseUrl: "http://127.0.0.1:%s/plain/v1beta", allowPrivate: true, key: {value: sim}}\n' "$provider"
  printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: draw1/draw}\n'
  printf 'spec: {provider: draw1, upstream: gemini-image, kind: image, price: {image: "0.04"}}\n'
  printf -- '---\napiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: plain1/draw}\n'
  printf 'spec: {provider: plain1, upstream: up-draw, kind: image, price: {image: "0.04"}}\n'
} | apply >"$e2e_dir/apply.json"
wallet_fund 1000.00
keys=
for name in uploads uploads-2 uploads-3 uploads-4; do
  key_create "$name"
  keys+=${keys:+,}$key
done
models_are_there() { curl -s -H "authorization: Bearer $key" "$host_url/v1/models" | grep -q deaf1/hear; }
within 10 models_are_there || stop_suite uploads "own models do not arrive: $(cat "$e2e_dir/apply.json")"

SOCKET=$BERTH_DATA/controlplane/admin.sock
export SOCKET BASE=$host_url KEYS=$keys PROVIDER=http://127.0.0.1:$provider COUNT=${UPLOADS_COUNT:-5} MIB=${UPLOADS_MIB:-8}
DATAPLANE=$(daemon_pid dataplane) node "$e2e_root/e2e/ledger/uploads.mjs" || e2e_bad=$((e2e_bad + 1))
