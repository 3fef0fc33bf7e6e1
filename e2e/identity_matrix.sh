#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Must hold: with containers of every shape on one host, a token works from its own container and from
# nowhere else: the diagonal is 200, all the rest one byte-identical 401.
# shellcheck source=e2e/identity/rig.sh
source "$(dirname "${BASH_SOURCE[0]}")/identity/rig.sh"
stack_start
pods_start
runc_setup
start() { pod run -d --name "$1" "${@:2}" berth-demo sleep 1000000 >/dev/null; }

start none --network none
start other --network none
start sidecar --network container:none
start debug --network container:none --pid container:none
start hosted --network host
start hosted2 --network host
start bridged
start neighbour # default capabilities: CAP_NET_RAW included
pod pod create --name pod --network none --infra-image localhost/berth-demo --infra-command 'sleep 1000000' >/dev/null
start pod-a --pod pod
start pod-b --pod pod
runc_bundle "sleep 1000000"
runc_ run -d --bundle "$e2e_dir/bundle" raw </dev/null >/dev/null 2>&1 || not_ok "runc starts raw" ""
names=(none other sidecar debug hosted hosted2 bridged neighbour pod-a pod-b raw)

# ---- everybody with everybody's token ----
for caller in "${names[@]}"; do
  want=$(for name in "${names[@]}"; do echo "$name $([[ $name == "$caller" ]] && echo 200 || echo 401)"; done)
  if [[ $caller == raw ]]; then
    have=$(runc_ exec raw sh -c "$(asker "${names[@]}")" 2>&1 </dev/null || true)
  else
    have=$(pod exec "$caller" sh -c "$(asker "${names[@]}")" 2>&1 || true)
  fi
  same "$caller: its own token, and no other" "$want" "$have"
done

# ---- the host, and its root inside their networks ----
for name in "${names[@]}"; do
  [[ $name == raw ]] && pid=$(runc_ state raw | sed -n 's/.*"pid": \([0-9]*\).*/\1/p') || pid=$(init_of "$name")
  token="Authorization: Bearer container-$name"
  have="$(curl_status -H "$token" "$host_url/v1/models") $(in_net "$pid" curl -s -o /dev/null -m 5 -w '%{http_code}' -H "$token" "http://127.0.0.1:$port/v1/models")"
  same "$name: not from the host, not with nsenter" "401 401" "$have"
