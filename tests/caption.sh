#!/usr/bin/env bash
# `i1 data caption` against an endpoint of its own (vision_server.py): what it asks and how often, every way an endpoint
# goes wrong, kills, parts in several processes, and a data set built from the captions.
i1=$1
. "$(dirname "$0")/common.sh"
unset OPENAI_API_KEY http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY HTTP_PROXY
prompt='What is in this "picture"?'
mkdir "$scratch/server"
touch "$scratch/server/log"
start_server "$scratch/server/port" vision_server.py "$scratch/server" 64 eyes "$prompt"
port=$(<"$scratch/server/port")
log=$scratch/server/log

# picture FILE NUMBER [WIDTH HEIGHT]: a BMP of a colour of its own
cat >"$scratch/picture.py" <<'PYTHON'
import struct, sys
for line in sys.stdin:
    path, number, width, height = line.split()
    number, width, height = int(number), int(width), int(height)
    row = bytes((number * 37 % 256, number * 91 % 256, number * 11 % 256)) * width
    row += b"\0" * (-len(row) % 4)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    with open(path, "wb") as out:
        out.write(b"BM" + struct.pack("<IHHI", 54 + len(row) * height, 0, 0, 54) + head + row * height)
PYTHON
pictures=$scratch/pictures faulty=$scratch/faulty
mkdir -p "$pictures/deep" "$faulty"
{
  for i in $(seq 10 49); do echo "$pictures/p$i.bmp $i 80 60"; done
  for i in 50 51; do echo "$pictures/deep/small$i.bmp $i 16 12"; done
  for i in $(seq 21 32); do echo "$faulty/f$i.bmp $i 40 $i"; done
} | python3 "$scratch/picture.py"
cp "$pictures/p10.bmp" "$pictures/twin.bmp"
echo "no picture" >"$faulty/broken.jpg"
rm "$faulty/f25.bmp"  # the silent one has a run of its own
printf '%s\n' "$prompt" >"$scratch/prompt"
truncate -s -1 "$scratch/prompt"

# run BEHAVIOUR OUTPUT [FLAGS]: the pictures of $from, by $model
run() {
  local behaviour=$1 output=$2
  shift 2
  "$i1" data caption --pictures "${from:-$pictures}" --output "$output" --endpoint "http://127.0.0.1:$port/$behaviour/v1" --model "${model:-eyes}" \
    --prompt "$prompt" --size 64 "$@" >"$scratch/out" 2>"$scratch/err"
}
says() { grep -qF -- "$1" "$scratch/err" "$scratch/out" || fail "no word of \"$1\": $(cat "$scratch/err" "$scratch/out")"; }
good() { run "$@" || fail "caption $*: exit status $?: $(cat "$scratch/err")"; }
bad() {  # bad STATUS WORDS BEHAVIOUR OUTPUT [FLAGS]: one line of the program says why
  local expected=$1 words=$2 status=0
  shift 2
  run "$@" || status=$?
  [[ $status == "$expected" ]] || fail "caption $*: exit status $status, expected $expected: $(cat "$scratch/err" "$scratch/out")"
  [[ $(grep -c '^i1: ' "$scratch/err") == 1 ]] || fail "caption $*: not one line: $(cat "$scratch/err")"
  grep '^i1: ' "$scratch/err" | grep -qF -- "$words" || fail "caption $*: \"$(cat "$scratch/err")\" does not say \"$words\""
}
requests() { grep -vc ' 40x25 ' "$log"; }
json() { python3 -c "import json, sys; data = json.load(open(sys.argv[1])); print(($2))" "$1"; }

# An endpoint that is silent at first: libcurl takes some seconds to call it so, all else happens meanwhile.
mkdir "$scratch/silent"
echo "$scratch/silent/f25.bmp 25 40 25" | python3 "$scratch/picture.py"
"$i1" data caption --pictures "$scratch/silent" --output "$scratch/e" --endpoint "http://127.0.0.1:$port/plain/v1" --model eyes \
  --prompt "$prompt" --size 64 --timeout 1 --retries 20 >/dev/null 2>"$scratch/silent.err" &
silent=$!

