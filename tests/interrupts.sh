#!/usr/bin/env bash
# Ctrl-C, SIGTERM and SIGHUP while each command works: exit status 130, one line, and nothing half-written is left.
i1=$1
. "$(dirname "$0")/common.sh"
set -m  # without job control a shell makes its background jobs ignore SIGINT

# interrupt SIGNAL SECONDS CONDITION COMMAND...: starts the command, waits until the condition holds, sends the signal
interrupt() {
  local signal=$1 seconds=$2 condition=$3 status=0 is_due pid
  shift 3
  "$i1" "$@" >"$scratch/out" 2>"$scratch/err" &
  pid=$!
  for _ in $(seq 400); do
    is_due=false
    eval "$condition" && is_due=true && break
    kill -0 $pid 2>/dev/null || fail "i1 $1 $2 ended before it could be interrupted: $(cat "$scratch/err")"
    sleep 0.05
  done
  [[ $is_due == true ]] || fail "i1 $1 $2: nothing to interrupt after 20 s"
  kill -s "$signal" $pid
  for _ in $(seq $((seconds * 20))); do
    kill -0 $pid 2>/dev/null || break
    sleep 0.05
  done
  if kill -0 $pid 2>/dev/null; then
    kill -9 $pid
    fail "i1 $1 $2: still running $seconds s after SIG$signal"
  fi
  wait $pid || status=$?
  [[ $status == 130 ]] || fail "i1 $1 $2: exit status $status after SIG$signal, expected 130: $(cat "$scratch/err")"
  [[ $(grep -c '^i1: interrupted' "$scratch/err") == 1 ]] || fail "i1 $1 $2: no line tells of the interrupt: $(cat "$scratch/err")"
}
is_empty() { [[ -z $(find "$1" -mindepth 1 2>/dev/null) ]] || fail "left behind: $(find "$1" -mindepth 1 | head -n 3)"; }
no_partial() { [[ -z $(find "$1" -name '*.partial' -o -name '*.??????' ! -name '*.png' -type f | grep -E '\.partial$|\.[A-Za-z0-9]{6}$') ]] || fail "a partial file is left in $1: $(find "$1")"; }

# generate: the line with the settings is printed when sampling begins
mkdir "$scratch/pictures"
for signal in INT TERM HUP; do
  : >"$scratch/err"
  interrupt $signal 20 'grep -q "10000 steps" "$scratch/err"' generate "a cat" --steps 10000 --size 32x32 --output "$scratch/pictures/a.png"
  is_empty "$scratch/pictures"
done

make_cache "$i1" "$2" >/dev/null
# train: the step in hand is finished and saved, and the same command goes on from there
train=(train tiny --data-root "$scratch/root" --output "$scratch/run" num_steps=100000 log_every=1 checkpoint_every=50000 keep_every=50000)
interrupt INT 20 '[[ $(cat "$scratch/run/tiny/metrics.csv" 2>/dev/null | wc -l) -gt 3 ]]' "${train[@]}"
step=$(sed -n 's/^i1: interrupted, and saved at step \([0-9]*\) of .*/\1/p' "$scratch/err")
[[ -n $step && -f $scratch/run/tiny/checkpoint-$(printf %09d "$step")/state.json ]] || fail "train: no checkpoint of step \"$step\""
no_partial "$scratch/run"
interrupt TERM 20 '[[ $(wc -l <"$scratch/run/tiny/metrics.csv") -gt '$((step + 3))' ]]' "${train[@]}"
grep -q "resuming at step $step" "$scratch/err" || fail "train: did not go on from step $step: $(cat "$scratch/err")"
no_partial "$scratch/run"

# data cache: shards are records one after the other, so that one many times is a longer one
mkdir -p "$scratch/records/long" "$scratch/caches"
shard=dataset-train.tfrecord-00000-of-00001
for _ in $(seq 400); do cat "$scratch/records/tiny/$shard"; done >"$scratch/records/long/$shard"
interrupt INT 20 '[[ -d $scratch/caches/long.partial ]]' data cache --data-root "$scratch/records" --sets long --size 64 --tokens 8 \
  --vae weights/taef2 --tokenizer "$scratch/root/tokenizer" --output "$scratch/caches"
is_empty "$scratch/caches"

# data build folder: shards that are done stay, whole; none is half there
mkdir "$scratch/raw"
for n in $(seq 2000); do ln -s "$PWD/docs/nano.png" "$scratch/raw/$n.png"; done
(echo '[{"key": "0", "c": "a"}'; for n in $(seq 2000); do echo ",{\"key\": \"$n\", \"c\": \"a\"}"; done; echo ']') >"$scratch/captions.json"
interrupt TERM 20 '[[ -f $scratch/set/dataset-train.tfrecord-00000-of-00100 ]]' data build folder --pictures "$scratch/raw" \
  --captions "$scratch/captions.json" --columns c --size 256 --num-shards 100 --output "$scratch/set"
[[ -z $(ls "$scratch/set" | grep -vE '^dataset-train\.tfrecord-[0-9]{5}-of-00100(\.json)?$') ]] || fail "data build folder left $(ls "$scratch/set")"

# data verify: between two sets of many
verify=(data verify)
for _ in $(seq 100); do verify+=("$scratch/records/long"); done
interrupt INT 20 'grep -q "9600 records" "$scratch/out"' "${verify[@]}"
echo "interrupts: ok"
