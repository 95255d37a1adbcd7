#!/bin/sh
# Writes what compose.yaml wants in secrets/: passwords and the sealing key. It
# writes nothing that is there already, so it may be run again.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Containers read the files as users of their own; the directory keeps others out.
put() { [ -e "$1" ] || { printf '%s' "$2" >"$1.new" && chmod 0444 "$1.new" && mv "$1.new" "$1"; }; }

put postgres_password "$(random)"
put roster_password "$(random)"
put pgpass "*:*:roster:roster:$(cat roster_password)
"
# Compose reads this one itself. Keep a copy where the backups are: without it
# sealed credentials cannot be read again.
[ -e roster.env ] || printf 'ROSTER_SEAL_KEY=%s\n' "$(random)" >roster.env
