#!/usr/bin/env bash
# `i1 convert` from form to form: lossless ones give back every byte, others stay as near as their bits allow, a picture still
# comes out; and mistakes, a full disk and an interrupt leave nothing behind.
i1=$1
. "$(dirname "$0")/common.sh"

convert() { "$i1" convert "$@" >"$scratch/out" 2>"$scratch/err" || fail "i1 convert $*: $(cat "$scratch/err")"; }
# relative_error NAME: the last column of a line of --check
relative_error() { grep "^$1" "$scratch/out" | awk '{print $NF}'; }
below() { awk -v a="$1" -v b="$2" 'BEGIN {exit !(a < b)}' || fail "error $1, expected below $2: $(cat "$scratch/out")"; }

# Lossless: a training checkpoint, and the bundled model, through every form and back.
pt=goldens/dit/checkpoint_tiny.pt
for source in $pt weights/nano ../shared/goldens/backbones/npz/checkpoint.npz-*; do
  [[ -e $source ]] || continue  # the full goldens are not everywhere
  convert $source "$scratch/first.safetensors" --dtype float32 --check
  [[ $(relative_error velocity) == 0 ]] || fail "$source: $(cat "$scratch/out")"
  convert "$scratch/first.safetensors" "$scratch/second.gguf"
  convert "$scratch/second.gguf" "$scratch/third" --max-shard-size 100KB
  convert "$scratch/third" "$scratch/fourth.safetensors"
  cmp "$scratch/first.safetensors" "$scratch/fourth.safetensors" || fail "$source: not the same bytes after three forms"
done
convert $pt "$scratch/raw.safetensors" --side raw
convert $pt "$scratch/ema.safetensors"
! cmp -s "$scratch/raw.safetensors" "$scratch/ema.safetensors" || fail "both sides of a checkpoint are the same"

# Fewer bits.
convert weights/nano "$scratch/nano.gguf" --dtype q4_0 --check
below "$(relative_error all)" 0.11
convert weights/nano "$scratch/nano.gguf" --dtype q8_0 --check  # in place of weights: allowed
below "$(relative_error all)" 0.01
below "$(relative_error velocity)" 0.05
"$i1" inspect "$scratch/nano.gguf" --hash >"$scratch/out"
for words in 'general.architecture: i1' 'Q8_0 .*[288, 768]' '^  Q8_0: ' 'hidden_size  *288' "sha256 $(sha256sum <"$scratch/nano.gguf" | cut -d' ' -f1)"; do
  grep -q -- "$words" "$scratch/out" || fail "inspect does not print $words: $(tail -n 30 "$scratch/out")"
done

# A picture from it: the weights back in the form of a bundle, beside nano's own text encoder.
mkdir -p "$scratch/weights"
ln -s "$PWD/weights/taef2" "$scratch/weights/taef2"
convert "$scratch/nano.gguf" "$scratch/weights/small" --dtype int8 --max-shard-size 15MB
for part in bundle.json text_encoder tokenizer; do ln -s "$PWD/weights/nano/$part" "$scratch/weights/small/"; done
"$i1" generate "a red apple" --model "$scratch/weights/small" --steps 2 --size 32x32 --output "$scratch/apple.png" 2>/dev/null >&2 ||
  fail "no picture from converted weights"

# A text encoder: the same bytes in float32 again, int8 as a bundle has it, and what is beside it.
cp -r weights/nano/text_encoder "$scratch/source_text"
cp weights/nano/tokenizer/tokenizer.json "$scratch/source_text/"
convert "$scratch/source_text" "$scratch/text32" --dtype float32 --max-shard-size 5MB
grep -q 'T5Gemma text encoder' "$scratch/out" || fail "does not say what it is: $(cat "$scratch/out")"
cmp weights/nano/tokenizer/tokenizer.json "$scratch/text32/tokenizer.json" || fail "the tokenizer is not copied along"
convert "$scratch/text32" "$scratch/text8" --dtype int8
convert "$scratch/text8" "$scratch/text32_again" --dtype float32
convert "$scratch/text8" "$scratch/text16" --dtype bfloat16
convert "$scratch/text8" "$scratch/text16" --dtype bfloat16  # in place of an encoder: allowed
"$i1" inspect "$scratch/text8/model.safetensors" >"$scratch/out"
grep -q 'row_scale' "$scratch/out" || fail "int8 without its factors"
mkdir "$scratch/pictures"
for text in text8 text16 text32 text32_again; do
  rm -f "$scratch/weights/small/text_encoder"
  ln -s "$scratch/$text" "$scratch/weights/small/text_encoder"
  "$i1" generate "a red apple" --model "$scratch/weights/small" --steps 2 --size 32x32 --dtype float32 --output "$scratch/pictures/$text.png" \
    2>"$scratch/err" >&2 || fail "no picture with $text: $(cat "$scratch/err")"
done
cmp "$scratch/pictures/text8.png" "$scratch/pictures/text32_again.png" || fail "int8 text encoder: another picture than its float32 products"

