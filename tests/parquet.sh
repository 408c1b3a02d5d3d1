#!/usr/bin/env bash
# `i1 data build parquet` on files that pyarrow wrote (make_parquet.py) in the layouts of public sets: each gives the very shards
# that `build folder` gives for the same pictures and captions. Over HTTP, too; and what is damaged or asked for wrongly is
# refused in one line. The third argument is the folder that holds the Python package pyarrow.
i1=$1 pyarrow=$3
. "$(dirname "$0")/common.sh"
unset http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY

inputs=goldens/data/images/inputs
mkdir -p "$scratch/pictures"
number=0
for name in jpeg_444.jpg shape_64x64.png webp_lossy_odd.webp png_gray16.png jpeg_420_odd.jpg tiff_raw_rgba.tiff bmp_24_odd.bmp; do
  cp "$inputs/$name" "$scratch/pictures/$number.${name##*.}"
  number=$((number + 1))
done
PYTHONPATH=$pyarrow python3 "$(dirname "$0")/make_parquet.py" "$scratch/pictures" "$scratch" ||
  fail "python3 and the pyarrow in $pyarrow do not fit together (another Python fetched it?)"
{
  echo 'key,caption1,caption2'
  for i in $(seq 0 6); do echo "$i,first of $i,second of $i"; done
} >"$scratch/captions.csv"

out=$scratch/out err=$scratch/err
build() {  # build KIND SET [ARGUMENT ...]
  local kind=$1 set=$2
  shift 2
  "$i1" data build "$kind" --size 32 --num-shards 2 --output "$scratch/sets/$set" "$@" >"$out" 2>"$err" ||
    fail "$kind $*: $(cat "$err" "$out")"
}
same() {  # same SET AS
  for shard in 0 1; do
    cmp "$scratch/sets/$1/dataset-train.tfrecord-0000$shard-of-00002" "$scratch/sets/$2/dataset-train.tfrecord-0000$shard-of-00002" ||
      fail "$1 is not as $2"
  done
}
refuse() {  # refuse WORDS ARGUMENT ...: exit status 1 or 2, one line with the words, nothing left behind
  local words=$1 status=0
  shift
  rm -rf "$scratch/sets/refused"
  "$i1" data build parquet --size 32 --output "$scratch/sets/refused" "$@" >"$out" 2>"$err" || status=$?
  [[ $status == 1 || $status == 2 ]] || fail "$*: exit status $status: $(cat "$err" "$out")"
  [[ $(grep -c '^i1: ' "$err") == 1 && $(grep '^i1: ' "$err") == *"$words"* ]] || fail "$*: \"$(cat "$err")\" does not say \"$words\""
  [[ -z $(find "$scratch/sets/refused" -name '*.??????' -o -name '*partial*' 2>/dev/null) ]] || fail "$*: left $(ls "$scratch/sets/refused")"
}

build folder two --pictures "$scratch/pictures" --captions "$scratch/captions.csv"
build folder one --pictures "$scratch/pictures" --captions "$scratch/captions.csv" --columns caption1

# Every layout.
build parquet columns --pictures "$scratch/columns.parquet"
grep -qF 'captions from: caption1, caption2' "$err" || fail "columns that are not told: $(cat "$err")"
same columns two
build parquet split --pictures "$scratch/split"
same split two
build parquet several --pictures "$scratch"/split/train-0000{0,1}-of-00002.parquet --threads 1
same several two
build parquet list --pictures "$scratch/list.parquet"
same list two
build parquet dictionary --pictures "$scratch/dictionary.parquet" --columns text,second
same dictionary two
build parquet nested --pictures "$scratch/nested.parquet" --picture sample.picture --key sample.name --columns conversations.caption
same nested two
build parquet bytes --pictures "$scratch/nested.parquet" --picture sample.picture.bytes --key sample.name --columns dotted.name
same bytes one
build parquet paths --pictures "$scratch/paths.parquet"
same paths one
build parquet table --pictures "$scratch/columns.parquet" --captions "$scratch/captions.csv" --columns caption1
same table one
build parquet captions --pictures "$scratch/list.parquet" --captions "$scratch/captions"
same captions two
build folder captions_of_folder --pictures "$scratch/pictures" --captions "$scratch/captions/a.parquet"
grep -qF ': 3 pictures in 2 shards' "$out" || fail "captions of a folder: $(cat "$out")"

