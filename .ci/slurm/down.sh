#!/bin/bash
# Stop what up.sh started, by the recorded process ids and their start times, and nothing else.
#   --purge    remove $SLURM_BOX (state, accounting, logs) too
set -uo pipefail
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
BOX=${SLURM_BOX:-${TMPDIR:-/tmp}/slurm-box}; export SLURM_CONF=$BOX/etc/slurm.conf
starttime() { awk '{sub(/^.*\) /,""); print $20}' "/proc/$1/stat" 2>/dev/null; }
alive() { local f=$BOX/run/$1.pid pid st; [ -s "$f" ] || return 1; read -r pid st <"$f"; [ "$(starttime "$pid")" = "$st" ] &&
          [ "$(awk '{sub(/^.*\) /,""); print $1}' "/proc/$pid/stat" 2>/dev/null)" != Z ]; }
if alive slurmctld && alive slurmd; then   # cancel every job so that no slurmstepd/job process outlives the daemons
  ids=$(timeout 10 squeue -h -o %A | sort -u); [ -n "$ids" ] && timeout 10 scancel $ids
  for ((i=0; i<75; i++)); do [ -z "$(timeout 10 squeue -h -o %A)" ] && break; sleep 0.2; done
fi
for n in slurmd slurmctld slurmdbd mariadbd munged; do
  if alive "$n"; then read -r pid _ <"$BOX/run/$n.pid"
    kill -TERM "$pid" 2>/dev/null
    for ((i=0; i<100; i++)); do alive "$n" || break; sleep 0.1; done
    alive "$n" && { kill -KILL "$pid"; sleep 0.3; }
    echo "stopped $n ($pid)"; fi
  rm -f "$BOX/run/$n.pid"
done
[ "$(readlink /etc/slurm/slurm.conf 2>/dev/null)" = "$SLURM_CONF" ] && rm -f /etc/slurm/slurm.conf
if [ -s "$BOX/etc/hosts.before" ]; then cat "$BOX/etc/hosts.before" >/etc/hosts; rm -f "$BOX/etc/hosts.before"; fi
if [ "${1:-}" = --purge ]; then case $BOX in /|/tmp|/etc|/var|"") ;; *) rm -rf -- "$BOX";; esac; fi
exit 0
