#!/usr/bin/env bash
# What a user gets wrong: one line on standard error that names it, exit status 2, and no output file.
i1=$1
. "$(dirname "$0")/common.sh"

picture_here() { stat -c '%i %y' out.png 2>/dev/null || true; }  # one may be here, of an earlier `./run generate`
picture_before=$(picture_here)

# expect WORDS COMMAND...: fails with status 2 and one line that holds the words
expect() {
  local words=$1 status=0
  shift
  "$i1" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  [[ $status == 2 ]] || fail "i1 $*: exit status $status, expected 2: $(cat "$scratch/err")"
  grep -qF -- "$words" "$scratch/err" || fail "i1 $*: \"$(cat "$scratch/err")\" does not say \"$words\""
  [[ $(wc -l <"$scratch/err") == 1 ]] || fail "i1 $*: more than one line: $(cat "$scratch/err")"
}

expect 'nearest: "generate"' generte "a cat"
expect 'nearest: --steps' generate "a cat" --stps 4
expect 'no prompt' generate
expect 'no bundled model of that name' generate "a cat" --model nowhere
expect 'expected cpu, cuda' generate "a cat" --device tpu
expect 'cannot be opened' generate --prompt-file "$scratch/nothing.txt"
expect 'no prompt in it' generate --prompt-file <(echo)

# Numbers: found, and what is expected.
for size in 0x0 abc 32x32x32 99999999999999x32; do
  expect "--size $size: expected WIDTHxHEIGHT" generate "a cat" --size "$size"
done
expect 'width is 7 pixels; expected a multiple of 16' generate "a cat" --size 7x7
expect 'width is 100000 pixels; expected a multiple of 16 up to 4096' generate "a cat" --size 100000x100000
for steps in 0 -1 1e9 99999999999999999999; do
  expect "--steps: \"$steps\": expected a whole number, 1 to 10000" generate "a cat" --steps "$steps"
done
for scale in nan 1e308; do
  expect "--cfg-scale: \"$scale\": expected a number" generate "a cat" --cfg-scale $scale
done
expect '--shift: "inf": expected a number' generate "a cat" --shift inf
expect '--num-images: "0": expected a whole number' generate "a cat" --num-images 0
expect '--batch-size: "abc": expected a whole number' generate "a cat" --batch-size abc
for threads in -1 100000; do
  expect "--threads: \"$threads\": expected a whole number, 0 to 1024" generate "a cat" --threads "$threads"
done
for seed in abc -1 ''; do
  expect "--seed: \"$seed\": expected a whole number, 0 or more" generate "a cat" --seed "$seed"
done
expect 'schedule "shiftd": expected shifted or uniform' generate "a cat" --schedule shiftd
expect '--num-captions: "0": expected a whole number' evaluate nano --data-root x --output x --num-captions 0
expect '--vocab-size: "0": expected a whole number' data tokenizer --data-root x --sets x --output x --vocab-size 0
for size in 0 100000; do
  expect "--size: \"$size\": expected a whole number, 8 to 4096" data cache --data-root x --sets x --tokenizer x --output x --size "$size"
done
expect '--max-bad-fraction: "1": expected a number, 0 to 0.999' data cache --data-root x --sets x --tokenizer x --output x --max-bad-fraction 1
expect '--size 33: expected a multiple of 8' data cache --data-root x --sets x --tokenizer x --output x --size 33

# Places to write to: refused before the work begins.
: >"$scratch/file"
expect 'out.png: cannot be written: No such file or directory' generate "a cat" --output "$scratch/no/such/out.png"
expect 'out.png: cannot be written: Not a directory' generate "a cat" --output "$scratch/file/out.png"
expect 'x: the folder cannot be made: Not a directory' generate "a cat" "a dog" --output "$scratch/file/x"
expect 'several pictures need a folder' generate "a cat" "a dog" --output "$scratch/file"
expect '--output is empty' generate "a cat" --output ''
mkfifo "$scratch/pipe"
expect 'is a pipe or a device, expected a file' generate "a cat" --output "$scratch/pipe"
expect 'is a pipe or a device' inspect "$scratch/pipe"
[[ -p $scratch/pipe ]] || fail "a picture was written over a pipe"
if [[ $(id -u) != 0 ]]; then  # root may write anywhere
  mkdir -m 555 "$scratch/locked"
  expect 'Permission denied' generate "a cat" --output "$scratch/locked/out.png"
fi

