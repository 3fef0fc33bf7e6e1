#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: a payment credits once, and only when its sender signed it; balances, transfers,
# invoices and usage say the same as the ledger, also after kill -9; what the document of the admin
# API says is what the server does.
# shellcheck source=e2e/daemons.sh
source "$(dirname "${BASH_SOURCE[0]}")/daemons.sh"
command -v openssl >/dev/null || { skip wallet "needs openssl"; exit 0; }
command -v node >/dev/null || { skip wallet "needs node"; exit 0; }
secret=whsec_0123456789abcdefghijklmnop

# ---- no empty or short secret ------------------------------------------------------------------
refuses() { # NAME SECRET: exit 78, a sentence, no file of a running server
  local status=0
  BERTH_STRIPE_WEBHOOK_SECRET=$2 timeout 10 berth-controlplane --data "$e2e_dir/refused" \
    --listen-admin none --listen-planes 127.0.0.1:0 >"$e2e_dir/refused.out" 2>&1 || status=$?
  same "$1: exit code" 78 "$status"
  has "$1: why" "BERTH_STRIPE_WEBHOOK_SECRET is empty or shorter than 16 bytes" "$(cat "$e2e_dir/refused.out")"
}
refuses "an empty secret" ""
refuses "a short secret" whsec_short

# ---- payments ----------------------------------------------------------------------------------
export BERTH_STRIPE_WEBHOOK_SECRET=$secret
port=$(free_ports)
admin_url=http://127.0.0.1:$((port + 4))
CONTROLPLANE_FLAGS=(--listen-admin "127.0.0.1:$((port + 4))" --transfer-fee-bps 100 --markup-bps 500)
stack_start
printf 'apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: team-a}\n' | apply >/dev/null

sign() { # TIME BODY
  printf '%s.%s' "$1" "$2" | openssl dgst -sha256 -hmac "${3:-$secret}" | awk '{ print $NF }'
}
send() { # HEADER BODY [WEBHOOK]: the status, the answer in answer.json
  curl -s -o "$e2e_dir/answer.json" -w '%{http_code}' -H 'content-type: application/json' \
    -H "stripe-signature: $1" --data-binary "$2" "$admin_url/api/v1/wallet/webhooks/${3:-stripe}"
}
session() { # EVENT CENTS [MORE]
  printf '{"id":"%s","object":"event","type":"checkout.session.completed","data":{"object":{"id":"cs_%s","mode":"payment","payment_status":"paid","payment_intent":"pi_%s","amount_total":%s,"currency":"usd"%s}}}' \
    "$1" "$1" "$1" "$2" "${3:-}"
}
general() { admin GET "/api/v1/wallet/balances?wallet=${1:-default}" | json d.general_balance; }

now=$(date +%s)
body=$(session evt_1 5000)
mac=$(sign "$now" "$body")
same "a signed payment" 200 "$(send "t=$now,v1=$mac" "$body")"
same "credits General" 50.00 "$(general)"
same "the same event again" 200 "$(send "t=$now,v1=$mac" "$body")"
same "credits nothing" "false 50.00" "$(json d.credited <"$e2e_dir/answer.json") $(general)"
intent='{"id":"evt_2","type":"payment_intent.succeeded","data":{"object":{"id":"pi_evt_1","status":"succeeded","amount_received":5000,"currency":"usd","metadata":{"wallet":"team-a"}}}}'
same "the PaymentIntent of that session" 200 "$(send "t=$now,v1=$(sign "$now" "$intent")" "$intent")"
same "credits nothing either" "50.00 0.00" "$(general) $(general team-a)"
body=$(session evt_3 700 ',"metadata":{"wallet":"team-a"}')
same "two secrets in use" 200 \
  "$(send "t=$now,v1=$(sign "$now" "$body" whsec_the_one_of_yesterday),v1=$(sign "$now" "$body")" "$body")"
same "a wallet by metadata" 7.00 "$(general team-a)"

body=$(session evt_4 900)
refused() { # NAME HEADER BODY [WANT]
  same "$1" "${4:-400}" "$(send "$2" "$3")"
}
for age in -301 330; do
  at=$((now + age))
  refused "signed $age s from now" "t=$at,v1=$(sign $at "$body")" "$body"
