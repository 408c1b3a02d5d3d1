#!/usr/bin/env bash
# Buckets from pictures to pictures: building, caching, training and generation agree on the sizes, and a run resumes in them.
i1=$1
. "$(dirname "$0")/common.sh"

pictures=$scratch/pictures
mkdir -p "$pictures"
for size in 160x96 96x160 128x128; do
  for seed in 1 2; do
    "$i1" generate "a red apple" --steps 1 --size $size --seed $seed --output "$pictures/$size-$seed.png" >/dev/null 2>&1
    echo "an apple, $size" >"$pictures/$size-$seed.txt"
  done
done
"$i1" data build folder --pictures "$pictures" --size 64 --buckets --output "$scratch/records/apples" >/dev/null 2>&1
"$i1" data verify "$scratch/records/apples" >/dev/null || fail "the records are not whole"
grep -q '"-1"' "$scratch/records/apples/features.json" || fail "features.json promises one size"
"$i1" data tokenizer --data-root "$scratch/records" --sets apples --vocab-size 512 --output "$scratch/tokenizer" >/dev/null 2>&1
cache() { "$i1" data cache --data-root "$scratch/records" --sets apples --tokenizer "$scratch/tokenizer" --size 64 --tokens 8 --output "$@"; }
said=$(cache "$scratch" --buckets 2>/dev/null)
for size in "48 x   80        2" "64 x   64        2" "80 x   48        2" "buckets.unit=16"; do
  [[ $said == *"$size"* ]] || fail "the cache says no \"$size\": $said"
done

options=(--data-root "$scratch" 'data_sets=["apples"]' model.resolution=64 model.latent_size=8 buckets.unit=16 compute_dtype=float32)
train() { "$i1" train tiny "${options[@]}" --output "$scratch/$1" "${@:2}" >"$scratch/log" 2>&1; }
train straight num_steps=12
train resumed num_steps=12 checkpoint_every=1 &
for _ in $(seq 600); do [[ -e $scratch/resumed/tiny/checkpoint-000000003 ]] && break; sleep 0.02; done
kill -9 $! $(pgrep -P $!) 2>/dev/null || true
wait 2>/dev/null || true
train resumed num_steps=12
cmp "$scratch"/{straight,resumed}/tiny/checkpoint-000000012/weights.safetensors || fail "resuming changed the weights"
if train squares buckets.unit=0 num_steps=1; then fail "a recipe of squares took a cache of buckets"; fi
grep -q "buckets.unit=16 trains on these" "$scratch/log" || fail "not told what to do: $(tail -n 1 "$scratch/log")"

train straight --stage tiny --export "$scratch/model" num_steps=12
for pair in 3:2=80x48 2:3=48x80 1:1=64x64 16:9=80x48; do
  "$i1" generate apple --model "$scratch/model" --steps 2 --aspect "${pair%=*}" --output "$scratch/out.png" >/dev/null 2>&1
  python3 - "$scratch/out.png" "${pair#*=}" <<'PY' || fail "--aspect ${pair%=*} gave another size than ${pair#*=}"
import struct, sys
size = struct.unpack(">II", open(sys.argv[1], "rb").read(24)[16:])
sys.exit("%dx%d" % size != sys.argv[2])
PY
done
echo "buckets: ok"
