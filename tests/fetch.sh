#!/usr/bin/env bash
# `i1 data fetch` against a server of its own (http_server.py): pictures of every kind, every way a server or a connection
# goes wrong, kill -9 and Ctrl-C in the middle, and what is left in the folder afterwards.
i1=$1
. "$(dirname "$0")/common.sh"
unset http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY

served=$scratch/served
mkdir "$served"
inputs=goldens/data/images/inputs
cp $inputs/jpeg_444.jpg "$served/a.jpg"
cp $inputs/shape_64x64.png "$served/b.png"
cp $inputs/webp_lossy_odd.webp "$served/c.webp"
cp $inputs/gif_named.jpg "$served/d.jpg"  # a GIF, whatever its address says
: >"$served/empty.jpg"
for i in $(seq 100 219); do cp "$served/a.jpg" "$served/$i.jpg"; done
start_server "$scratch/ports" http_server.py "$served" "$scratch/log" "$scratch/ports"
read -r port _ <"$scratch/ports"
at=http://127.0.0.1:$port

list=$scratch/list.txt
folder=$scratch/pictures
run() { "$i1" data fetch "$list" --output "$folder" --rate 1000 "$@" >"$scratch/out" 2>"$scratch/err"; }
good() { run "$@" || fail "fetch $*: exit status $?: $(cat "$scratch/err" "$scratch/out")"; }
# bad STATUS WORDS [FLAG ...]: fails with the status and one line of the program
bad() {
  local expected=$1 words=$2 status=0
  shift 2
  run "$@" || status=$?
  [[ $status == "$expected" ]] || fail "fetch $*: exit status $status, expected $expected: $(cat "$scratch/err")"
  grep '^i1: ' "$scratch/err" | grep -qF -- "$words" || fail "fetch $*: \"$(cat "$scratch/err")\" does not say \"$words\""
  [[ $(grep -c '^i1: ' "$scratch/err") == 1 ]] || fail "fetch $*: more than one line: $(cat "$scratch/err")"
}
says() { grep -qF -- "$1" "$scratch/out" || fail "no word of \"$1\": $(cat "$scratch/out" "$scratch/err")"; }
requests() { grep -c " $1 " "$scratch/log" || true; }
is_file() { cmp -s "$folder/$1" "$served/$2" || fail "$1 is not the file that was served"; }
is_clean() { [[ -z $(find "$folder" -name 'partial*' -o -name '*.??????' ! -name 'failures.*') ]] || fail "left behind: $(find "$folder")"; }
failures=$folder/failures.0-of-1.tsv
reason_of() { awk -F'\t' -v name="$1" '$2 == name { print $4 }' "$failures"; }
failed() { [[ $(reason_of "$1") == "$2"* ]] || fail "$1: \"$(reason_of "$1")\", expected \"$2\""; }

# One run with everything that can happen.
{
  echo "$at/plain/a.jpg"
  echo "$at/plain/b.png"
  printf '%s\t%s\n' cats/c "$at/plain/c.webp" d "$at/plain/d.jpg" cut "$at/cut/a.jpg" busy "$at/busy/a.jpg" failing "$at/failing/a.jpg" \
    slow "$at/slow/a.jpg" elsewhere "$at/elsewhere/b.png" \
    gone "$at/plain/nowhere.jpg" page "$at/page/a.jpg" page_as_bytes "$at/page_as_bytes/a.jpg" empty "$at/plain/empty.jpg" \
    failed "$at/failed/a.jpg" gated "$at/gated/a.jpg" loop "$at/loop/a.jpg" without_length "$at/without_length/a.jpg" \
    breaks "$at/breaks/a.jpg" nobody http://127.0.0.1:1/a.jpg spaces "http://a b/"
} >"$list"
good --retries 2
says "9 fetched, 0 already there, 11 failed, 0 failed for good before"
is_file 0/0.jpg a.jpg
is_file 0/1.png b.png
is_file cats/c.webp c.webp
is_file d.gif d.jpg
for name in cut busy failing slow; do is_file $name.jpg a.jpg; done
is_file elsewhere.png b.png
failed gone 'refused: status 404'
failed page 'wrong content: an HTML page'
failed page_as_bytes 'wrong content: an HTML page'
failed empty 'wrong content: empty'
failed failed 'busy: status 500'
failed gated 'refused: status 401'
failed loop 'refused: more than 10 redirects'
failed without_length 'no length'
failed breaks 'cut off'
failed nobody 'no connection'
failed spaces 'bad address'
says "1  refused: status 404"
says "2  wrong content: an HTML page"
[[ $(find "$folder" -type f | wc -l) == 10 ]] || fail "more or less than nine pictures and a log: $(find "$folder" -type f)"
is_clean
grep -q '^first /busy/a.jpg - - 429' "$scratch/log" || fail "busy was not: $(cat "$scratch/log")"
[[ $(requests /cut/a.jpg) == 3 && $(requests /busy/a.jpg) == 2 && $(requests /failed/a.jpg) == 3 && $(requests /page/a.jpg) == 1 ]] ||
  fail "other tries than expected: $(cat "$scratch/log")"

