# gate.sh REDIS_SERVER DATA ADMIN_PASSWORD_FILE APP_PASSWORD_FILE
# Runs before every start, as the server's account: ends a server that a killed supervisor left behind, writes who may
# do what, and mends a log whose end was damaged.
set -eu
umask 077
cd /  # nothing of ours works in the data directory, so whatever does is a server
server=$1 data=$2 admin=$3 app=$4
tab=$(printf '\t')

say() { printf 'gate: %s\n' "$1" >&2; }
refuse() { printf 'gate: %s\nhint: %s\n' "$1" "$2" >&2; exit 1; }

servers() {
  find /proc/[0-9]*/cwd -maxdepth 0 -printf '%l\t%h\n' 2>/dev/null | while IFS=$tab read -r place process; do
    if [ "$place" = "$real" ] && [ "$(cat "$process/comm" 2>/dev/null)" = redis-server ]; then
      echo "${process#/proc/}"
    fi
  done
}

gone_within() {  # tenths of a second
  n=$1
  while [ -n "$(servers)" ]; do
    [ "$n" -gt 0 ] || return 1
    n=$((n - 1)); sleep 0.1
  done
}

# Two servers in one directory would write over each other's log: Redis does not lock it.
real=$(cd "$data" && pwd -P)
left=$(servers)
if [ -n "$left" ]; then
  say "ending the server that was left behind: $(echo $left)"
  kill -TERM $left 2>/dev/null || true
  if ! gone_within 100; then
    kill -KILL $(servers) 2>/dev/null || true
    gone_within 50 || refuse "server processes cannot be ended: $(echo $(servers))" "look what blocks them in the kernel"
  fi
fi

# printf and $(...) of the shell itself: the password is in no argv.
hash() {
  [ -s "$1" ] || refuse "no password file $1" "\`inv up\` generates it"
  printf '%s' "$(cat "$1")" | sha256sum | cut -d ' ' -f 1
}
admin=$(hash "$admin") app=$(hash "$app")
[ ${#admin} = 64 ] && [ ${#app} = 64 ] || exit 1

# The application: its own keys and channels, data commands, transactions and scripts; nothing that reaches other keys,
# clients or the server (-@dangerous). INFO is what client libraries ask before they call a connection ready.
{
  echo "user default off resetpass resetkeys resetchannels -@all"
  echo "user admin on #$admin ~* &* +@all"
  echo "user app on #$app ~app:* &app:* +@read +@write +@connection +@transaction -@admin -@dangerous -function" \
    "+eval +eval_ro +evalsha +evalsha_ro +script|load +script|exists +info"
} >"$data/users.acl.new"
mv "$data/users.acl.new" "$data/users.acl"

# aof-load-truncated forgives a log that was cut off, but not one that ends in garbage, as a power cut leaves it. A cache
# must come up: keep a copy of the last one that was mended, and cut the garbage off.
check=$(dirname "$(command -v "$server")")/redis-check-aof
manifest=$data/appendonlydir/appendonly.aof.manifest
if [ -s "$manifest" ] && [ -x "$check" ] && ! "$check" "$manifest" >/dev/null 2>&1; then
  say "the append-only log is damaged: keeping a copy in $data/damaged and cutting off what cannot be read"
  rm -rf "$data/damaged"
  cp -R "$data/appendonlydir" "$data/damaged"
  echo y | "$check" --fix "$manifest" | tail -n 3 >&2 || true  # if it cannot be mended, the server says why
fi