done
have=$(in_net "$(init_of none)" curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/v1/models" || true)
same "no token with nsenter" 401 "$have"
pid=$(init_of none)
have=$(in_net "$pid" curl -s -g -o /dev/null -w '%{http_code}' "http://[::1]:$port/v1/models" || true)
same "no token with nsenter over IPv6" 401 "$have"
have=$(pod exec none sh -c "wget -S -q -O /dev/null http://[::1]:$port/v1/models 2>&1 | head -1" || true)
has "IPv6 works inside" "200" "$have"
have=$(pod exec none unshare -n wget -q -O - "http://127.0.0.1:$port/v1/models" 2>&1 || true)
if [[ $have == *'"data"'* ]]; then not_ok "a network of its own inside is nobody's" "$have"; else ok "a network of its own inside is nobody's"; fi

# ---- one 401 for every reason ----
first=$(raw_in none other)
has "a refusal is a 401" "HTTP/1.1 401" "$first"
for case in "other none" "sidecar none" "none nobody" "hosted raw" "none 999" "none $(fact other id)" "debug none"; do
  # shellcheck disable=SC2086
  same "the same bytes: $case" "$first" "$(raw_in $case)"
done
have=$(in_net "$pid" curl -s -i -H 'Connection: close' -H 'Authorization: Bearer container-none' "http://127.0.0.1:$port/v1/models" | canonical)
same "the same bytes for the host's root" "$first" "$have"

# ---- nobody hears what another says ----
# the neighbour listens to every packet of its network (CAP_NET_RAW suffices) while the victim calls;
# what the victim sends to it is heard, which proves that it does listen
in_net "$(init_of neighbour)" python3 -c 'import socket, sys
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
print("listening", flush=True)
with open(sys.argv[1], "wb", buffering=0) as out:
    while True:
        out.write(raw.recv(65535))' "$e2e_dir/heard" >"$e2e_dir/listens" &
sniffer=$!
within 5 grep -q listening "$e2e_dir/listens" || not_ok "the neighbour listens" ""
same "the victim calls" 200 "$(status_in bridged bridged)"
in_net "$(init_of bridged)" python3 -c 'import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"said-to-the-neighbour", (sys.argv[1], 9))' \
  "$(pod inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' neighbour)"
if within 5 grep -aq said-to-the-neighbour "$e2e_dir/heard"; then ok "what is said to the neighbour is heard"; else not_ok "what is said to the neighbour is heard" ""; fi
if grep -aqE 'container-bridged|/v1/models' "$e2e_dir/heard"; then not_ok "the victim's call is not" "$(strings "$e2e_dir/heard" | head -3)"; else ok "the victim's call is not"; fi
kill "$sniffer" 2>/dev/null || true

# ---- neighbours on a bridge ----
# listener ADDRESS: what the agent does not do, a listener on the victim's loopback that is not bound to
# lo; that the neighbour reaches it proves that the way is open
listener() {
  in_net "$victim" python3 -m http.server --bind "$1" $((port + 1)) >/dev/null 2>&1 &
  helpers_of_suite+=($!)
  within 5 in_net "$victim" curl -s -o /dev/null "http://$1:$((port + 1))/"
}
helpers_of_suite=()
victim=$(init_of bridged)
attacker=$(init_of neighbour)
address=$(pod inspect -f '{{.NetworkSettings.IPAddress}}' bridged)
[[ -n $address ]] || address=$(pod inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' bridged)
have=$(in_net "$attacker" curl -s -o /dev/null -m 2 -w '%{http_code}' "http://$address:$port/v1/models" || true)
same "its address does not listen" 000 "$have"
in_net "$victim" sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet' 2>/dev/null ||
  in_net "$victim" sysctl -qw net.ipv4.conf.all.route_localnet=1 || true
in_net "$attacker" sysctl -qw net.ipv4.conf.all.route_localnet=1 || true
sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true # or the host's tables eat the attempt
same "route_localnet is on" 1 "$(in_net "$victim" cat /proc/sys/net/ipv4/conf/all/route_localnet)"
in_net "$attacker" sh -c "ip addr del 127.0.0.1/8 dev lo; ip route flush table local dev lo; ip route add 127.0.0.1 via $address" || true
listener 127.0.0.1
same "an ordinary listener on its loopback is reached" 200 \
  "$(in_net "$attacker" curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:$((port + 1))/" || true)"
have=$(in_net "$attacker" curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:$port/v1/models" || true)
same "its loopback is not reached over the bridge with route_localnet" 000 "$have"
in_net "$victim" ip addr add 169.254.77.77/32 dev lo
in_net "$attacker" ip route add 169.254.77.77 via "$address" 2>/dev/null || true
listener 169.254.77.77
same "an ordinary listener on a link-local address is reached" 200 \
  "$(in_net "$attacker" curl -s -o /dev/null -m 2 -w '%{http_code}' "http://169.254.77.77:$((port + 1))/" || true)"
have=$(in_net "$attacker" curl -s -o /dev/null -m 2 -w '%{http_code}' "http://169.254.77.77:$port/v1/models" || true)
same "nor a link-local address on it" 000 "$have"
in_net "$victim" ip addr del 169.254.77.77/32 dev lo
kill "${helpers_of_suite[@]}" 2>/dev/null || true
same "the victim goes on" 200 "$(status_in bridged bridged)"
# the victim's address on the attacker's interface: an address proves nothing here
in_net "$attacker" ip addr add "$address/16" dev eth0 2>/dev/null || true
have=$(in_net "$attacker" curl -s -o /dev/null -m 2 --interface "$address" -w '%{http_code}' -H 'Authorization: Bearer container-bridged' "$host_url/v1/models" || true)
if [[ $have == 200 ]]; then not_ok "a stolen address is nobody" "$have"; else ok "a stolen address is nobody"; fi

# ---- what smells of a confused deputy, from inside ----
deputy() { # WANT NAME CURL_OPTIONS...: as a process of the container's cgroup
  local want=$1 name=$2
  shift 2
  same "$name" "$want" "$(inside_cgroup none curl -s -o /dev/null -m 5 -w '%{http_code}' -H 'Authorization: Bearer container-none' "$@")"
}
url=http://127.0.0.1:$port/v1/models
deputy 200 "curl inside works" "$url"
deputy 200 "HTTP/2 inside works" --http2-prior-knowledge "$url"
for field in "X-Forwarded-For: 10.1.1.1" "X-Forwarded-Host: a" "X-Forwarded-Proto: https" "Forwarded: for=1.1.1.1" "Via: 1.1 proxy" "Origin: http://evil.example" "Origin: null"; do
  deputy 403 "refused: $field" -H "$field" "$url"
  deputy 403 "refused over HTTP/2: $field" --http2-prior-knowledge -H "$field" "$url"
done
deputy 421 "refused: a foreign Host" -H 'Host: evil.example' "$url"
deputy 421 "refused over HTTP/2: a foreign authority" --http2-prior-knowledge -H 'Host: evil.example' "$url"
deputy 400 "refused: absolute form" --proxy "http://127.0.0.1:$port" "http://evil.example/v1/models"
have=$(inside_cgroup none curl -s -o /dev/null -m 5 -w '%{http_connect}' --proxytunnel --proxy "http://127.0.0.1:$port" http://api.openai.com/)
same "refused: CONNECT" 405 "$have"