# Whole: a file of {key: caption} in the order of the list, one question for two files of the same picture.
good plain "$scratch/a"
says "43 of 43 pictures captioned: 42 asked, 1 from the cache, 0 before"
[[ $(ls "$scratch/a" | tr '\n' ' ') == "cache.jsonl captions-0-of-1-00000.json " ]] || fail "in the folder: $(ls "$scratch/a")"
[[ $(json "$scratch/a/captions-0-of-1-00000.json" 'list(data)[:3], len(data), data["p10"] == data["twin"]') == \
  "(['small50', 'small51', 'p10'], 43, True)" ]] || fail "not the captions of the list: $(cat "$scratch/a/captions-0-of-1-00000.json")"
[[ $(grep -c ' 64x48 ' "$log") == 40 && $(grep -c ' 16x12 ' "$log") == 2 ]] || fail "sizes that were sent: $(cat "$log")"

# A second time, with the prompt from a file: nothing is asked. A changed list: only what is new. Another prompt: another question.
before=$(requests)
good plain "$scratch/a" --max-tokens 512
says "0 asked, 0 from the cache, 43 before"
mv "$pictures/p11.bmp" "$pictures/renamed.bmp"
mv "$pictures/p12.bmp" "$scratch/"
echo "$pictures/new.bmp 60 80 60" | python3 "$scratch/picture.py"
good plain "$scratch/a"
says "43 of 43 pictures captioned: 1 asked, 1 from the cache, 41 before"
[[ $(($(requests) - before)) == 1 ]] || fail "asked again: $(tail -n +$((before + 1)) "$log")"
[[ $(json "$scratch/a/captions-0-of-1-00000.json" '"p12" in data, "new" in data, "renamed" in data') == "(False, True, True)" ]] ||
  fail "the captions are not of the new list"
mv "$pictures/renamed.bmp" "$pictures/p11.bmp"
mv "$scratch/p12.bmp" "$pictures/"
rm "$pictures/new.bmp"
"$i1" data caption --pictures "$pictures" --output "$scratch/a" --endpoint "http://127.0.0.1:$port/plain/v1/" --model eyes \
  --prompt-file "$scratch/prompt" --size 64 >"$scratch/out" || fail "a prompt from a file"
says "0 asked, 0 from the cache, 43 before"

# Killed while the endpoint holds the rest back: what was answered is there, and is not asked about again.
lines() { cat "$scratch/b/captions-0-of-1.partial.jsonl" 2>/dev/null | wc -l; }
set -m
killed() {  # killed SIGNAL TURNS LINES: sent when the journal has so many lines
  local status=0 pid
  echo "$2" >"$scratch/server/turns.partial"
  mv "$scratch/server/turns.partial" "$scratch/server/turns"
  run held "$scratch/b" --connections 2 &
  pid=$!
  for _ in $(seq 1500); do [[ $(lines) -ge $3 ]] && break; sleep 0.02; done
  kill -s "$1" -- -$pid
  wait $pid || status=$?
  return $status
}
killed KILL 10 10 2>/dev/null || true
[[ $(lines) == 10 ]] || fail "kill -9: $(lines) lines in the journal, expected 10"
status=0
"$i1" data caption --merge "$scratch/b" --output "$scratch/b.json" 2>"$scratch/err" || status=$?
[[ $status == 2 ]] || fail "--merge of a part that is not done: exit status $status"
says "this part is not done"
printf '{"source": "a", "id": "b", "capt' >>"$scratch/b/captions-0-of-1.partial.jsonl"
status=0
killed INT 20 13 || status=$?
[[ $status == 130 ]] || fail "Ctrl-C: exit status $status: $(cat "$scratch/err")"
says "i1: interrupted; "
says "the same command goes on from there"
set +m
cp "$scratch/b/captions-0-of-1.partial.jsonl" "$scratch/answered"
echo 1000 >"$scratch/server/turns.partial"
mv "$scratch/server/turns.partial" "$scratch/server/turns"
good held "$scratch/b"
cmp "$scratch/a/captions-0-of-1-00000.json" "$scratch/b/captions-0-of-1-00000.json" || fail "other captions after kills"
grep -o 'picture[^}]* [0-9a-f]\{64\}' "$scratch/answered" | grep -o '[0-9a-f]\{64\}' | sort -u >"$scratch/digests"
[[ $(wc -l <"$scratch/digests") -ge 12 ]] || fail "in the journal: $(cat "$scratch/answered")"
while read -r digest; do
  [[ $(grep -c "^held 200 $digest " "$log") == 1 ]] || fail "asked again after its answer was there: $digest"
