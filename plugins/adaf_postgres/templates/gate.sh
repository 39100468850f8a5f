# gate.sh INITDB POSTGRES VOLUME PASSWORD_FILE
# Runs before every start, as the server's account. Makes a cluster where there is none, ends a server that a killed
# supervisor left behind, and refuses what this server cannot run, without touching it.
set -eu
umask 077
cd /  # nothing of ours works in the cluster, so whatever does is a server
initdb=$1 postgres=$2 volume=$3 password=$4
cluster=$volume/cluster
tab=$(printf '\t')

say() { printf 'gate: %s\n' "$1" >&2; }
refuse() { printf 'gate: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

# Process ids of servers (children included) that work in the cluster. The pid file alone proves nothing: it outlives a
# crash, and pids are used again.
servers() {
  find /proc/[0-9]*/cwd -maxdepth 0 -printf '%l\t%h\n' 2>/dev/null | while IFS=$tab read -r place process; do
    if [ "$place" = "$real" ] && [ "$(cat "$process/comm" 2>/dev/null)" = postgres ]; then echo "${process#/proc/}"; fi
  done
}

gone_within() {  # tenths of a second
  n=$1
  while [ -n "$(servers)" ]; do
    [ "$n" -gt 0 ] || return 1
    n=$((n - 1)); sleep 0.1
  done
}

end_left_over() {
  real=$(cd "$cluster" && pwd -P)
  left=$(servers)
  [ -n "$left" ] || return 0
  main=$(head -n 1 "$cluster/postmaster.pid" 2>/dev/null || true)
  if [ -n "$main" ] && echo "$left" | grep -qx "$main"; then
    say "ending the server that was left behind (pid $main)"
    kill -INT "$main" 2>/dev/null || true
    if gone_within 300; then return 0; fi
  fi
  # Children of a dead postmaster keep its memory and would block the start for as long as their query takes. They
  # cannot do harm by dying: the write-ahead log is replayed.
  say "ending left-over server processes: $(echo $left)"
  kill -KILL $(servers) 2>/dev/null || true
  gone_within 50 || refuse "server processes cannot be ended: $(echo $(servers))" "look what blocks them in the kernel"
}

major=$("$postgres" --version | sed -n 's/^postgres (PostgreSQL) \([0-9][0-9]*\).*/\1/p')
[ -n "$major" ] || refuse "$postgres does not say which version it is" "install PostgreSQL again"

if [ -s "$cluster/PG_VERSION" ]; then
  read -r found <"$cluster/PG_VERSION" || true
  if [ "$found" != "$major" ]; then
    refuse "$cluster was made by PostgreSQL $found, but this is PostgreSQL $major; nothing was touched" \
      "install PostgreSQL $found and say \`version: $found\` in the database section, or move the data with pg_upgrade"
  fi
  end_left_over
  # Now no server works here, so a pid in the lock file that is alive belongs to something else: it was used again.
  main=$(head -n 1 "$cluster/postmaster.pid" 2>/dev/null || true)
  if [ -n "$main" ] && [ -d "/proc/$main" ]; then rm -f "$cluster/postmaster.pid"; fi
  exit 0
fi

if [ -e "$cluster" ] && [ -n "$(ls -A "$cluster")" ]; then
  refuse "$cluster is neither empty nor a cluster (no PG_VERSION); nothing was touched" "move it aside, or restore it"
fi
[ -s "$password" ] || refuse "no password file $password" "\`inv up\` generates it"

# Beside and then renamed: a cluster under its own name is a whole one. What a killed initdb left was never used.
rm -rf "$volume/cluster.init"
set -- --locale=C.UTF-8
if [ "$major" -ge 17 ]; then set -- "$@" --locale-provider=builtin; fi  # its order never changes with the system's libc
"$initdb" --pgdata="$volume/cluster.init" --username=postgres --pwfile="$password" --data-checksums --encoding=UTF8 \
  --auth-host=scram-sha-256 --auth-local=scram-sha-256 --no-instructions "$@" >/dev/null
mv -T "$volume/cluster.init" "$cluster"
sync "$volume"
say "made a new cluster (PostgreSQL $major)"
