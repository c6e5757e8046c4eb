#!/bin/sh
# A container gets the controllers of cgroup v1 read-only and a private root mount; kubelet needs neither so.
set -e
mount --make-rshared /
while read -r _ folder type _; do
    case "$type $folder" in
    "cgroup /sys/fs/cgroup/systemd") ;;
    "cgroup "*) mount -o remount,bind,rw "$folder" ;;
    esac
done </proc/self/mounts