done <"$scratch/digests"

# Three parts in three processes, merged; a data set is built from the table.
pids=()
for part in 0 1 2; do
  "$i1" data caption --pictures "$pictures" --output "$scratch/c" --endpoint "http://127.0.0.1:$port/plain/v1" --model eyes \
    --prompt "$prompt" --size 64 --shard $part/3 >"$scratch/out$part" 2>&1 &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait $pid || fail "a part: $(cat "$scratch"/out[012])"; done
"$i1" data caption --merge "$scratch/c" --column long --output "$scratch/table.json" >"$scratch/out"
says "43 captions"
"$i1" data caption --merge "$scratch/a" --column long --output "$scratch/table_of_one.json" >/dev/null
cmp "$scratch/table.json" "$scratch/table_of_one.json" || fail "three parts give another table than one"
"$i1" data build folder --pictures "$pictures" --captions "$scratch/table.json" --columns long --output "$scratch/set" --size 32 \
  --num-shards 2 >"$scratch/out"
says "43 pictures in 2 shards"
"$i1" data verify "$scratch/set" >"$scratch/out"
says "43 records in 2 shards, 43 captions"

# What goes wrong with single pictures: tried again where that may help, else told.
from=$faulty good plain "$scratch/d" --retries 2
says "5 of 12 pictures captioned"
for words in "the picture cannot be read" "the answer is no JSON object" "the answer has no text" "the server answers with status 400" \
  "cut off at --max-tokens" "the answer has no choices" "the answer is longer than 8 MB"; do
  says "failed         1  $words"
done
tab=$'\t'
grep -q "^f28${tab}the server answers with status 400: not this one" "$scratch/d/failures-0-of-1.tsv" ||
  fail "failures: $(cat "$scratch/d/failures-0-of-1.tsv")"
[[ $(cut -f1 "$scratch/d/failures-0-of-1.tsv" | tr '\n' ' ') == "broken f26 f27 f28 f29 f30 f32 " ]] || fail "failures: $(cat "$scratch/d/failures-0-of-1.tsv")"
for height in 21 23 24; do [[ $(grep -c "40x$height " "$log") == 2 ]] || fail "40x$height: $(grep "40x$height " "$log")"; done
[[ $(grep -c "40x22 " "$log") == 3 ]] || fail "500 twice: $(grep 40x22 "$log")"
[[ $(json "$scratch/d/captions-0-of-1-00000.json" 'list(data), data["f31"][:10]') == "(['f21', 'f22', 'f23', 'f24', 'f31'], 'A \"picture')" ]] ||
  fail "captions: $(cat "$scratch/d/captions-0-of-1-00000.json")"
wait $silent || fail "a silent endpoint: $(cat "$scratch/silent.err")"
grep -q '^plain silent ' "$log" || fail "the silent endpoint was not asked"

# What stops a run: no access (how to get it; the key goes nowhere but there), an endpoint that is gone, moved or wrong.
bad 2 'put the key into the environment variable OPENAI_API_KEY' gated "$scratch/f"
OPENAI_API_KEY=other bad 2 'the key in $OPENAI_API_KEY is not accepted there' gated "$scratch/f"
MY_KEY=secret good gated "$scratch/f" --api-key-env MY_KEY --shard 0/8
MY_KEY=secret from=$faulty good plain "$scratch/g" --api-key-env MY_KEY --retries 2
says "status 400"
! grep -rq secret "$scratch/f" "$scratch/g" "$scratch/out" "$scratch/err" || fail "the key was written down"
MY_KEY=secret bad 2 'redirected to' moved "$scratch/h" --api-key-env MY_KEY
! grep -q '^elsewhere' "$log" || fail "a redirect was followed"
bad 2 'no such model' nowhere "$scratch/h"
bad 1 'given up after 8 pictures in a row' down "$scratch/h" --retries 0
bad 2 'expected K/N' plain "$scratch/h" --shard 3/3
model=$'\xff' bad 2 'expected UTF-8' plain "$scratch/h"
! grep -q ' 422 ' "$log" || fail "requests that are not of the right form: $(grep ' 422 ' "$log")"
echo "caption: ok"
