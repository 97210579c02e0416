#!/bin/bash
# Start a real Slurm with one node on this machine: munge, MariaDB, slurmdbd, slurmctld and slurmd, on loopback and
# without systemd. It needs root on Debian 12 and installs missing packages by apt-get. The script waits until the node
# is idle (4 to 20 s the first time) and does nothing if all of it is up. down.sh stops what it started.
#
# Sourcing $SLURM_BOX/env.sh gives clients their configuration. The partition `main` can be preempted by `high`, with a
# grace time of 30 s.
#
#   SLURM_BOX     folder of the configuration, state, logs and process ids (default: ${TMPDIR:-/tmp}/slurm-box)
#   SLURM_CGROUP  auto, v1 or none: auto uses cgroup v1 if its hierarchies are mounted, else memory is polled
#   SLURM_CPUS    CPUs that the node claims, which may exceed the real ones (default: the larger of 4 and nproc)
#   SLURM_MEM_MB  memory that the node claims (default: 80 % of the real memory)
#
# What tests have to know of it (Slurm 22.05, submitit 1.5):
# - Time limits are checked every 30 s, so the signal before the end may come 30 s earlier than asked for.
# - sacct lags by up to 2 s. A pending element of an array that is cancelled never appears in it: do not wait for one.
# - A job that exceeds its memory is FAILED; only its step says OUT_OF_MEMORY.
# - A plain `scontrol requeue` sends no signal: what resumes is the progress on disk.
# - With a time limit of 10 minutes or less submitit takes every USR2 for a timeout: tests of preemption need 11 or more.
set -euo pipefail
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
BOX=${SLURM_BOX:-${TMPDIR:-/tmp}/slurm-box}
CG=${SLURM_CGROUP:-auto}
P_CTLD=${SLURM_PORT_CTLD:-16817} P_D=${SLURM_PORT_D:-16818} P_DBD=${SLURM_PORT_DBD:-16819}
T0=$(date +%s.%N); say() { printf '[slurm-up %6.1fs] %s\n' "$(echo "$(date +%s.%N) $T0" | awk '{print $1-$2}')" "$*"; }
die() { say "ERROR: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || die "run as root"
HOST=$(hostname -s)

# -- packages
PKGS="munge slurmctld slurmd slurm-client slurmdbd mariadb-server-core mariadb-client-core"
need=; for p in $PKGS; do dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || need="$need $p"; done
if [ -n "$need" ]; then
  say "installing:$need"
  made=0; if [ ! -e /usr/sbin/policy-rc.d ]; then            # keep maintainer scripts from starting services
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; made=1; fi
  log=$(mktemp); rc=0
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
      -o Dpkg::Options::=--force-confold $need; } >"$log" 2>&1 </dev/null || rc=$?
  [ $made = 1 ] && rm -f /usr/sbin/policy-rc.d
  [ $rc = 0 ] || { tail -30 "$log" >&2; die "apt-get failed ($rc)"; }
  rm -f "$log"
fi
say "packages ok: slurm $(dpkg-query -W -f='${Version}' slurmctld)"

