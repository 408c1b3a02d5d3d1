#!/usr/bin/env bash
# No room left while a command writes: exit status 1, one line that names the file, nothing half-written, and the same command
# works once there is room. A limit on the size of files fails as a full disk does; where a file system may be mounted (root, or
# a user's own name space), a small one is filled too.
i1=$1
. "$(dirname "$0")/common.sh"

# full WORDS COMMAND...: fails with status 1 and one line of the program that holds the words
full() {
  local words=$1 status=0
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  [[ $status == 1 ]] || fail "$*: exit status $status, expected 1: $(cat "$scratch/err")"
  [[ $(grep -c '^i1: ' "$scratch/err") == 1 ]] || fail "$*: expected one line, found: $(cat "$scratch/err")"
  grep '^i1: ' "$scratch/err" | grep -qF -- "$words" || fail "$*: \"$(cat "$scratch/err")\" does not say \"$words\""
}
limited() { (ulimit -f "$1"; shift; exec "$i1" "$@"); }  # in KiB
is_gone() { [[ -z $(find "$1" -mindepth 1 -type f 2>/dev/null) ]] || fail "left behind: $(find "$1" -mindepth 1 -type f | head -n 3)"; }

make_cache "$i1" "$2" >/dev/null
commands() {  # of every command that writes: a name, the folder it writes to, the command
  local to=$1
  cache=(data cache --data-root "$scratch/records" --sets tiny --size 32 --tokens 8 --dtype float32 --vae weights/taef2
    --tokenizer "$scratch/root/tokenizer" --output "$to/cache")
  tokenizer=(data tokenizer --data-root "$scratch/records" --sets tiny --vocab-size 512 --output "$to/tokenizer")
  build=(data build folder --pictures docs --captions "$scratch/captions.json" --columns c --size 256 --num-shards 1 --output "$to/set")
  train=(train tiny --data-root "$scratch/root" --output "$to/run" num_steps=5)
  generate=(generate "a cat" --model "$scratch/weights/tiny" --steps 1 --size 128x128 --output "$to/out.png")
}
echo '[{"key": "nano", "c": "drawings"}]' >"$scratch/captions.json"
mkdir -p "$scratch/weights/taef2" "$scratch/disk"
cp weights/taef2/taef2.safetensors "$scratch/weights/taef2/"
commands "$scratch/disk"

full 'tokenizer.json: cannot write: File too large' limited 4 "${tokenizer[@]}"
full 'latents-00000.safetensors: cannot write: File too large' limited 4 "${cache[@]}"
full 'dataset-train.tfrecord-00000-of-00001: cannot write: File too large' limited 4 "${build[@]}"
full '.safetensors: cannot write: File too large' limited 4 "${train[@]}"
[[ -z $(ls "$scratch/disk/run/tiny" | grep -v metrics.csv) ]] || fail "train left $(ls "$scratch/disk/run/tiny")"
"$i1" "${train[@]}" >/dev/null 2>&1 || fail "train does not start anew after a full disk"
full '.safetensors: cannot write: File too large' limited 4 "${train[@]}" --export "$scratch/weights/tiny"
[[ $(ls "$scratch/weights") == taef2 ]] || fail "--export left $(ls "$scratch/weights")"
"$i1" "${train[@]}" --export "$scratch/weights/tiny" >/dev/null
full 'out.png: cannot write: File too large' limited 1 "${generate[@]}"
rm -r "$scratch/disk/run"
is_gone "$scratch/disk"
for command in tokenizer cache build generate; do
  declare -n arguments=$command
  "$i1" "${arguments[@]}" >/dev/null 2>&1 || fail "i1 $command does not work once there is room"
done
if [[ -c /dev/full ]]; then
  full 'standard output cannot be written' bash -c '"$0" inspect weights/taef2/taef2.safetensors >/dev/full' "$i1"
fi

# A file system of 8 KiB. The name space ends with the command, and the mount with it.
small="$scratch/small"
mkdir "$small"
on_small() { unshare -rm bash -c 'mount -t tmpfs -o size=8k none "$0" && "$@"; status=$?; find "$0" -type f >&2; exit $status' "$small" "$i1" "$@"; }
if unshare -rm mount -t tmpfs -o size=8k none "$small" 2>/dev/null; then
  commands "$small"
  for command in tokenizer cache build train generate; do
    declare -n arguments=$command
    full 'No space left on device' on_small "${arguments[@]}"
    left=$(grep "^$small" "$scratch/err" | grep -v '/metrics.csv$' || true)
    [[ -z $left ]] || fail "$command on a full file system left $left"
  done
  echo "disk full: ok"
else
  echo "disk full: ok (nothing may be mounted here: the limit on file sizes only)"
fi
