# Shared by the tests that run the program: a scratch folder and the tiny data set with its cache.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

# make_cache PROGRAM MAKE_TINY_DATA: $scratch/root holds tokenizer/ and the cache tiny/
make_cache() {
  "$2" "$scratch/records/tiny"
  "$1" data tokenizer --data-root "$scratch/records" --sets tiny --vocab-size 512 --output "$scratch/root/tokenizer"
  "$1" data cache --data-root "$scratch/records" --sets tiny --size 32 --tokens 8 --dtype float32 \
    --vae weights/taef2 --tokenizer "$scratch/root/tokenizer" --output "$scratch/root"
}

# start_server READY SCRIPT ARGUMENT ...: a Python server of this folder in the background; READY is the file it writes when it listens
start_server() {
  local ready=$1
  shift
  python3 "$(dirname "$0")/$1" "${@:2}" &
  server=$!
  disown $server
  trap 'kill $server; rm -rf "$scratch"' EXIT
  for _ in $(seq 200); do [[ -e $ready ]] && break; sleep 0.05; done
}
