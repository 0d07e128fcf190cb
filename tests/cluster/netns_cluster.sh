#!/usr/bin/env bash
# `ray up cluster/local.yaml` for real: two hosts made of namespaces on this machine (network, processes, mounts), each with its
# own sshd, home, disk for runs and Ray; a short training as a job, and `ray down`.
#
#   sudo tests/cluster/netns_cluster.sh [PYTHON]      from the root of the repository; PYTHON: .venv/bin/python by default
#
# Needs root, ip, sshd, ssh, rsync and unshare; ends with 77 and the reason where one is missing. Takes two to five minutes and
# 5 GB of memory. The hosts take PYTHON's packages instead of installing them; all else is as in cluster/local.yaml.
set -euo pipefail

skip() { echo "skipped: $1"; exit 77; }
fail() { echo "FAILED: $1"; exit 1; }
say() { echo "== $1"; }

repo=$(cd "$(dirname "$0")/../.." && pwd)
python=$(realpath -s "${1:-$repo/.venv/bin/python}")
PATH=$PATH:/usr/sbin:/sbin
[ "$(id -u)" = 0 ] || skip "root is needed for network namespaces"
for program in ip ss sshd ssh ssh-keygen rsync unshare; do
  command -v "$program" > /dev/null || skip "there is no $program (apt install iproute2 openssh-server rsync util-linux)"
done
"$python" -c 'import ray, tf_agents' 2> /dev/null || skip "$python cannot import ray and tf_agents: make setup, or give another PYTHON"
ip netns add "rr-$$" 2> /dev/null || skip "this machine allows no network namespaces"
ip netns del "rr-$$"

work=$(mktemp -d /tmp/rr-netns-XXXXXX)
bridge=rrbr$$
subnet=10.213.77
head=$subnet.10 worker=$subnet.11
hosts=()