done
refused "no signature" "" "$body"
refused "another secret" "t=$now,v1=$(sign "$now" "$body" 0123456789abcdef0123)" "$body"
refused "an empty secret's signature" "t=$now,v1=$(printf '%s.%s' "$now" "$body" | openssl dgst -sha256 -mac HMAC -macopt hexkey: 2>/dev/null | awk '{ print $NF }')" "$body"
refused "a body that was written anew" "t=$now,v1=$(sign "$now" "$body")" "$(node -e 'console.log(JSON.stringify(JSON.parse(process.argv[1]),null,1))' "$body")"
head -c 2097152 /dev/zero | tr '\0' ' ' >"$e2e_dir/large"
refused "2 MiB" "t=$now,v1=00" "@$e2e_dir/large" 413
same "a webhook that is off" 400 "$(send "t=$now,v1=$mac" "$body" crypto)"
euros=${body/usd/eur}
same "euros are received" 200 "$(send "t=$now,v1=$(sign "$now" "$euros")" "$euros")"
has "and ignored" '"ignored":"the currency is not USD"' "$(cat "$e2e_dir/answer.json")"
same "none of them moved money" "50.00 7.00" "$(general) $(general team-a)"

# ---- deposits, transfers, corrections ------------------------------------------------------------
berth wallet deposit 500.00 --reference "wire 2026-11-03 4711" >/dev/null
berth wallet deposit 500.00 --reference "wire 2026-11-03 4711" >/dev/null
same "a bank's payment is booked once" 550.00 "$(general)"
transfer() { # BODY: "status code replayed"
  admin POST /api/v1/wallet/transfers -d "$1" >"$e2e_dir/answer.json"
  json '[d.statusCode||200,d.code||"",d.replayed||""].join(" ")' <"$e2e_dir/answer.json"
}
same "a transfer" "200  " "$(transfer '{"amount":"100.00","idempotency_key":"t1","expected_fee_bps":100}')"
same "its receipt" "100.00 1.00 99.00 450.00 99.00" \
  "$(json '[d.gross_transferred,d.fee,d.net_ai_credit,d.general_balance,d.ai_balance].join(" ")' <"$e2e_dir/answer.json")"
same "again" "200  true" "$(transfer '{"amount":"100.00","idempotency_key":"t1","expected_fee_bps":100}')"
same "another amount" "409 TRANSFER_IDEMPOTENCY_KEY_REUSED " "$(transfer '{"amount":"99.00","idempotency_key":"t1"}')"
same "another fee than was shown" "409 TRANSFER_FEE_CHANGED " "$(transfer '{"amount":"1.00","idempotency_key":"t2","expected_fee_bps":0}')"
same "more than there is" "402 INSUFFICIENT_BALANCE " "$(transfer '{"amount":"9999.00","idempotency_key":"t3"}')"
berth wallet adjust --balance general --reason "refund of pi_evt_1" -- -50.00 >/dev/null
same "a correction takes" 400.00 "$(general)"
has "fees are listed" "1.00" "$(berth wallet fees -o csv)"
has "settings are shown" "webhook stripe     on" "$(berth wallet settings)"
same "markup and fee" "500 100" "$(berth wallet settings -o json | json '[d.markup_bps,d.transfer_fee_bps].join(" ")')"

