#!/bin/sh
# Starts Parley where secrets are files: a container (/run/secrets), a systemd unit ($CREDENTIALS_DIRECTORY).
#
# A file that is called like a variable (PARLEY_TOKEN, DATABASE_URL, DEMO_SECRET) becomes that variable. Without a token
# Parley refuses to listen on anything but loopback by itself. Arguments are those of `parley`.
set -eu

app=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)
secrets=${CREDENTIALS_DIRECTORY:-/run/secrets}
secret_max_bytes=65536
config_wrong=78

refuse() {
  echo "parley cannot start: $1" >&2
  exit "$config_wrong"
}

for file in "$secrets"/*; do
  name=${file##*/}
  case $name in
    [!A-Z]* | *[!A-Z0-9_]*) continue ;;
  esac
  [ -f "$file" ] || continue
  [ -r "$file" ] || refuse "user $(id -u) may not read the secret $file. Let it: chmod a+r, in a folder of mode 700"
  [ "$(wc -c <"$file")" -le "$secret_max_bytes" ] || refuse "the secret $file has more than $secret_max_bytes bytes"
  value=$(cat "$file")
  [ -n "$value" ] || refuse "the secret $file is empty. Write a value into it, or take it away"
  eval "given=\${$name:-}"
  [ -z "$given" ] || refuse "$name is in the environment and in $file. Keep one of them"
  export "$name=$value"
done
unset given value

PATH=$app/node_modules/.bin:$PATH
export PATH
# No shell stays between: signals reach Parley itself, and its exit code is the container's.
exec node "$app/src/main.ts" "$@"
