#!/bin/sh
# The seed is a bare tar on the second disk. Swap is on, so that an installer has something to turn off.
set -e
tar --extract --preserve-permissions --numeric-owner --directory=/ --file=/dev/vdb
hostname -F /etc/hostname 2>/dev/null || cat /etc/hostname >/proc/sys/kernel/hostname
fallocate -l 256M /swapfile
chmod 600 /swapfile
mkswap /swapfile >/dev/null
swapon /swapfile
echo '/swapfile none swap sw 0 0' >>/etc/fstab
touch /var/lib/lab-seeded