# A model whose parts do not fit: the key, what is found, what is expected.
mkdir -p "$scratch/weights/broken"
ln -s "$PWD/weights/taef2" "$scratch/weights/"
for part in weights/nano/*; do ln -s "$PWD/$part" "$scratch/weights/broken/"; done
rm "$scratch/weights/broken/bundle.json"
broken() {  # broken WORDS SED-COMMAND
  sed "$2" weights/nano/bundle.json >"$scratch/weights/broken/bundle.json"
  ! cmp -s weights/nano/bundle.json "$scratch/weights/broken/bundle.json" || fail "nothing changed by $2"
  expect "$1" generate "a cat" --model "$scratch/weights/broken" --output "$scratch/out.png"
}
broken 'has shape [288' 's/"hidden_size": 288/"hidden_size": 144/'
broken 'no tensor "in_blocks.4.' 's/"depth": 9/"depth": 11/'
broken 'unknown field "hiden_size"; nearest: "hidden_size"' 's/"hidden_size"/"hiden_size"/'
broken 'depth is 1000000000, expected 1 to' 's/"depth": 9/"depth": 1000000000/'
broken 'expected a JSON object' '/./d'
broken 'no such file or folder; expected an autoencoder' 's/taef2/taef3/'
rm "$scratch/weights/taef2"
mkdir "$scratch/weights/taef2"
for config in '{"_class_name": 3}' '{"_class_name": "AutoencoderKL", "block_out_channels": [], "latent_channels": -1}'; do
  echo "$config" >"$scratch/weights/taef2/config.json"
  broken 'taef2/config.json: ' 's/"name": "nano"/"name": "broken"/'
done

# Recipes.
expect 'nearest: "nano"' train nan --data-root "$scratch" --output "$scratch/run"
tiny() { expect "$1" train tiny "$2" --data-root "$scratch/root" --output "$scratch/run"; }
tiny 'nearest: "learning_rate"' learning_rat=1
tiny '"model" is a group of fields' 'model={}'
for value in 0 2.5; do tiny 'num_steps' num_steps=$value; done
tiny 'expected 0 to 1' caption_dropout=2
tiny '"seed" cannot be -1' seed=-1
tiny 'beta1 is 2, expected 0 to below 1' beta1=2
tiny "name is that of its folder" recipe=../elsewhere
tiny 'hidden_size is 1000000, expected 1 to' model.hidden_size=1000000
tiny 'text.config.hidden_size is 16, but model.text_width is 32' model.text_width=32
tiny 'not a latent cache' log_every=1
[[ ! -e $scratch/run ]] || fail "train left a folder behind"
make_cache "$i1" "$2" >/dev/null
tiny 'latents of shape [32, 4, 4], but' model.latent_channels=16
tiny 'captions of up to 8 tokens, but' model.num_text_tokens=4
[[ ! -e $scratch/run ]] || fail "train left a folder behind"
"$i1" train tiny num_steps=1 --data-root "$scratch/root" --output "$scratch/run" >/dev/null 2>&1
mkdir "$scratch/mine"
: >"$scratch/mine/letter"
expect 'is there and is no model' train tiny num_steps=1 --data-root "$scratch/root" --output "$scratch/run" --export "$scratch/mine"
[[ -e $scratch/mine/letter ]] || fail "--export removed a folder that is not its own"
for state in '' '{"step": "x", "data": 3, "checksums": [], "config": 7}'; do
  echo "$state" >"$scratch/run/tiny/checkpoint-000000001/state.json"
  status=0
  "$i1" train tiny num_steps=1 --data-root "$scratch/root" --output "$scratch/run" >/dev/null 2>"$scratch/err" || status=$?
  [[ $status == 2 ]] || fail "a damaged state.json: exit status $status: $(cat "$scratch/err")"
  grep -q 'every checkpoint of this run is damaged' "$scratch/err" || fail "a damaged state.json: $(cat "$scratch/err")"
done

# Data.
expect 'nearest: --pictures' data build folder --pictres x
expect 'unexpected argument "nan"; nearest: "nano"' data build nan
expect 'nearest: "emoji"' data build nano --sources "$scratch" --output "$scratch/sets" --sets emojy
expect 'cannot be opened' data build nano --sources "$scratch" --output "$scratch/sets" --sets emoji
[[ ! -e $scratch/sets ]] || fail "data build nano left a folder behind"
folder=(data build folder --pictures docs --columns c --output "$scratch/set" --captions)
expect 'cannot be opened' "${folder[@]}" "$scratch/nothing"
for captions in '' 'words'; do
  expect 'expected a JSON list of rows' "${folder[@]}" <(echo "$captions")
done
expect 'no column "c"; nearest: "d"' "${folder[@]}" <(echo '[{"key": "nano", "d": "x"}]')
expect 'no picture in this folder' data build folder --pictures recipes --columns c --output "$scratch/set" --captions <(echo '[{"key": "a", "c": "x"}]')
expect 'no picture has a text file beside it' data build folder --pictures docs --output "$scratch/set"
expect 'expected RRGGBB' "${folder[@]}" <(echo '[{"key": "nano", "c": "x"}]') --background white
expect 'no such file or folder' data build webdataset --pictures "$scratch/nothing" --output "$scratch/set"
expect 'no .tar file' data build webdataset --pictures docs --output "$scratch/set"
expect 'no tar, compressed, damaged or cut off' data build webdataset --pictures docs/nano.png --output "$scratch/set"
[[ ! -e $scratch/set ]] || fail "data build left a folder behind"
expect 'no such folder' data verify "$scratch/nothing"
expect 'no such folder' data cache --data-root "$scratch" --sets nothing --tokenizer "$scratch/root/tokenizer" --output "$scratch/caches"
shard=dataset-train.tfrecord-00000-of-00001
mkdir -p "$scratch/sets/empty" "$scratch/sets/foreign"
: >"$scratch/sets/empty/$shard"
cp docs/nano.png "$scratch/sets/foreign/$shard"
for set in empty foreign; do
  status=0
  "$i1" data verify "$scratch/sets/$set" >"$scratch/out" 2>&1 || status=$?
  [[ $status == 1 ]] || fail "data verify of a set that is $set: exit status $status"
  status=0
  "$i1" data tokenizer --data-root "$scratch/sets" --sets $set --output "$scratch/tokenizer" 2>"$scratch/err" || status=$?
  [[ $status == 2 ]] && grep -q 'no caption' "$scratch/err" || fail "data tokenizer of a set that is $set: $(cat "$scratch/err")"
done

# Files of other kinds.
expect 'cannot be opened' inspect "$scratch/nothing.png"
: >"$scratch/empty.safetensors"
expect 'too short' inspect "$scratch/empty.safetensors"
printf 'words, and no weights at all' >"$scratch/words"$'\n'"in a name"
expect 'not a safetensors file' inspect "$scratch/words"$'\n'"in a name"
truncate -s 4T "$scratch/vast.safetensors" 2>/dev/null && expect 'vast.safetensors' inspect "$scratch/vast.safetensors"
printf '\x89PNG\r\n\x1a\n' >"$scratch/cut.png"
expect 'cut inside its header' inspect "$scratch/cut.png"

# Goldens: what, where, and what a whole one would have.
expect 'no such file' check "$scratch/nothing"
mkdir -p "$scratch/plain/deeper"
expect 'nothing here is a golden' check "$scratch/plain"
cp README.md "$scratch/plain/deeper/"
echo '{"a": 1}' >"$scratch/plain/deeper/a.json"
expect 'nothing here is a golden' check "$scratch/plain"
expect 'nothing here is a golden' check "$scratch/plain/deeper/a.json"
goldens=$scratch/goldens
mkdir -p "$goldens"/{dit,steps,t5gemma,training}
cp -r goldens/data/mixing "$goldens/"
cp -r goldens/dit/{sampler,checkpoint_tiny_lean.pt} "$goldens/dit/"
cp goldens/training/itstime.json "$goldens/steps/"
cp goldens/training/gradients{.json,_cases.safetensors} "$goldens/training/"
cp -r goldens/t5gemma/{tiny,case_short.safetensors} "$goldens/t5gemma/"
cut_off() {  # cut_off FILE: half of it, alone and among whole ones
  local size
  size=$(stat -c %s "$goldens/$1")
  cp "$goldens/$1" "$scratch/whole"
  truncate -s $((size / 2)) "$goldens/$1"
  expect "$1: " check "$goldens/$1"
  expect "$1: " check "$goldens"
  mv "$scratch/whole" "$goldens/$1"
}
for file in mixing/subset.json steps/itstime.json dit/sampler/sampler.json dit/sampler/sampler.safetensors \
  t5gemma/tiny/config.json t5gemma/tiny/model-00001-of-00002.safetensors; do
  cut_off "$file"
done
edited() {  # edited WORDS FOLDER FILE SED-COMMAND: a golden of another form
  local file=$goldens/$2/$3
  cp "$file" "$scratch/whole"
  sed -i "$4" "$file"
  ! cmp -s "$scratch/whole" "$file" || fail "nothing changed by $4"
  expect "$1" check "$goldens/$2"
  mv "$scratch/whole" "$file"
}
edited 'no tensor "elsewhere"' dit/sampler sampler.json 's/"stored_as": "n4_cfg12_rescale1_shift0.3"/"stored_as": "elsewhere"/'
edited 'not a whole golden of the family sampler' dit/sampler sampler.json 's/"num_steps": 4/"num_steps": "four"/'
edited 'nowhere.pt: cannot be opened' dit/sampler sampler.json 's/checkpoint_tiny_lean.pt/nowhere.pt/'
edited "key 'to_step' not found" steps itstime.json 's/to_step/until/'
edited "key 'probability' not found" mixing mixing.json 's/"probability"/"share"/'
edited '4611686018427387904 steps, expected at most' dit/sampler sampler.json 's/"num_steps": 4,/"num_steps": 4611686018427387904,/'
edited '"processes" is 0, expected a whole number' mixing even_splits.json 's/"processes": *2/"processes": 0/'
edited 'more.weight' t5gemma tiny/model.safetensors.index.json 's/model.encoder.norm.weight/model.encoder.more.weight/'
expect 'gradients_weights.safetensors: cannot be opened' check "$goldens/training"
rm -r "$goldens"
[[ $(picture_here) == "$picture_before" && -z $(find "$scratch" -name '*.png' ! -name cut.png -o -name '*.partial' -o -name 'out.png.*') ]] || fail "a picture or a partial file is left"
echo "bad input: ok"
