#!/usr/bin/env bash
# The bundled model from nothing: packages, data sets, caches, all stages, scores. Each part is skipped where its result is
# there already, and training resumes, so the same command goes on after an interrupt.
#
#   tools/train_nano.sh WORK [OPTIONS OF i1 train, such as --device cuda or num_steps=20000]
set -euo pipefail
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit; }
cd "$(dirname "$0")/.."
work=${1:?usage: tools/train_nano.sh WORK [OPTIONS]}
shift
sets=emoji,emoji_tones,clipart,stamps,shapes,scenes,text

[[ -d $work/sources ]] || tools/fetch_nano_data.sh "$work/sources"
[[ -d $work/records ]] || ./run data build nano --sources "$work/sources" --output "$work/records"
[[ -d $work/tokenizer ]] ||
  ./run data tokenizer --data-root "$work/records" --sets "${sets/emoji_tones,/}" --output "$work/tokenizer"

cache() {
  ./run data cache --data-root "$work/records" --sets "$sets" --tokenizer "$work/tokenizer" --size "$1" \
    --output "$work/cache$1" "${@:2}"
}
train() { ./run train nano --data-root "$work" --output "$work/runs" --stage "$@"; }

cache 32
train nano_32 "$@"
cache 64
train nano_64 "$@"
train nano_64 --export "$work/nano_64"
cache 128 --text-encoder "$work/nano_64/text_encoder" --max-examples 10000  # more than the stage draws
train nano_128 "$@"
train nano_128 --export "$work/nano"
./run evaluate nano --data-root "$work/records" --model "$work/nano" --output "$work/report"
