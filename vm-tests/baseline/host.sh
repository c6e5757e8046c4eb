#!/bin/bash
# One host's part of the plain install; runs there as root. See install.sh.
set -euo pipefail
cd /var/tmp/baseline
# ENDPOINT: name and port of the API; FIRST: address of the first master; IGNORED_MASTER and IGNORED_WORKER: preflight
# checks that do not fit these hosts.
. ./settings
# A file system of its own is not empty: it has lost+found.
IGNORED_MASTER=$IGNORED_MASTER,DirAvailable--var-lib-etcd

# Output only where it went wrong.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        echo "$(hostname): $* failed:" >&2
        tail -n 20 "$log" >&2
        return 1
    fi
}

admin() { kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }

etcd() {
    local pki=/etc/kubernetes/pki/etcd
    etcdctl --endpoints https://127.0.0.1:2379 --cacert $pki/ca.crt --cert $pki/healthcheck-client.crt \
        --key $pki/healthcheck-client.key "$@"
}

until_true() { # SECONDS WORDS...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -gt $end ]; then
            echo "$(hostname): $* did not come true" >&2
            return 1
        fi
        sleep 0.5
    done
}

prepare() { # HOST ROLE
    swapoff --all
    sed -i -E 's/^[^#].*\sswap\s.*$/# &/' /etc/fstab
    tar --extract --no-overwrite-dir --directory / --file "$2-files.tar.gz"
    tar --extract --no-overwrite-dir --directory / --file "$1-configuration.tar"
    cat hosts >>/etc/hosts
    # A container has the modules of its machine.
    modprobe --all overlay br_netfilter nf_conntrack vxlan 2>/dev/null || true
    quietly sysctl --load /etc/sysctl.d/90-sealift.conf || true
    mkdir -p /etc/cni/net.d /opt/cni/bin
    systemctl daemon-reload
    quietly systemctl enable kubelet
    quietly systemctl enable --now containerd
    quietly ctr --namespace k8s.io images import --local "$2-images.tar"
}

init() {
    quietly kubeadm init --config /etc/sealift/kubeadm-init.yaml --skip-token-print \
        --ignore-preflight-errors="$IGNORED_MASTER"
    KUBECONFIG=/etc/kubernetes/admin.conf quietly helm upgrade --install flannel flannel.tgz \
        --namespace kube-flannel --create-namespace --values flannel-values.json
}

discovery() {
    local token ca
    token=$(kubeadm token create --ttl 20m --kubeconfig /etc/kubernetes/admin.conf)
    ca=$(base64 --wrap=0 /etc/kubernetes/pki/ca.crt)
    cat <<END
apiVersion: v1
kind: Config
clusters: [{name: site, cluster: {server: "https://$FIRST:${ENDPOINT##*:}", certificate-authority-data: $ca}}]
users: [{name: joining, user: {token: $token}}]
contexts: [{name: join, context: {cluster: site, user: joining}}]
current-context: join
END
}

join() { # ROLE
    local ignored=$IGNORED_MASTER
    if [ "$1" = worker ]; then ignored=$IGNORED_WORKER; fi
    sed -i 's#@DISCOVERY@#/run/sealift/discovery.conf#' /run/sealift/kubeadm-join.yaml
    # The endpoint's name leads to the host itself, where nothing answers yet.
    cp /etc/hosts hosts.lasting
    sed -i -E "s/^[0-9.]+ ${ENDPOINT%:*}\$/$FIRST ${ENDPOINT%:*}/" /etc/hosts
    quietly kubeadm join --config /run/sealift/kubeadm-join.yaml --ignore-preflight-errors="$ignored"
    cat hosts.lasting >/etc/hosts
    rm /run/sealift/discovery.conf
    if [ "$1" = worker ]; then
        # From now on through the load balancer on the worker itself.
        sed -i "s#server: .*#server: https://$ENDPOINT#" /etc/kubernetes/kubelet.conf
        systemctl restart kubelet
    fi
}

healthy_voters() { # COUNT
    admin get --raw /readyz &&
        [ "$(etcd member list | grep -c ', started, .*, false$')" = "$1" ] &&
        [ "$(etcd endpoint health --cluster 2>&1 | grep -c 'is healthy')" = "$1" ]
}

nodes_ready() { # COUNT
    [ "$(admin get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" = "$1" ]
}

verb=$1
shift
case $verb in
prepare | init | discovery | join) "$verb" "$@" ;;
voters) until_true 300 healthy_voters "$1" ;;
nodes) until_true 600 nodes_ready "$1" ;;
*)
    echo "unknown: $verb" >&2
    exit 2
    ;;
esac
