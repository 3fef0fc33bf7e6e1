#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a provider whose key is a service account's file is called with the access token that its token endpoint gave,
# streamed or whole; the file's private key is on no data plane, in no answer and no log; an endpoint that must not be
# connected to is not; GOOGLE_APPLICATION_CREDENTIALS and a project make the provider `vertex`.
# shellcheck source=e2e/lib.sh
source "$(dirname "$0")/lib.sh"

if ! command -v openssl >/dev/null; then
  skip vertex "openssl is not installed"
  exit 0
fi
key_file() { # FILE TOKEN_URL
  local pem
  pem=$(openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null | sed ':a;N;$!ba;s/\n/\\n/g')
  (umask 077 && printf '{"type":"service_account","project_id":"p","private_key_id":"k1","private_key":"%s\\n","client_email":"berth@p.example","token_uri":"%s"}\n' \
    "$pem" "$2" >"$1")
}
manifest() { # NAME KEY_FILE MORE
  printf 'apiVersion: berth.dev/v1alpha1\nkind: Provider\nmetadata: {name: %s}\n' "$1"
  printf 'spec: {dialect: gemini, baseUrl: "%s/v1/projects/p/locations/global", discover: false, key: {file: %s}%s}\n---\n' "$sim_url" "$2" "$3"
  printf 'apiVersion: berth.dev/v1alpha1\nkind: Model\nmetadata: {name: %s/m}\nspec: {provider: %s, upstream: gemini-2.5-flash, free: true}\n' "$1" "$1"
}
ask() { # MODEL MORE: body and status
  curl -s -m 20 -w '\n%{http_code}' -H "Authorization: Bearer $host_key" -H 'Content-Type: application/json' \
    -d "{\"model\":\"$1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]$2}" "$host_url/v1/chat/completions"
}
is_answered() { [[ $(ask "$1" "" | tail -1) == 200 ]]; }
says() { berth get provider "$1" -o yaml | grep -q "$2"; }

# a simulator that takes one bearer only; its token endpoint gives it away for a signed claim
berth-sim --listen 127.0.0.1:0 --key ya29.vertex-token -o json >"$e2e_dir/sim.out" 2>&1 &
sim_pid=$!
stack_start
within 10 grep -q '"listen' "$e2e_dir/sim.out"
sim_url=http://$(grep -oE '127\.0\.0\.1:[0-9]+' "$e2e_dir/sim.out" | head -1)
key_file "$e2e_dir/sa.json" "$sim_url/token"
berth apply -f - >/dev/null < <(manifest mine "$e2e_dir/sa.json" ", allowPrivate: true")
if within 10 is_answered mine/m; then ok "answered with an access token"; else not_ok "answered with an access token" "$(ask mine/m ""; berth get provider mine -o yaml)"; fi
has "and streamed" "data: [DONE]" "$(ask mine/m ',"stream":true')"
secret=$(grep -oE '[A-Za-z0-9+/]{64}' "$e2e_dir/sa.json" | sed -n 5p) # a line from inside the key
same "the private key is in no folder of a daemon and no log" 0 "$(grep -rlF -e "$secret" "$BERTH_DATA" "$e2e_dir"/up.* 2>/dev/null | wc -l)"
same "nor is the token in a log" 0 "$(cat "$e2e_dir"/up.err "$BERTH_DATA"/*/*.log 2>/dev/null | grep -c ya29)"
chmod 644 "$e2e_dir/sa.json"
cp "$e2e_dir/sa.json" "$e2e_dir/open.json"
berth apply -f - >/dev/null < <(manifest open "$e2e_dir/open.json" ", allowPrivate: true")
within 10 says open "chmod" && ok "a file that others may read is refused" || not_ok "a file that others may read is refused" "$(berth get provider open -o yaml)"
chmod 600 "$e2e_dir/sa.json"
key_file "$e2e_dir/far.json" https://169.254.169.254/token
berth apply -f - >/dev/null < <(manifest far "$e2e_dir/far.json" ", allowPrivate: true")
within 10 says far "169.254.169.254" && ok "a metadata service is no token endpoint" || not_ok "a metadata service is no token endpoint" "$(berth get provider far -o yaml)"
stack_stop || true
kill "$sim_pid"

# ---- from the environment --------------------------------------------------------------------------
key_file "$e2e_dir/env.json" http://127.0.0.1:1/token # in clear, so nobody is asked
for location in "" europe-west1; do
  env GOOGLE_APPLICATION_CREDENTIALS="$e2e_dir/env.json" GOOGLE_CLOUD_PROJECT=house ${location:+GOOGLE_CLOUD_LOCATION=$location} \
    berth-controlplane --data "$e2e_dir/env$location" --listen-admin none --listen-planes 127.0.0.1:0 >"$e2e_dir/cp$location.out" 2>"$e2e_dir/cp.err" &
  cp_pid=$!
  within 20 grep -q '"ready":true' "$e2e_dir/cp$location.out" || not_ok "the control plane starts" "$(cat "$e2e_dir/cp.err")"
  list=$(curl -s --unix-socket "$e2e_dir/env$location/admin.sock" http://localhost/apis/berth.dev/v1alpha1/providers)
  has "vertex by its usual variables, ${location:-no} location" \
    "https://${location:+$location-}aiplatform.googleapis.com/v1/projects/house/locations/${location:-global}" "$list"
  kill "$cp_pid"
  wait "$cp_pid" || true
done
