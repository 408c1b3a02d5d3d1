#!/usr/bin/env bash
# Pictures of i1-3B at 256, 512 and 1024 px from files of full size, made here from random weights (FOLDER takes 22 GB and
# is kept): seconds to sampling and a step, memory beside the mapped files and what was planned, and the useful rate beside
# those of large products, ours in the same precision and LibTorch's in bfloat16. Prints a Markdown table.
#
#   benchmarks/full_size.sh FOLDER [SIZE...]
set -euo pipefail
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit; }
mkdir -p "${1:?usage: benchmarks/full_size.sh FOLDER [SIZE...]}"
folder=$(cd "$1" && pwd)
shift
sizes=("$@")
(( ${#sizes[@]} )) || sizes=(256 512 1024)
cd "$(dirname "$0")/.."
programs=build/release/benchmarks
[[ -x $programs/picture && -x $programs/make_weights ]] || ninja -C build/release picture make_weights i1
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

make() {  # PATH PRESET OPTIONS...
  local path=$1
  shift
  [[ -e $path ]] || { echo "writing $path" >&2; "$programs/make_weights" "$1" "$path" "${@:2}"; }
}
convert() {  # SOURCE TARGET DTYPE
  [[ -e $2 ]] || build/release/i1 convert "$1" "$2" --dtype "$3"
}
picture() {  # DTYPE SIZE OPTIONS...
  "$programs/picture" --model "$folder/i1-3B-$1.safetensors" --text-encoder "$folder/t5gemma-2b-$1" \
    --vae "$folder/flux2-vae" --dtype "$1" --size "$2" "${@:3}"
}
make "$folder/i1-3B-bfloat16.safetensors" i1-3B --bfloat16
make "$folder/t5gemma-2b-bfloat16" t5gemma-2b --bfloat16
make "$folder/flux2-vae" flux2-vae
convert "$folder/i1-3B-bfloat16.safetensors" "$folder/i1-3B-int8.safetensors" int8
convert "$folder/t5gemma-2b-bfloat16" "$folder/t5gemma-2b-int8" int8

for dtype in bfloat16 int8; do
  for file in "$folder"/*"$dtype"*.safetensors "$folder"/*"$dtype"/*.safetensors; do
    dd of="$file" oflag=nocache conv=notrunc,fdatasync count=0 status=none  # out of the page cache, by whatever it came in
  done
  echo "$dtype, reading the files" >&2
  picture "$dtype" 256 --steps 2 >/dev/null  # and into it as a first run brings them
  for size in "${sizes[@]}"; do
    echo "$dtype, $size px" >&2
    picture "$dtype" "$size" | tee -a "$lines" >&2
  done
done

python3 - "$lines" <<'PY'
import json, sys

print("| i1-3B | to sampling, s | a step, s | decoding, s | own memory, MB | planned, MB | useful GFLOP a step | of our products' rate | of LibTorch's |")
print("|---|---|---|---|---|---|---|---|---|")
for line in open(sys.argv[1]):
    r = json.loads(line)
    print(f"| {r['size']} px, {r['dtype']} | {r['seconds_to_sampling']:.1f} | "
          f"{r['seconds_step']:.2f} ({r['seconds_step_min']:.2f} to {r['seconds_step_max']:.2f}) | {r['seconds_decode']:.1f} | "
          f"{r['own_mb']} | {r['planned_mb']} | {r['useful_gflop']:.0f} | {r['product_fraction']:.0%} | {r['library_fraction']:.0%} |")
PY