clean_up() {
  for pid in "${hosts[@]}"; do
    kill -KILL "$pid" 2> /dev/null || true
    while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done
  done
  for number in 10 11; do ip netns del "rr$$-$number" 2> /dev/null || true; done
  ip link del "$bridge" 2> /dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT

say "two hosts at $head and $worker"
ip link add "$bridge" type bridge
ip address add "$subnet.1/24" dev "$bridge"
ip link set "$bridge" up
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
ssh-keygen -q -t ed25519 -N '' -f "$work/host_key"
cp "$work/key.pub" "$work/authorized_keys"
mkdir -p /run/sshd /tmp/ray

# What stands for `make setup` on a host.
cat > "$work/setup.sh" << SETUP
set -e
rm -rf ~/robotini_ray/.venv
"$python" -m venv --without-pip ~/robotini_ray/.venv
site=\$(~/robotini_ray/.venv/bin/python -c 'import site; print(site.getsitepackages()[0])')
printf '%s\n' ~/robotini_ray "$("$python" -c 'import ray, os; print(os.path.dirname(os.path.dirname(ray.__file__)))')" > "\$site/packages.pth"
printf '#!/bin/sh\nexec ~/robotini_ray/.venv/bin/python -c "from ray.scripts.scripts import main; main()" "\$@"\n' > ~/robotini_ray/.venv/bin/ray
chmod +x ~/robotini_ray/.venv/bin/ray
SETUP

start_host() {  # the last number of its address
  local number=$1 name=rr$$-$1 root=$work/host-$1
  mkdir -p "$root/home" "$root/ray" "$root/runs" "$work/runs"
  touch "$root/home/.bashrc"
  sed "s|^root:.*|root:x:0:0:root:$root/home:/bin/bash|" /etc/passwd > "$root/passwd"
  ip netns add "$name"
  ip link add "rr$$v$number" type veth peer name eth0 netns "$name"
  ip link set "rr$$v$number" master "$bridge" up
  ip -n "$name" link set lo up
  ip -n "$name" link set eth0 up
  ip -n "$name" address add "$subnet.$number/24" dev eth0
  ip -n "$name" route add default via "$subnet.1"
  printf '%s\n' "ListenAddress $subnet.$number" "HostKey $work/host_key" "AuthorizedKeysFile $work/authorized_keys" \
    "PermitRootLogin prohibit-password" "PasswordAuthentication no" "UsePAM no" "StrictModes no" "PidFile none" > "$root/sshd_config"
  cat > "$root/init.sh" << INIT
mount --make-rprivate /
mount --bind "$root/passwd" /etc/passwd
mount --bind "$root/ray" /tmp/ray
mount --bind "$root/runs" "$work/runs"
mount -t tmpfs -o size=50% tmpfs /dev/shm
hostname "robotini-$number"
exec $(command -v sshd) -D -e -f "$root/sshd_config"
INIT
  ip netns exec "$name" unshare --mount --pid --uts --ipc --fork --kill-child --mount-proc bash "$root/init.sh" \
    > "$root/sshd.log" 2>&1 &
  hosts+=($!)
  disown  # else bash tells of its end
}
start_host 10
start_host 11

on() {  # an address and a command line
  ssh -q -i "$work/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "root@$1" "$2"
}
for host in "$head" "$worker"; do
  for _ in $(seq 100); do on "$host" true && continue 2; sleep 0.1; done
  fail "sshd of $host does not answer: $(cat "$work"/host-*/sshd.log)"
done

say "ray up"
operator=$work/operator
mkdir -p "$operator/.ray" "$operator/tmp"
export HOME=$operator RAY_TMPDIR=$operator/tmp RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
(umask 077; "$python" -c 'import secrets; print(secrets.token_hex(32), end="")' > "$operator/.ray/auth_token")
ray() { "$python" -c "from ray.scripts.scripts import main; main()" "$@"; }
"$python" - "$repo/cluster/local.yaml" "$work" << 'CHANGES' > "$work/local.yaml"
import sys
import yaml

config = yaml.safe_load(open(sys.argv[1]))
work = sys.argv[2]
config["provider"] |= {"head_ip": "10.213.77.10", "worker_ips": ["10.213.77.11"]}
config["auth"] = {"ssh_user": "root", "ssh_private_key": f"{work}/key"}
config |= {"min_workers": 1, "max_workers": 1}
setup = config["setup_commands"]
setup[setup.index("make -C ~/robotini_ray setup")] = f"bash {work}/setup.sh"
print(yaml.safe_dump(config, sort_keys=False))
CHANGES
cd "$repo"
dashboard_listens() {
  for _ in $(seq 30); do
    on "$head" 'ss -Hltn "sport = :8265"' > "$work/dashboard"
    [ ! -s "$work/dashboard" ] || return 0
    sleep 2
  done
  return 1
}
for attempt in 1 2 3; do  # Ray gives a node 30 s to start, which a busy machine may not make, and goes on without a dashboard
  ray up -y "$work/local.yaml" > "$work/up.log" 2>&1 && dashboard_listens && break
  [ "$attempt" != 3 ] || { tail -40 "$work/up.log"; fail "ray up"; }
  say "ray up again: $(grep -E 'Exception:|Error' "$work/up.log" | tail -1 || true)"
done

say "waiting for the worker, which the head starts"
environment='. ~/robotini_ray/cluster/env.sh'
for _ in $(seq 300); do
  on "$head" "$environment; ray status" > "$work/status" 2>&1 && grep -q ' sim' "$work/status" && break
  sleep 2
done
cat "$work/status"
grep -q '/[0-9.]* sim' "$work/status" || { on "$head" 'tail -30 /tmp/ray/session_latest/logs/monitor.out' || true; fail "no worker with sim"; }
grep -q '/1.0 learner' "$work/status" || fail "no learner resource on the head"

say "who may connect"
for host in "$head" "$worker"; do
  [ "$(on "$host" 'stat -c %a ~/.ray/auth_token')" = 600 ] || fail "the token on $host is not private"
done
cat "$work/dashboard"
grep -q '127.0.0.1:8265' "$work/dashboard" && [ "$(wc -l < "$work/dashboard")" = 1 ] || fail "the dashboard is not on loopback alone"
if on "$head" "$environment; RAY_AUTH_MODE=disabled ray job list --address http://127.0.0.1:8265" > "$work/no-token" 2>&1; then
  fail "jobs are listed without the token"
fi
if on "$worker" "$environment; RAY_AUTH_TOKEN=wrong ray status --address $head:6379" > "$work/wrong-token" 2>&1; then
  fail "the status is told for a wrong token"
fi

say "the simulator's first start on each host, which compiles it"
for host in "$head" "$worker"; do
  for attempt in 1 2 3; do  # what one start has compiled the next one need not
    on "$host" "$environment; python -m robotini_ray.launch debug-policy --cars 1 --seconds 1 --track oval" && continue 2
  done
  fail "no simulator starts on $host"
done

say "a job"
cat > "$work/small.yaml" << 'SMALL'
environment: {image_width: 16, throttle_high: 0.12}
agent: {algorithm: td3, actor_layers: [16], critic_layers: [16], batch_size: 16}
replay: {capacity: 2000, min_items: 50, samples_per_item: 8}
collection: {cars: 2}
learner: {steps_per_call: 5}
evaluation: {interval_s: 0, laps: 1, max_seconds: 4}
simulator: {track: oval}
SMALL
on "$head" "$environment; ray job submit --address http://127.0.0.1:8265 -- python -m robotini_ray.launch train $work/small.yaml \
  --run-dir $work/runs/netns --train-steps 60" > "$work/job.log" 2>&1 || { tail -40 "$work/job.log"; fail "the job"; }
tail -5 "$work/job.log"
"$python" -c "import json, sys; assert json.load(open(sys.argv[1]))['train_steps'] == 60" "$work/host-10/runs/netns/summary.json"
for log in collector-0 collector-1 simulator-0; do
  [ -e "$work/host-11/runs/netns/logs/$log.log" ] || fail "$log did not run on the worker"
done
for log in learner replay evaluator; do
  [ -e "$work/host-10/runs/netns/logs/$log.log" ] || fail "$log did not run on the head"
done
[ "$(stat -c %a "$work/host-10/runs/netns/redis.password")" = 600 ] || fail "the password of Redis is not private"

say "ray down"
ray down -y "$work/local.yaml" > "$work/down.log" 2>&1 || { tail -40 "$work/down.log"; fail "ray down"; }
for host in "$head" "$worker"; do  # a worker ends by itself, a minute after it has lost its head
  for _ in $(seq 90); do on "$host" '! pgrep -x raylet > /dev/null' && continue 2; sleep 2; done
  fail "a raylet is left on $host"
done
echo "passed: ray up, a training of 60 steps over two hosts, ray down"
