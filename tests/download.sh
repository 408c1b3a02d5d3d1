#!/usr/bin/env bash
# `i1 download` against a server of its own (http_server.py): whole files, every way a connection, a server or a file goes
# wrong, and what is left in the folder afterwards.
i1=$1
. "$(dirname "$0")/common.sh"
unset HF_TOKEN HF_ENDPOINT I1_MODELS http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
export XDG_CACHE_HOME=$scratch/cache
models=$scratch/cache/i1

mkdir "$scratch/served"
head -c 2000000 /dev/urandom >"$scratch/served/data.bin"
: >"$scratch/served/empty.bin"
start_server "$scratch/ports" http_server.py "$scratch/served" "$scratch/log" "$scratch/ports"
read -r first second <"$scratch/ports"

hash_of() { sha256sum <"$1" | cut -d' ' -f1; }
size=2000000
sha=$(hash_of "$scratch/served/data.bin")
known="\"size\": $size, \"sha256\": \"$sha\""
# item NAME BEHAVIOUR [FIELDS-OF-THE-FILE [FIELDS-OF-THE-ITEM]]: one line of a manifest
item() {
  echo "{\"name\": \"$1\", \"part\": \"model\", \"address\": \"http://127.0.0.1:$first/$2/\", \"page\": \"http://page.example\"${4:+, $4},
    \"files\": [{\"path\": \"data.bin\"${3:+, $3}}]}"
}
{
  echo '['
  for behaviour in plain slow cut without_range truncated page busy failing failed elsewhere loop; do
    item $behaviour $behaviour "$known"
    echo ,
  done
  for behaviour in cut_without_length without_length page_as_bytes elsewhere_damaged; do item $behaviour $behaviour; echo ,; done
  item unknown plain; echo ,
  item changing slow; echo ,
  item sized cut_without_length "\"size\": $size"; echo ,
  item vast plain '"size": 9000000000000000'; echo ,
  item wrong plain "\"size\": $size, \"sha256\": \"${sha//[0-7]/8}\""; echo ,
  item gone nowhere "$known"; echo ,
  item gated gated "$known" '"is_gated": true'; echo ,
  item moved moved "$known" '"is_gated": true'; echo ,
  item handed elsewhere "$known" '"is_gated": true'; echo ,
  echo "{\"name\": \"empty\", \"part\": \"other\", \"address\": \"http://127.0.0.1:$first/plain/\",
    \"files\": [{\"path\": \"empty.bin\", \"size\": 0}]},"
  echo "{\"name\": \"text\", \"part\": \"text_encoder\", \"address\": \"http://127.0.0.1:$first/plain/\", \"files\":
    [{\"path\": \"model.safetensors.index.json\", \"has_shards\": true, \"skipped\": \"decoder.\"}]}"
  echo ']'
} >"$scratch/manifest.json"

manifest=$scratch/manifest.json
run() { "$i1" download --manifest "$manifest" "$@" >"$scratch/out" 2>"$scratch/err"; }
requests() { grep -c " /$1/data.bin " "$scratch/log" || true; }
is_whole() { cmp -s "$models/$1/data.bin" "$scratch/served/data.bin" || fail "$1: not the file that was served: $(cat "$scratch/err")"; is_clean "$1"; }
is_clean() { [[ -z $(ls "$models/$1" | grep partial) ]] || fail "$1: left behind: $(ls "$models/$1")"; }
says() { grep -qF -- "$1" "$scratch/err" "$scratch/out" || fail "no word of \"$1\": $(cat "$scratch/err" "$scratch/out")"; }
good() { run "$@" || fail "i1 download $*: exit status $?: $(cat "$scratch/err")"; }
# bad STATUS WORDS NAME ...: fails with the status and one line of the program, and no file takes its name
bad() {
  local expected=$1 words=$2 status=0
  shift 2
  run "$@" || status=$?
  [[ $status == "$expected" ]] || fail "i1 download $*: exit status $status, expected $expected: $(cat "$scratch/err")"
  grep '^i1: ' "$scratch/err" | grep -qF -- "$words" || fail "i1 download $*: \"$(cat "$scratch/err")\" does not say \"$words\""
  [[ $(grep -c '^i1: ' "$scratch/err") == 1 ]] || fail "i1 download $*: more than one line: $(cat "$scratch/err")"
  [[ ! -e $models/$1/data.bin ]] || fail "i1 download $*: left $(ls -l "$models/$1")"
}

# Whole; a second time nothing is asked for; a file put there by hand is taken, one of another size is not.
good plain
is_whole plain
says "size and SHA-256 are right"
says "$models/plain/data.bin"
says "i1 generate 'a red fox in the snow' --model '$models/plain/data.bin'"
good plain
says "already here, not fetched"
[[ $(requests plain) == 1 ]] || fail "a file that is here was asked for"
mkdir -p "$scratch/mine/plain"
cp "$scratch/served/data.bin" "$scratch/mine/plain/"
good plain --to "$scratch/mine"
says "already here, not fetched"
echo short >"$scratch/mine/plain/data.bin"
good plain --to "$scratch/mine"
cmp "$scratch/mine/plain/data.bin" "$scratch/served/data.bin" || fail "a file of another size was kept"
good empty
[[ -f $models/empty/empty.bin && ! -s $models/empty/empty.bin ]] || fail "an empty file: $(ls -l "$models/empty")"

# The list, and itself as a manifest.
run --list
grep -q '^plain  .*2.0 MB .*here' "$scratch/out" || fail "--list: $(cat "$scratch/out")"
run --json && cp "$scratch/out" "$scratch/copy.json"
"$i1" download --manifest "$scratch/copy.json" --json | cmp - "$scratch/copy.json" || fail "--json does not read back"
"$i1" download >"$scratch/list"
for name in i1-3b i1-1b t5gemma-2b flux2-vae; do
  grep -q "^$name " "$scratch/list" || fail "the official list has no $name"
done

# The connection breaks off: gone on from, in the same call and after kill -9 and Ctrl-C.
several=(cut without_range sized unknown busy failing elsewhere)  # one call: most of its time is the program's start
good "${several[@]}"
for name in "${several[@]}"; do is_whole "$name"; done
says "going on at 0.7 MB"
says "from the beginning"
says "the server answers with status 429; trying again in 1 s"
says "the server answers with status 500; trying again in 1 s"
says "unknown/data.bin: 2.0 MB, size is right, SHA-256 is not known"
[[ $(grep -c '/cut/data.bin bytes=' "$scratch/log") == 2 ]] || fail "no ranges were asked for: $(cat "$scratch/log")"
set -m
size_of() { stat -c %s "$1" 2>/dev/null || echo 0; }
interrupted() {  # interrupted SIGNAL NAME: sent when bytes have come
  local partial=$models/$2/data.bin.partial status=0 before pid
  before=$(size_of "$partial")
  run "$2" &
  pid=$!
  for _ in $(seq 1000); do [[ $(size_of "$partial") -gt $before ]] && break; sleep 0.02; done
  kill -s "$1" -- -$pid
  wait $pid || status=$?
  [[ -s $partial && ! -e $models/$2/data.bin ]] || fail "SIG$1: $(ls "$models/$2")"
  return $status
}
interrupted KILL slow 2>/dev/null || true
bad_status=0
interrupted INT slow || bad_status=$?
[[ $bad_status == 130 ]] || fail "Ctrl-C: exit status $bad_status: $(cat "$scratch/err")"
says "going on at"
says "i1: interrupted; "
says "the same command goes on from there"
good slow
is_whole slow
[[ $(grep -c '/slow/data.bin bytes=.* 206$' "$scratch/log") == 2 ]] || fail "did not go on: $(grep slow "$scratch/log")"

# The file changes in between: from the beginning, the new one.
cp "$scratch/served/data.bin" "$scratch/kept.bin"
interrupted KILL changing 2>/dev/null || true
head -c 1500000 /dev/urandom >"$scratch/served/data.bin"
good changing
is_whole changing
says "from the beginning"
cp "$scratch/kept.bin" "$scratch/served/data.bin"
set +m

# Nobody says how long a file is.
bad 1 'nobody says how many bytes' cut_without_length
bad 1 'nobody says how many bytes' without_length

# Statuses.
bad 1 'status 500' failed --retries 0
bad 1 'status 404' gone
is_clean gone
bad 1 'redirects' loop
(echo "[$(item nobody plain)]" | sed "s/:$first/:1/") >"$scratch/nobody.json"
manifest=$scratch/nobody.json bad 1 'given up after 1 try' nobody --retries 0

# Gated: how to get in; the token goes to the hub alone, and not along with a redirect to another host.
bad 2 'accept the conditions at http://page.example, make a token at' gated
HF_TOKEN=secret bad 2 'HF_TOKEN' gated
grep -q '^first /gated/data.bin - secret' "$scratch/log" && fail "a token went to a host that it does not belong to"
export HF_ENDPOINT=http://127.0.0.1:$first/
HF_TOKEN=other bad 2 'HF_TOKEN' gated
HF_TOKEN=secret good gated moved handed
for name in gated moved handed; do is_whole $name; done
grep -q '^first /elsewhere/data.bin - secret 302' "$scratch/log" || fail "no token to the hub: $(cat "$scratch/log")"
grep -q '^second .*secret' "$scratch/log" && fail "the token went along with a redirect: $(cat "$scratch/log")"
unset HF_ENDPOINT

# Redirected to another host, whose word for size and hash is the first one's.
bad 1 'SHA-256' elsewhere_damaged
is_clean elsewhere_damaged

# What is no such file.
bad 1 'expected 2000000' truncated
bad 1 'an HTML page came in place' page
bad 1 'an HTML page came in place' page_as_bytes
bad 1 "SHA-256 $sha, expected" wrong
for name in truncated page page_as_bytes wrong; do is_clean $name; done

# Shards that an index names, without those of the decoder alone.
echo '{"weight_map": {"model.encoder.a": "a.bin", "model.encoder.b": "b.bin", "model.decoder.b": "b.bin", "model.decoder.c": "c.bin"}}' \
  >"$scratch/served/model.safetensors.index.json"
echo a >"$scratch/served/a.bin"
echo b >"$scratch/served/b.bin"
good text
[[ $(ls "$models/text" | tr '\n' ' ') == "a.bin b.bin model.safetensors.index.json " ]] || fail "shards: $(ls "$models/text")"
says "--text-encoder '$models/text'"
rm "$models/text/b.bin"
good text
[[ -e $models/text/b.bin ]] || fail "a shard that was missing was not fetched"

# The disk.
bad 1 'MB are to come' vast
rm -r "$models/plain"
status=0
(ulimit -f 512; run plain) || status=$?
[[ $status == 1 ]] || fail "full disk: exit status $status"
says 'data.bin.partial: cannot write: File too large'
good plain
says "going on at 0.5 MB"
is_whole plain

# Mistakes.
bad 2 'nearest: "plain"' plian
grep -q 'nearest: "i1-3b"' <("$i1" download i1-3B 2>&1) || fail "no nearest name"
of_one() { echo "[{\"name\": \"a\", \"part\": \"vae\", \"address\": \"$1\", \"files\": [{\"$2\": \"$3\"}]}]" >"$scratch/one.json"; }
manifest=README.md bad 2 'expected a JSON list' a
of_one http://a/ pth b
manifest=$scratch/one.json bad 2 'unknown field "pth"; nearest: "path"' a
of_one http://a/ path ../b
manifest=$scratch/one.json bad 2 'expected letters' a
of_one file:///etc/ path passwd
manifest=$scratch/one.json bad 2 'expected an http or https address' a
bad 2 'Not a directory' gone --to "$scratch/manifest.json"

# generate finds what was fetched by its name, or says how to get it.
status=0
"$i1" generate "a cat" --model i1-3b 2>"$scratch/err" || status=$?
[[ $status == 2 ]] || fail "generate --model i1-3b: exit status $status"
says 'i1 download i1-3b fetches it'
mkdir -p "$models/i1-3b"
cp goldens/dit/checkpoint_tiny.pt "$models/i1-3b/1024_resolution_checkpoint_torch.pt"
"$i1" generate "a cat" --model i1-3b --output "$scratch/out.png" 2>"$scratch/err" && fail "a picture without a text encoder"
says 'i1 download t5gemma-2b fetches it'
echo "download: ok"