# -- scratch dir, hostname
mkdir -p "$BOX"/{etc,run,log,state,spool,munge,tmp}; chmod 755 "$BOX" "$BOX"/*/
chmod 1777 "$BOX/tmp"; export TMPDIR="$BOX/tmp"   # daemons of other users write there
# NoInAddrAny binds to whatever the hostname resolves to: make that a loopback address
if ! getent ahostsv4 "$HOST" | awk 'NR==1{exit $1 !~ /^127\./}'; then
  [ -e /etc/hosts ] || echo "127.0.0.1 localhost" >/etc/hosts
  [ -e "$BOX/etc/hosts.before" ] || cp -p /etc/hosts "$BOX/etc/hosts.before"
  { echo "127.0.0.1 $HOST  # slurm-box"; cat "$BOX/etc/hosts.before"; } >/etc/hosts   # (in place: may be a bind mount)
fi
getent ahostsv4 "$HOST" | awk 'NR==1{exit $1 !~ /^127\./}' || die "$HOST does not resolve to 127.*"

# -- process helpers (pid files that survive pid reuse)
starttime() { awk '{sub(/^.*\) /,""); print $20}' "/proc/$1/stat" 2>/dev/null; }
alive() { local f=$BOX/run/$1.pid pid st; [ -s "$f" ] || return 1; read -r pid st <"$f"; [ "$(starttime "$pid")" = "$st" ] &&
          [ "$(awk '{sub(/^.*\) /,""); print $1}' "/proc/$pid/stat" 2>/dev/null)" != Z ]; }
launch() { # name command...
  local n=$1; shift; alive "$n" && return 0
  setsid "$@" </dev/null >>"$BOX/log/$n.out" 2>&1 & local pid=$!
  sleep 0.2; echo "$pid $(starttime $pid)" >"$BOX/run/$n.pid"
  alive "$n" || { tail -20 "$BOX/log/$n.out" >&2; die "$n died at start, see $BOX/log/$n.*"; }
}
wait_for() { local what=$1 t=$2 n; shift 2; for ((n=0; n<t*5; n++)); do "$@" >/dev/null 2>&1 && return 0; sleep 0.2; done; die "timed out waiting for $what"; }

# -- munge (own key, own socket)
MSOCK=$BOX/munge/socket
[ -s "$BOX/munge/key" ] || { dd if=/dev/urandom of="$BOX/munge/key" bs=1024 count=1 status=none; }
chown -R munge: "$BOX/munge"; chmod 755 "$BOX/munge"; chmod 400 "$BOX/munge/key"
launch munged setpriv --reuid=munge --regid=munge --clear-groups /usr/sbin/munged --foreground --key-file="$BOX/munge/key" --socket="$MSOCK" \
  --pid-file="$BOX/munge/pid" --log-file="$BOX/munge/log" --seed-file="$BOX/munge/seed" --num-threads=2
wait_for munged 10 sh -c "munge -n -S '$MSOCK' | unmunge -S '$MSOCK'"

# -- accounting
DB=$BOX/mysql DSOCK=$BOX/mysqlrun/sock
if [ ! -d "$DB/mysql" ]; then
  mkdir -p "$DB"; chown slurm: "$DB"; chmod 700 "$DB"
  mariadb-install-db --no-defaults --user=slurm --datadir="$DB" --skip-test-db --auth-root-authentication-method=normal >"$BOX/log/mariadb-install.out" 2>&1 \
    || die "mariadb-install-db, see $BOX/log/mariadb-install.out"
fi
touch "$BOX/log/mariadbd.err"; chown slurm: "$BOX/log/mariadbd.err"; install -d -o slurm -g slurm "$BOX/mysqlrun"
launch mariadbd /usr/sbin/mariadbd --no-defaults --user=slurm --datadir="$DB" --socket="$DSOCK" --pid-file="$BOX/mysqlrun/pid" \
  --skip-networking --skip-log-bin --log-error="$BOX/log/mariadbd.err" --innodb-buffer-pool-size=64M --innodb-log-file-size=64M \
  --innodb-lock-wait-timeout=900 --innodb-flush-log-at-trx-commit=0 --performance-schema=OFF
wait_for mariadbd 30 mariadb --no-defaults -S "$DSOCK" -u root -e 'select 1'
mariadb --no-defaults -S "$DSOCK" -u root -e "CREATE DATABASE IF NOT EXISTS slurm_acct; CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct.* TO slurm@localhost"
cat >"$BOX/etc/slurmdbd.conf" <<E
AuthType=auth/munge
AuthInfo=socket=$MSOCK
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=$P_DBD
CommunicationParameters=NoInAddrAny
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
LogFile=$BOX/log/slurmdbd.log
PidFile=$BOX/run/slurmdbd.own.pid
DebugLevel=info
E
chmod 600 "$BOX/etc/slurmdbd.conf"

# -- slurm.conf
CPUS=${SLURM_CPUS:-$(( $(nproc) > 4 ? $(nproc) : 4 ))}
MEM=${SLURM_MEM_MB:-$(awk '/MemTotal/{print int($2/1024*0.8)}' /proc/meminfo)}
if [ "$CG" = auto ]; then CG=none
  if [ -w /sys/fs/cgroup/memory ] && [ -w /sys/fs/cgroup/freezer ] && [ -w /sys/fs/cgroup/cpuset ] && [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then CG=v1; fi
fi
if [ "$CG" = v1 ]; then PT=proctrack/cgroup TP=task/cgroup JAG=jobacct_gather/cgroup JAP=
else PT=proctrack/linuxproc TP=task/none JAG=jobacct_gather/linux JAP=JobAcctGatherParams=OverMemoryKill; fi
cat >"$BOX/etc/cgroup.conf.new" <<E
CgroupMountpoint=/sys/fs/cgroup
CgroupPlugin=cgroup/v1
ConstrainCores=no
ConstrainRAMSpace=yes
ConstrainDevices=no
E
# (without cgroups the file is still needed: 22.05 slurmd loads the v1 plugin but then never touches a hierarchy;
#  its default, autodetect, fails where nothing is mounted, and cgroup/v2 wants systemd over dbus)
cat >"$BOX/etc/slurm.conf.new" <<E
ClusterName=box
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job must wait before it may start again (default 120 s)
AuthInfo=socket=$MSOCK,cred_expire=5
# listen on the address the hostname resolves to (127.*), not on 0.0.0.0
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort=$P_CTLD
SlurmdPort=$P_D
SrunPortRange=61000-61999
StateSaveLocation=$BOX/state
SlurmdSpoolDir=$BOX/spool
SlurmctldPidFile=$BOX/run/slurmctld.own.pid
SlurmdPidFile=$BOX/run/slurmd.own.pid
SlurmctldLogFile=$BOX/log/slurmctld.log
SlurmdLogFile=$BOX/log/slurmd.log
SlurmctldDebug=info
SlurmdDebug=info
MpiDefault=none
SwitchType=switch/none
ProctrackType=$PT
TaskPlugin=$TP
JobAcctGatherType=$JAG
JobAcctGatherFrequency=task=1
$JAP
ReturnToService=2
SlurmdTimeout=60
SlurmctldTimeout=60
MessageTimeout=20
InactiveLimit=0
KillWait=5
OverTimeLimit=0
MinJobAge=300
JobRequeue=1
Waittime=0
# no minutes-long scheduler/back-fill cadence in a test box
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmctldParameters=preempt_send_user_signal
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# without this a job with no --mem takes the whole node, so arrays run one at a time
DefMemPerCPU=$(( MEM / CPUS / 2 ))
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$P_DBD
AccountingStoragePass=$MSOCK
JobCompType=jobcomp/none
NodeName=$HOST NodeAddr=127.0.0.1 NodeHostname=$HOST Sockets=1 CoresPerSocket=$CPUS ThreadsPerCore=1 CPUs=$CPUS RealMemory=$MEM State=UNKNOWN
PartitionName=main Nodes=$HOST Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=30 PreemptMode=REQUEUE State=UP
PartitionName=high Nodes=$HOST Default=NO  MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
E
changed=0
for f in slurm.conf cgroup.conf; do
  cmp -s "$BOX/etc/$f.new" "$BOX/etc/$f" || changed=1; mv "$BOX/etc/$f.new" "$BOX/etc/$f"; done
export SLURM_CONF=$BOX/etc/slurm.conf
# so that no environment variable is needed by clients and jobs
mkdir -p /etc/slurm
if [ ! -e /etc/slurm/slurm.conf ] || [ -L /etc/slurm/slurm.conf ]; then ln -sfn "$SLURM_CONF" /etc/slurm/slurm.conf; else say "note: /etc/slurm/slurm.conf exists: clients need SLURM_CONF (source $BOX/env.sh)"; fi
printf 'export SLURM_CONF=%q\n' "$SLURM_CONF" >"$BOX/env.sh"
if [ $changed = 1 ] && { alive slurmctld || alive slurmd; }; then die "config changed while the daemons run: down.sh first"; fi

# -- daemons
launch slurmdbd env SLURM_CONF="$BOX/etc/slurm.conf" MYSQL_UNIX_PORT="$DSOCK" /usr/sbin/slurmdbd -D -s
wait_for slurmdbd 30 sacctmgr -n show cluster
sacctmgr -nP show cluster format=cluster | grep -qx box || sacctmgr -i add cluster box >/dev/null
launch slurmctld /usr/sbin/slurmctld -D -s -f "$SLURM_CONF"
wait_for slurmctld 30 sh -c "scontrol ping | grep -q UP"
launch slurmd /usr/sbin/slurmd -D -s -f "$SLURM_CONF" -N "$HOST"
node_up() { sinfo -h -n "$HOST" -o %t | grep -qE '^(idle|mix|alloc|comp)$'; }
for ((i=0; i<150; i++)); do node_up && break; alive slurmd || { tail -5 "$BOX/log/slurmd.log" >&2; die "slurmd died"; }; sleep 0.2
  case $(sinfo -h -n "$HOST" -o %T) in down*|drain*) scontrol update nodename="$HOST" state=resume >/dev/null 2>&1 || :;; esac; done
node_up || { sinfo -R >&2; tail -5 "$BOX/log/slurmd.log" >&2; die "node $HOST is not up"; }
say "up: $(sinfo -h -p main -o '%P %a %D node %t %c cpus %m MB')  cgroup=$CG  (source $BOX/env.sh)"
