#!/bin/bash
# The plain way to the same cluster: the same files to the same hosts in parallel by scp, then kubeadm by hand with the
# checks that a careful person makes in between. The bench of the installer is measured against this.
#
#   install.sh FOLDER     at the seat; FOLDER holds what copy() names
set -euo pipefail
cd "$1"

# Fast ciphers and one connection per host, as somebody who has done this before would have it.
sockets=$(mktemp --directory)
trap 'for socket in "$sockets"/*; do ssh -o ControlPath="$socket" -O exit any 2>/dev/null || true; done; rm -rf "$sockets"' EXIT
options=(-F "$HOME/.ssh/config" -o Ciphers=aes128-gcm@openssh.com -o ControlMaster=auto -o ControlPersist=600
    -o ControlPath="$sockets/%h")
remote=/var/tmp/baseline

# NAME ADDRESS ROLE, the first master first.
names=() masters=() workers=()
declare -A role
while read -r name _ what; do
    names+=("$name")
    role[$name]=$what
    if [ "$what" = control-plane ]; then masters+=("$name"); else workers+=("$name"); fi
done <site
first=${masters[0]}

on() { # HOST WORDS...: a command there as root
    local host=$1
    shift
    ssh "${options[@]}" "admin@$host" sudo -n "$@" </dev/null
}

copy() {
    local host=$1 what=${role[$1]}
    local files=(host.sh settings "$what-files.tar.gz" "$what-images.tar" "$host-configuration.tar")
    if [ "$host" = "$first" ]; then files+=(flannel.tgz flannel-values.json); fi
    ssh "${options[@]}" "admin@$host" mkdir -p "$remote" </dev/null
    scp -q "${options[@]}" "${files[@]}" "admin@$host:$remote/"
    on "$host" bash "$remote/host.sh" prepare "$host" "$what"
}

all() { # FUNCTION HOSTS...: for all at once; every one must end well
    local work=$1 pids=() pid
    shift
    for host in "$@"; do
        "$work" "$host" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
}

join() {
    local host=$1
    on "$first" bash "$remote/host.sh" discovery |
        ssh "${options[@]}" "admin@$host" sudo -n sh -c "'umask 077; cat >/run/sealift/discovery.conf'"
    on "$host" bash "$remote/host.sh" join "${role[$host]}"
}

done_with() { echo "$* after $SECONDS s"; }

all copy "${names[@]}"
done_with "files copied, images imported"
on "$first" bash "$remote/host.sh" init
count=1
on "$first" bash "$remote/host.sh" voters "$count"
for host in "${masters[@]:1}"; do
    on "$first" tar --create --directory /etc/kubernetes/pki ca.crt ca.key sa.key sa.pub front-proxy-ca.crt \
        front-proxy-ca.key etcd/ca.crt etcd/ca.key |
        ssh "${options[@]}" "admin@$host" sudo -n \
            sh -c "'mkdir -p /etc/kubernetes/pki && tar --extract --directory /etc/kubernetes/pki'"
    join "$host"
    count=$((count + 1))
    on "$host" bash "$remote/host.sh" voters "$count"
done
done_with "$count masters"
all join "${workers[@]}"
done_with "workers joined"
on "$first" bash "$remote/host.sh" nodes "${#names[@]}"
done_with "all nodes Ready"
