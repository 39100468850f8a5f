# gate.sh PROBE_SECRET_FILE SCRATCH
# Runs before every start: the probes' pass, as nginx reads it. The hash and not the secret, which stays in its file.
set -eu
umask 077
[ -s "$1" ] || { printf 'gate: no probe secret %s\nhint: `inv up` generates it\n' "$1" >&2; exit 1; }
pass=$(printf '%s' "$(cat "$1")" | sha256sum | cut -d ' ' -f 1)
[ ${#pass} = 64 ] || exit 1
printf '"%s" 1;\n' "$pass" >"$2/probe.map.new"
mv "$2/probe.map.new" "$2/probe.map"
