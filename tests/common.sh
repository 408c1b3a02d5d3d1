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