# Again: nothing that is there, nothing that failed for good; one line stays for each failure.
lines=$(wc -l <"$scratch/log")
good --retries 0
says "0 fetched, 9 already there, 3 failed, 8 failed for good before"
tail -n +$((lines + 1)) "$scratch/log" | cut -d' ' -f2 | sort | uniq -c >"$scratch/again"
[[ $(awk '{ print $2 }' "$scratch/again" | tr '\n' ' ') == "/breaks/a.jpg /failed/a.jpg " ]] || fail "asked for again: $(cat "$scratch/again")"
[[ $(cut -f1 "$failures" | sort | uniq -d | wc -l) == 0 && $(wc -l <"$failures") == 11 ]] || fail "the log: $(cat "$failures")"

# What failed for good comes when asked for again, and its line goes; a file that is no picture is fetched again.
cp "$served/a.jpg" "$served/nowhere.jpg"
echo "no picture" >"$folder/0/0.jpg"
good --retries 0 --retry-failed
says "2 fetched, 8 already there, 10 failed, 0 failed for good before"
is_file gone.jpg a.jpg
is_file 0/0.jpg a.jpg
[[ -z $(reason_of gone) ]] || fail "a failure that is none: $(cat "$failures")"

# Larger than allowed, a server that stalls, a table, shards.
folder=$scratch/other
failures=$folder/failures.0-of-1.tsv
printf '%s\t%s\n' large "$at/plain/a.jpg" stalls "$at/stalls/b.png" chunks "$at/chunks/a.jpg" small "$at/plain/b.png" >"$list"
limit=$(($(stat -c %s "$served/a.jpg") - 1))
(( $(stat -c %s "$served/b.png") <= limit )) || fail "b.png is meant to be the smaller one"
good --retries 0 --timeout 1 --max-bytes $limit
says "1 fetched, 0 already there, 3 failed"
failed large 'too large'
failed chunks 'too large'
failed stalls 'cut off'
is_clean
printf 'photoid,downloadurl\n1,\n,http://a/\n' >"$list"
good
says "0 fetched, 0 already there, 0 failed"
grep -q '2 rows without an id or an address' "$scratch/err" || fail "no word of rows left out: $(cat "$scratch/err")"

# Killed three times: what has its name is whole and is not fetched again.
set -m
folder=$scratch/killed
for i in $(seq 100 219); do echo "$at/plain/$i.jpg"; done >"$list"
count() { find "$folder" -name '*.jpg' 2>/dev/null | wc -l; }
are_whole() { for file in $(find "$folder/0" -type f); do cmp -s "$file" "$served/a.jpg" || fail "$file has its name and is not whole"; done; }
start() {  # start EXPECTED FLAG ...: until so many pictures are there
  local expected=$1
  shift
  "$i1" data fetch "$list" --output "$folder" --rate 20 "$@" >"$scratch/out" 2>"$scratch/err" &
  pid=$!
  for _ in $(seq 1000); do
    (( $(count) >= expected )) && return
    kill -0 $pid 2>/dev/null || fail "ended before it could be interrupted: $(cat "$scratch/err")"
    sleep 0.01
  done
}
for expected in 4 8 12; do
  start $expected
  kill -KILL $pid
  wait $pid 2>/dev/null || true
  (( $(count) < 120 )) || fail "there was nothing to kill"
  are_whole
done
lines=$(wc -l <"$scratch/log")
there=$(find "$folder/0" -name '*.jpg' -printf '%f\n' | sed 's/\.jpg//')
start 20 --connections 4
kill -INT $pid
status=0
wait $pid || status=$?
[[ $status == 130 ]] || fail "Ctrl-C: exit status $status: $(cat "$scratch/err")"
[[ $(grep -c '^i1: interrupted; .* the same command goes on from there' "$scratch/err") == 1 ]] || fail "Ctrl-C: $(cat "$scratch/err")"
are_whole
is_clean
good --shard 0/2
good --shard 1/2
are_whole
is_clean
[[ $(count) == 120 ]] || fail "$(count) pictures of 120"
tail -n +$((lines + 1)) "$scratch/log" >"$scratch/later"
for row in $there; do
  ! grep -q " /plain/$((row + 100)).jpg " "$scratch/later" || fail "row $row was there and was asked for again"
done
lines=$(wc -l <"$scratch/log")
good
says "0 fetched, 120 already there, 0 failed"
[[ $(wc -l <"$scratch/log") == "$lines" ]] || fail "asked for what is there: $(tail -n 3 "$scratch/log")"
[[ $(find "$folder" -type f | wc -l) == 120 ]] || fail "other files than pictures: $(find "$folder" -type f ! -name '*.jpg')"
set +m

# No network, nothing to be had, and mistakes.
folder=$scratch/none
for i in $(seq 20); do echo "http://127.0.0.1:1/$i.jpg"; done >"$list"
bad 1 'no connection: all of 20 pictures' --retries 0
echo "$at/plain/not_there.jpg" >"$list"
folder=$scratch/nothing
bad 1 'none of 1 pictures could be fetched'
good
says "1 failed for good before"
printf '%s\n' "$at/plain/a.jpg" a.jpg >"$list"
bad 2 'list.txt: line 2: expected an address'
printf '%s\t%s\n' ../a "$at/plain/a.jpg" >"$list"
bad 2 'list.txt: line 1: the name'
[[ ! -e $scratch/a.jpg ]] || fail "a picture outside its folder"
bad 2 'expected K/N' --shard 2/2
list=$scratch/missing.txt bad 2 'missing.txt: is not there'
list=$scratch bad 2 'is no file'
: >"$list"
folder=$served/a.jpg bad 2 'a.jpg'
folder=$scratch/nothing_to_do
good
says "0 fetched, 0 already there, 0 failed"
echo "fetch: ok"