# Mistakes: exit status 2, one line, nothing written.
expect() {  # expect WORDS ARGUMENTS...
  local words=$1 status=0
  shift
  "$i1" convert "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  [[ $status == 2 ]] || fail "i1 convert $*: exit status $status, expected 2: $(cat "$scratch/err")"
  grep -qF -- "$words" "$scratch/err" || fail "i1 convert $*: \"$(cat "$scratch/err")\" does not say \"$words\""
  [[ $(wc -l <"$scratch/err") == 1 ]] || fail "i1 convert $*: more than one line: $(cat "$scratch/err")"
}
mkdir "$scratch/to"
to=$scratch/to/out.safetensors
expect 'cannot be opened' "$scratch/nothing.pt" "$to"
head -c 100000 $pt >"$scratch/cut.pt"
expect 'cut.pt: ' "$scratch/cut.pt" "$to"
head -c 100000 "$scratch/nano.gguf" >"$scratch/cut.gguf"
expect 'leave the file' "$scratch/cut.gguf" "$to"
expect 'no EMA weights of an i1 backbone' weights/taef2 "$to"
expect 'no raw weights of an i1 backbone' goldens/dit/checkpoint_tiny_lean.pt "$to" --side raw
expect '--side both: expected ema or raw' $pt "$to" --side both
expect 'nearest: int8' $pt "$to" --dtype int9
expect 'stored in GGUF only' $pt "$to" --dtype q8_0
expect 'stored in safetensors only' $pt "$scratch/to/out.gguf" --dtype int8
expect 'expected a size such as 5GB' $pt "$scratch/to/folder" --max-shard-size 5XB
expect 'splits a folder of safetensors' $pt "$to" --max-shard-size 5GB
expect 'is the source' "$scratch/nano.gguf" "$scratch/to/../nano.gguf"
expect 'lies in the source' weights/nano weights/nano/new.safetensors
expect 'is the source' "$scratch/third/model.safetensors.index.json" "$scratch/third"
expect 'lies in the source' "$scratch/third/model.safetensors.index.json" "$scratch/third/model-00001-of-00002.safetensors"
mkdir "$scratch/outer" && cp -r "$scratch/third" "$scratch/outer/inner"
expect 'holds the source' "$scratch/outer/inner" "$scratch/outer"
expect 'holds no backbone, so it is not replaced' $pt "$scratch/cut.gguf"
expect 'which is not of such weights, so it is not replaced' $pt "$scratch/weights"
expect 'Not a directory' $pt "$scratch/nano.gguf/out.safetensors"
expect 'No such file or directory' $pt "$scratch/no/such/out.safetensors"
expect 'written in float32, bfloat16 or int8' "$scratch/text8" "$scratch/to/text" --dtype q8_0
expect 'is written as a folder of safetensors' "$scratch/text8" "$scratch/to/text" --format gguf
expect 'name a folder' "$scratch/text8" "$scratch/to/text.gguf"
expect 'name a folder' "$scratch/text8" "$scratch/to/text.safetensors"
expect 'are for backbones' "$scratch/text8" "$scratch/to/text" --check
expect 'is the source' "$scratch/text8" "$scratch/text8"
expect 'holds no T5Gemma, so it is not replaced' "$scratch/text8" "$scratch/third"
expect 'which is not of a text encoder' "$scratch/text8" "$scratch/weights"
cp -r "$scratch/text8" "$scratch/cut_text" && head -c 100000 "$scratch/text8/model.safetensors" >"$scratch/cut_text/model.safetensors"
expect 'cut_text' "$scratch/cut_text" "$scratch/to/text"
[[ -z $(ls "$scratch/to") ]] || fail "left behind: $(ls "$scratch/to")"
[[ ! -e weights/nano/new.safetensors ]] || fail "written into the source"

# A full disk, as a limit on the size of files.
for target in out.safetensors out.gguf out; do
  status=0
  (ulimit -f 4096; exec "$i1" convert weights/nano "$scratch/to/$target" --dtype float32) >"$scratch/out" 2>"$scratch/err" || status=$?
  [[ $status == 1 ]] && grep -q 'cannot write: File too large' "$scratch/err" || fail "full disk, $target: status $status, $(cat "$scratch/err")"
  [[ -z $(ls "$scratch/to") ]] || fail "full disk left $(ls "$scratch/to")"
done

# Ctrl-C while it writes; a conversion may be through before the signal comes, so several times.
set -m
is_interrupted=false
for _ in $(seq 20); do
  status=0
  "$i1" convert weights/nano "$scratch/to/out" --dtype float32 >"$scratch/out" 2>"$scratch/err" &
  pid=$!
  until [[ -e $scratch/to/out.partial ]] || ! kill -0 $pid 2>/dev/null; do sleep 0.01; done
  kill -s INT $pid 2>/dev/null || true
  wait $pid || status=$?
  if [[ $status == 130 ]]; then
    is_interrupted=true
    break
  fi
  [[ $status == 0 ]] || fail "interrupted: exit status $status: $(cat "$scratch/err")"
  rm -rf "$scratch/to/out"
done
[[ $is_interrupted == true ]] || fail "20 conversions ended before they could be interrupted"
[[ -z $(ls "$scratch/to") ]] || fail "an interrupt left $(ls "$scratch/to")"
echo "convert: ok"