# ---- use, and the invoice of it ------------------------------------------------------------------
apply >/dev/null <<'YAML'
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: openai/test-mini}
spec: {provider: openai, upstream: gpt-4o-mini, maxOutput: 4096, price: {input: "0.15", cached: "0.075", output: "0.60"}}
YAML
key_create ci
chat() { # [KEY]: the status
  curl -s -o /dev/null -w '%{http_code}' -H "authorization: Bearer ${1:-$key}" -H 'content-type: application/json' \
    -d '{"model":"openai/test-mini","max_tokens":50,"messages":[{"role":"user","content":"Hello there"}]}' "$host_url/v1/chat/completions"
}
within 10 test "$(chat)" = 200
for _ in $(seq 20); do chat >/dev/null; done
requests() { berth usage -o json | json '(d.items||[]).reduce((n,i)=>n+Number(i.requests),0)'; }
posted() { [[ $(requests) -ge 21 ]]; }
within 20 posted && ok "usage is posted" || not_ok "usage is posted" "$(requests) requests"
berth invoices issue -o json >"$e2e_dir/invoice.json"
same "the invoice's usage is the ledger's" "$(admin GET /api/v1/wallet/balances | json d.ai_usage)" "$(json d.usage <"$e2e_dir/invoice.json")"
same "its lines add up" true "$(json '
  (n=>{const nano=s=>{const[a,b=""]=s.split(".");return BigInt(a+b.padEnd(9,"0"))};
  return d.lines.filter(l=>l.kind.endsWith("usage")).reduce((s,l)=>s+nano(l.amount),0n)===nano(d.usage)
    &&nano(d.ai.opening)+nano(d.ai.topped_up)+nano(d.ai.adjusted)+nano(d.credited)-nano(d.usage)===nano(d.ai.closing)
    &&nano(d.general.opening)+nano(d.general.topped_up)+nano(d.general.adjusted)-nano(d.transferred)===nano(d.general.closing)})()' <"$e2e_dir/invoice.json")"
same "units and prices" "key/ci openai/test-mini 0.15 0.60" \
  "$(json '(l=>[l.subject,l.model,l.prices.input,l.prices.output].join(" "))(d.lines.find(l=>l.kind==="usage"))' <"$e2e_dir/invoice.json")"
number=$(json d.number <"$e2e_dir/invoice.json")
same "nothing is invoiced twice" 1 "$(berth invoices issue >/dev/null 2>"$e2e_dir/why" || echo $?)"
has "and it says so" "since its last invoice" "$(cat "$e2e_dir/why")"
berth invoices issue --wallet team-a -o json >"$e2e_dir/second.json"
same "numbers follow" 2 "$(json d.sequence <"$e2e_dir/second.json")"
same "one wallet's list" 1 "$(berth invoices list --wallet team-a -o json | json d.invoices.length)"
has "the list as CSV" "NUMBER,WALLET,FROM" "$(berth invoices list -o csv)"
berth invoices get "$number" --pdf "$e2e_dir/invoice.pdf" >/dev/null
if command -v pdftotext >/dev/null; then
  pdftotext -layout "$e2e_dir/invoice.pdf" "$e2e_dir/invoice.txt"
  for part in "$number" "wire 2026-11-03 4711" "refund of pi_evt_1" "key/ci" "openai/test-mini" "$(json d.usage <"$e2e_dir/invoice.json")"; do
    has "the PDF says $part" "$part" "$(cat "$e2e_dir/invoice.txt")"
  done
else
  skip "text of the PDF" "needs pdftotext"
fi

# ---- usage ---------------------------------------------------------------------------------------
row() { berth usage "$@" -o csv | tr -d '\r' | sed -n 2p; }
spent=$(admin GET /api/v1/wallet/balances | json d.ai_usage)
same "usage by key and model" "ci,openai/test-mini,21" "$(row --by key,model --since 24h | cut -d, -f1-3)"
same "by day and wallet" "$(date -u +%F),default,21" "$(row --by day,wallet --since "$(date -u +%F)" | cut -d, -f1-3)"
same "by hour" "$(date -u +%FT%H:00Z)" "$(row --by hour --since 1h | cut -d, -f1 | tail -1)"
same "it adds up to what was spent" "$spent" "$(row --by provider | awk -F, '{ print $NF }')"
same "nothing of yesterday" "" "$(row --by model --until "$(date -u +%F)")"
has "a wrong word" "by must be a list" "$(berth usage --by moon 2>&1 || true)"

# ---- frozen --------------------------------------------------------------------------------------
berth wallet freeze >/dev/null
status_is() { [[ $(chat) == "$1" ]]; }
within 10 status_is 402 && ok "a frozen wallet pays nothing" || not_ok "a frozen wallet pays nothing" "$(chat)"
has "show says so" "frozen" "$(berth wallet show)"
berth wallet unfreeze >/dev/null
within 10 status_is 200 && ok "and pays again" || not_ok "and pays again" "$(chat)"
has "bars on a terminal" "# used  = lent to nodes  . free" "$(script -qec "berth wallet show" /dev/null </dev/null)"
[[ $(berth wallet show) != *"# used"* ]] && ok "none in a pipe" || not_ok "none in a pipe"

