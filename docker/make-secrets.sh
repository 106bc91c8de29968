#!/bin/sh
# Makes the secrets of compose.yaml in docker/secrets, those that are not there yet.
#
# The folder is its owner's alone. The files in it are readable, because in a container another user reads them.
set -eu

dir=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/secrets
mkdir -p "$dir"
chmod 700 "$dir"
cd "$dir"

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# Whole or not at all: a half-written secret would be kept for good.
keep() {
  [ ! -s "$1" ] || return 0
  printf '%s\n' "$2" >"$1.part"
  chmod 644 "$1.part"
  mv "$1.part" "$1"
  echo "made $dir/$1"
}

keep PARLEY_TOKEN "$(random)"
keep POSTGRES_PASSWORD "$(random)"
keep DATABASE_URL "postgres://parley:$(cat POSTGRES_PASSWORD)@postgres:5432/parley"
