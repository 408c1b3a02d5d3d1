#!/usr/bin/env bash
# 100 steps straight equal 37 steps, kill -9, and the rest after it, to the last bit of weights, moments, averages, random state
# and data position. And a damaged newest checkpoint falls back to the one before.
i1=$1
. "$(dirname "$0")/common.sh"
make_cache "$i1" "$2"
options=(--data-root "$scratch/root" --threads 2 compute_dtype=float32 num_steps=100)
train() { "$i1" train tiny "${options[@]}" --output "$scratch/$1" "${@:2}"; }

train straight >/dev/null 2>&1
# not the function: its process would be a shell, and killing that leaves the program running
"$i1" train tiny "${options[@]}" --output "$scratch/killed" checkpoint_every=1 >/dev/null 2>&1 &
pid=$!
newest_step() {
  find "$scratch/killed/tiny" -name 'checkpoint-?????????' 2>/dev/null | sort | tail -n 1 | sed 's/.*-0*//' || true
}
for _ in $(seq 3000); do  # older ones are removed: the one of step 37 may not be seen
  step=$(newest_step)
  (( ${step:-0} >= 37 )) && break
  sleep 0.02
done
kill -9 $pid
wait $pid 2>/dev/null || true
ls -d "$scratch"/killed/tiny/checkpoint-* >/dev/null || fail "the killed run left no checkpoint"
newest=$(ls -d "$scratch"/killed/tiny/checkpoint-????????? | tail -n 1)
(( 10#${newest##*-} < 100 )) || fail "the run went past step 100 before it was killed"
train killed >/dev/null 2>&1
for part in weights ema mu nu; do
  cmp "$scratch"/{straight,killed}/tiny/checkpoint-000000100/$part.safetensors || fail "$part differs after resuming"
done
position() { python3 -c 'import json, sys; s = json.load(open(sys.argv[1])); print(s["step"], s["data"])' "$1"; }
straight=$(position "$scratch/straight/tiny/checkpoint-000000100/state.json")
killed=$(position "$scratch/killed/tiny/checkpoint-000000100/state.json")
[[ $straight == "$killed" ]] || fail "step or data position differs: $straight, $killed"

# One flipped byte in the newest checkpoint: the run says so and goes on from the one before.
cp -r "$scratch/straight" "$scratch/damaged"
victim=$scratch/damaged/tiny/checkpoint-000000100/ema.safetensors
size=$(stat -c %s "$victim")
printf '\xa5\x5a\xa5' | dd of="$victim" bs=1 seek=$((size / 2)) conv=notrunc status=none
train damaged >"$scratch/log" 2>&1
grep -q "passing over a damaged checkpoint: .*ema.safetensors: checksum" "$scratch/log" || fail "the damage went unnoticed"
for part in weights ema mu nu; do
  cmp "$scratch"/{straight,damaged}/tiny/checkpoint-000000100/$part.safetensors || fail "$part differs after the fallback"
done
echo "resume: ok"