# ---- a cap ---------------------------------------------------------------------------------------
main_key=$key
printf 'apiVersion: berth.dev/v1alpha1\nkind: Wallet\nmetadata: {name: capped}\nspec: {cap: {from: default, amount: "0.01", per: day}}\n' | apply >/dev/null
key_create capped capped
capped_key=$key key=$main_key
capped_is() { [[ $(chat "$capped_key") == "$1" ]]; }
within 10 capped_is 200 && ok "a capped wallet gets its allowance" || not_ok "a capped wallet gets its allowance" "$(chat "$capped_key")"
apply >/dev/null <<'YAML'
apiVersion: berth.dev/v1alpha1
kind: Model
metadata: {name: openai/test-dear}
spec: {provider: openai, upstream: gpt-4o-mini, maxOutput: 4096, price: {input: "10", output: "100"}}
YAML
dear() { # of two cents each at most, a tenth of one in fact
  curl -s -o "$e2e_dir/dear.json" -w '%{http_code}' -H "authorization: Bearer $capped_key" -H 'content-type: application/json' \
    -d '{"model":"openai/test-dear","max_tokens":20,"messages":[{"role":"user","content":"Hi"}]}' "$host_url/v1/chat/completions"
}
dear_is() { [[ $(dear) == "$1" ]]; }
within 30 dear_is 402 && ok "and is refused when it is used up" || not_ok "and is refused when it is used up" "$(dear) $(cat "$e2e_dir/dear.json")"
has "by name" "capped" "$(cat "$e2e_dir/dear.json")"
has "and by its cap" "of its \$0.01 is spent" "$(cat "$e2e_dir/dear.json")"
has "and when it begins anew" "T00:00:00Z" "$(cat "$e2e_dir/dear.json")"
# What was used is posted a little later; it never exceeds the cap meanwhile.
capped() { admin GET '/api/v1/wallet/balances?wallet=capped' >"$e2e_dir/capped.json"; json 'Number(d.ai_limit)<=0.01&&Number(d.ai_usage)<=0.01' <"$e2e_dir/capped.json"; }
posted() { [[ $(capped) == false || $(json 'Number(d.ai_usage)>0' <"$e2e_dir/capped.json") == true ]]; }
within 10 posted || true
same "no more than the cap" "true true" "$(capped) $(json 'Number(d.ai_usage)>0' <"$e2e_dir/capped.json")"
same "the others go on" 200 "$(chat)"

# ---- kill -9 ---------------------------------------------------------------------------------------
daemon_kill controlplane
daemon_start controlplane
now=$(date +%s)
body=$(session evt_1 5000)
same "the first event after kill -9" "200 false" "$(send "t=$now,v1=$(sign "$now" "$body")" "$body") $(json d.credited <"$e2e_dir/answer.json")"
same "the invoice is the same" "$(cat "$e2e_dir/invoice.json")" "$(berth invoices get "$number" -o json)"
has "the audit is clean" '"ok": true' "$(berth wallet audit -o json)"

# ---- the document and the server ---------------------------------------------------------------------
if python3 -c 'import yaml' 2>/dev/null; then
  python3 "$e2e_root/e2e/openapi.py" "$admin_url" "$BERTH_DATA/controlplane/admin.token" || e2e_bad=$((e2e_bad + 1))
else
  skip "the API document" "needs python3-yaml"
fi

# ---- somebody writes into the database ---------------------------------------------------------------
daemon_stop controlplane
python3 - "$BERTH_DATA/controlplane/berth.db" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for (name,) in db.execute("select name from sqlite_master where type='table'").fetchall():
    columns = [row[1] for row in db.execute(f"pragma table_info({name})")]
    if "key" in columns and "value" in columns:
        db.execute(f"update {name} set value = cast(replace(cast(value as text), '4711', '4712') as blob)"
                   " where cast(key as text) = 'billing/invoice/00000000000000000001'")
db.commit()
PY
daemon_start controlplane
status=0
berth wallet audit >"$e2e_dir/audit" 2>&1 || status=$?
same "an edited invoice: exit code of the audit" 1 "$status"
has "and where" "invoice 2: it does not continue the one before" "$(cat "$e2e_dir/audit")"
