# The worlds of docs/network.md and docs/many.md: machine.sh reads this file. A second host, `other`, is a network namespace
# with a name server, a mirror of Debian and ssh; Slurm runs only on this host. Both share the disk; /nfs is a directory
# that this host mounts from its own NFS server.

# in_other COMMAND...: on the second host
in_other() { ip netns exec other unshare --uts sh -c 'hostname other; exec "$@"' sh "$@"; }

start_network() {
    modprobe -a tun veth
    ip netns add other
    ip link add outside type veth peer name eth0 netns other
    ip address add 10.0.0.1/24 dev outside
    ip link set outside up
    ip -n other address add 10.0.0.2/24 dev eth0
    # the gateway has a separate address, because pasta(1) sends the gateway's packets to this host
    ip -n other address add 10.0.0.254/24 dev eth0
    ip -n other link set eth0 up
    ip -n other link set lo up
    ip route add default via 10.0.0.254
    echo nameserver 10.0.0.2 >/etc/resolv.conf
    printf '127.0.0.1 localhost\n10.0.0.1 machine\n10.0.0.2 other\n' >/etc/hosts
    in_other dnsmasq --no-resolv --no-hosts --address=/mirror.example/10.0.0.2 --address=/other.example/10.0.0.2
    echo hello from the other host >/srv/mirror/hello
    in_other busybox httpd -p 80 -h /srv/mirror
    in_other /usr/sbin/sshd -o ListenAddress=10.0.0.2 -o PidFile=none
    # the server listens a moment after it has gone into the background
    for _ in $(seq 60); do
        ssh-keyscan -t ed25519 other machine >/etc/ssh/ssh_known_hosts 2>/dev/null
        ! grep -q '^other ' /etc/ssh/ssh_known_hosts || break
        sleep 1
    done
    for user in root:/root alice:/home/alice; do
        install -m 600 -o "${user%:*}" /root/key "${user#*:}/.ssh/id_ed25519"
    done
}

start_nfs() {
    modprobe -a nfsd nfsv4
    install -d -m 1777 /srv/nfs /nfs && install -d /etc/nfs.conf.d
    # the default options: root of a client is the user nobody
    echo '/srv/nfs localhost(rw,root_squash,no_subtree_check)' >/etc/exports
    # a starting server waits for its earlier clients, 90 s by default
    printf '[nfsd]\ngrace-time=10\nlease-time=10\n' >/etc/nfs.conf.d/worlds.conf
    systemctl restart nfs-server && mount -t nfs -o vers=4.2 localhost:/srv/nfs /nfs ||
        systemctl status --no-pager nfs-server
}

start_slurm() {
    cat >/etc/slurm/slurm.conf <<'CONF'
ClusterName=cluster
SlurmctldHost=machine
SlurmUser=slurm
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
NodeName=machine CPUs=2 RealMemory=2000
PartitionName=all Nodes=ALL Default=YES State=UP
CONF
    printf 'CgroupPlugin=cgroup/v2\nConstrainRAMSpace=yes\nConstrainCores=yes\n' >/etc/slurm/cgroup.conf
    install -d -o slurm /var/lib/slurm/slurmctld /var/log/slurm
    systemctl start munge slurmctld slurmd
    for _ in $(seq 300); do
        sinfo -h -o %t 2>/dev/null | grep -q idle && return
        sleep 1
    done
    sinfo
    tail -n 20 /var/log/slurm/*
}