# A sample is the same for every layout, and so are parts of a run.
build folder sample --pictures "$scratch/pictures" --captions "$scratch/captions.csv" --count 4
build parquet sample_of_rows --pictures "$scratch/split" --count 4
"$i1" data verify "$scratch/sets/sample_of_rows" >"$out" || fail "sample: $(cat "$out")"
build parquet part --pictures "$scratch/split" --shard 1/2
build parquet part --pictures "$scratch/split" --shard 0/2
"$i1" data merge "$scratch/sets/part" >"$out"
same part two
printf '{"image_name": "%s", "short_edge": 300}\n' 1 4 6 >"$scratch/shapes.jsonl"
build parquet shapes --pictures "$scratch/split" --min-edge 32 --shape-metadata "$scratch/shapes.jsonl"
grep -qE 'left out +4 +not in the shape metadata' "$out" || fail "shape metadata: $(cat "$out")"

# Nulls are left out and counted, and rows without a key get one.
build parquet nulls --pictures "$scratch/nulls.parquet"
grep -qF ': 4 pictures in 2 shards' "$out" && grep -qE 'left out +1 +without a caption, the first: 2$' "$out" &&
  grep -qE 'left out +2 +not decoded, the first: 0: the row has no picture' "$out" || fail "nulls: $(cat "$out")"
build parquet no_key --pictures "$scratch/no_key.parquet"
grep -qF 'no_key_3' "$scratch"/sets/no_key/dataset-train.tfrecord-* || fail "no key made of file and row"

# Over HTTP, by parts of the file, through failures and redirects, and pictures that are addresses.
start_server "$scratch/ports" http_server.py "$scratch" "$scratch/log" "$scratch/ports"
read -r port _ <"$scratch/ports"
at=http://127.0.0.1:$port
for behaviour in plain failing elsewhere cut; do
  build parquet "http_$behaviour" --pictures "$at/$behaviour/columns.parquet"
  same "http_$behaviour" two
done
[[ $(grep -c ' /plain/columns.parquet bytes=0-0 ' "$scratch/log") -ge 1 ]] || fail "not asked for by parts: $(cat "$scratch/log")"
build parquet http_paths --pictures "$at/plain/paths.parquet"
same http_paths one
build folder http_captions --pictures "$scratch/pictures" --captions "$at/plain/captions/a.parquet"
grep -qF ': 3 pictures in 2 shards' "$out" || fail "captions over HTTP: $(cat "$out")"
refuse "status 404" --pictures "$at/plain/nothing.parquet"
refuse "the server gives whole files only" --pictures "$at/without_range/columns.parquet"

# What was asked for wrongly, and what is damaged.
refuse 'no column "caption_1"; nearest: "caption1"' --pictures "$scratch/columns.parquet" --columns caption_1
refuse 'no column "imge"; nearest: "image"' --pictures "$scratch/columns.parquet" --picture imge
refuse 'column "id" is list<element: string>; expected text or numbers' --pictures "$scratch/types.parquet"
refuse 'column "image" is double; expected pictures' --pictures "$scratch/types.parquet" --key text
refuse 'name that of the pictures with --picture; there are: sample' --pictures "$scratch/nested.parquet"
refuse 'no row in any file' --pictures "$scratch/split/empty.parquet"
refuse 'no column "image_id"' --pictures "$scratch/columns.parquet" "$scratch/list.parquet"
refuse 'no .parquet file in this folder' --pictures "$scratch/pictures"
refuse 'no such file or folder' --pictures "$scratch/nothing"
refuse 'name that of the table' --pictures "$scratch/no_key.parquet" --captions "$scratch/captions.csv"
refuse 'crc.parquet: ' --pictures "$scratch/damaged/crc.parquet"
for kind in cut magic footer empty; do refuse "$kind.parquet: " --pictures "$scratch/damaged/$kind.parquet"; done
