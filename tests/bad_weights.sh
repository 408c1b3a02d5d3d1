#!/usr/bin/env bash
# Weights that are not what they should be: of another model, half there, with values that are no numbers, changed while they
# are read. One line that names the file and what to do, an exit status, and no picture that is not whole.
i1=$1
. "$(dirname "$0")/common.sh"

# edit FILE PYTHON: changes a safetensors file by its header and its data
edit() {
  python3 - "$@" <<'END'
import json, struct, sys
path, code = sys.argv[1:]
stored = open(path, "rb").read()
size = 8 + struct.unpack("<Q", stored[:8])[0]
header, data = json.loads(stored[8:size]), bytearray(stored[size:])
def put(name, value):  # at the tensor's beginning
    begin, kind = header[name]["data_offsets"][0], header[name]["dtype"]
    code = {"F32": struct.pack("<f", value), "F16": struct.pack("<e", value), "BF16": struct.pack("<f", value)[2:]}[kind]
    data[begin:begin + len(code)] = code
exec(code)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
END
}

# expect WORDS ARGUMENTS...: status 2, a last line with the words and no picture; before it at most what is drawn
expect() {
  local words=$1 status=0
  shift
  "$i1" generate "a red apple" --steps 2 --size 32x32 --output "$scratch/to/out.png" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  [[ $status == 2 ]] || fail "i1 generate $*: exit status $status, expected 2: $(cat "$scratch/err")"
  tail -n 1 "$scratch/err" | grep -qF -- "$words" || fail "i1 generate $*: \"$(cat "$scratch/err")\" does not say \"$words\""
  [[ $(grep -vc "^sampling:" "$scratch/err") -le ${lines:-1} ]] || fail "i1 generate $*: more lines: $(cat "$scratch/err")"
  [[ -z $(ls "$scratch/to") ]] || fail "i1 generate $*: left $(ls "$scratch/to")"
}
mkdir "$scratch/to" "$scratch/weights"
ln -s "$PWD/weights/taef2" "$scratch/weights/"
nano=$scratch/weights/nano
whole() { rm -rf "$nano"; cp -r weights/nano "$nano"; }
first=$nano/model-00001-of-00002.safetensors second=$nano/model-00002-of-00002.safetensors
broken() { local words=$1; shift; expect "$words" --model "$nano" "$@"; }

# Of another model, or none.
lean=goldens/dit/checkpoint_tiny_lean.pt
expect 'no EMA weights of an i1 backbone' --model weights/taef2/taef2.safetensors
expect 'no EMA weights of an i1 backbone' --model weights/nano/text_encoder
expect 'expected weights (safetensors, GGUF, .pt or .npz)' --model docs/nano.png
expect 'no weights in this folder' --model tests
expect 'a text encoder of width 256; the backbone takes 40' --model $lean --text-encoder weights/nano/text_encoder
expect 'no config.json in this folder; expected a folder of T5Gemma' --model $lean --text-encoder weights/taef2
expect 'README.md: is a file; expected a folder of T5Gemma' --model $lean --text-encoder README.md
expect 'neither config.json nor taef2.safetensors in this folder' --vae weights/nano
expect 'no autoencoder, it has no tensor decoder.*' --vae weights/nano/model-00001-of-00002.safetensors
expect '_class_name is ""; expected' --vae weights/nano/text_encoder
expect 'whose latents have 16 channels; the backbone'"'"'s have 32' --vae goldens/vae/flux1_tiny

# Of a download that did not end, or that gave something else.
for bytes in -1 -1000000 5 0; do
  whole
  truncate -s $bytes "$second"
  broken 'model-00002-of-00002.safetensors: '
done
whole
truncate -s -100 "$nano/text_encoder/model.safetensors"
broken 'text_encoder/model.safetensors: tensor encoder.norm.weight: bytes'
rm "$nano/text_encoder/model.safetensors"
broken 'text_encoder: no weights in this folder'
whole
rm "$second"
broken 'model-00002-of-00002.safetensors: cannot be opened'
rm "$nano/model.safetensors.index.json"
broken '1 shards model-*.safetensors, expected 2; incomplete'
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12663910\n' >"$scratch/pointer.safetensors"
expect 'git lfs pull' --model "$scratch/pointer.safetensors"
echo '<!doctype html><html><head><title>404</title></head></html>' >"$scratch/page.safetensors"
expect 'this is a web page' --model "$scratch/page.safetensors"
for file in '' /text_encoder; do  # room taken, values not there yet
  whole
  edit "$(ls "$nano$file"/model*.safetensors | tail -n 1)" 'data[len(data) // 2:] = bytes(len(data) - len(data) // 2)'
  broken 'holds only zeros; the file is incomplete'
done

# Configs, folders and files in each other's place, and names.
text_config() { whole; sed -i "$2" "$nano/text_encoder/config.json"; broken "$1"; }
text_config 'config.json: 5 "layer_types" for 3 layers' 's/"num_hidden_layers": [0-9]*/"num_hidden_layers": 3/'
text_config 'has shape [8000, 256], expected [3, 256]' 's/"vocab_size": [0-9]*/"vocab_size": 3/'
text_config 'config.json: not a JSON object' '1d'
rm "$nano/text_encoder/config.json"
broken 'no config.json in this folder; expected a folder of T5Gemma'
for file in text_encoder/config.json text_encoder/model.safetensors tokenizer/tokenizer.json bundle.json \
  model.safetensors.index.json model-00001-of-00002.safetensors; do
  whole
  rm "$nano/$file"
  mkdir "$nano/$file"
  broken "$file: is a folder, expected a file"
done
whole
truncate -s 1000 "$nano/tokenizer/tokenizer.json"
broken 'tokenizer.json: not a JSON object'
rm "$nano/tokenizer/tokenizer.json"
broken 'tokenizer: holds neither tokenizer.json nor tokenizer.model'
expect 'tests: is a folder, expected a file' --prompt-file tests
whole
edit "$first" 'header["mid_block.norm5.scale"] = header.pop("mid_block.norm1.scale")'
broken 'no tensor "mid_block.norm1.scale", which its index expects there'
rm "$nano/model.safetensors.index.json"
broken 'no tensor "mid_block.norm1.scale"; nearest: "mid_block.norm'
whole
rm "$nano/model.safetensors.index.json"
edit "$first" 'header["in_blocks.0.norm5.scale"] = dict(dtype="F32", shape=[1], data_offsets=[len(data), len(data) + 4]); data += bytes(4)'
broken 'unexpected tensor "in_blocks.0.norm5.scale"; nearest: "in_blocks.0.norm'
whole
edit "$nano/text_encoder/model.safetensors" 'header["encoder.more.weight"] = header.pop("encoder.norm.weight")'
broken 'no tensor "encoder.norm.weight"; nearest: '

# Values that are no numbers: stage and weight are named, below the line that says what is drawn.
lines=2
for dtype in float32 bfloat16 int8; do
  whole
  edit "$first" 'put("mid_block.attn.proj_image.bias", float("nan"))'
  broken 'prompt 0, picture 0: sampling step 1 of 2 (t = 0): values are not finite, first in stage mid_block.attn_out (' --dtype $dtype
  grep -q "backbone's tensor mid_block.attn.proj_image.bias (1 of 288 values)" "$scratch/err" || fail "not named: $(cat "$scratch/err")"
done
whole
edit "$nano/text_encoder/model.safetensors" 'put("encoder.norm.weight", float("inf"))'
broken "first in stage last_hidden_state (4 of 1024 values); the text encoder's tensor norm.weight (1 of 256 values) is not finite"
whole
cp weights/taef2/taef2.safetensors "$scratch/vae.safetensors"
edit "$scratch/vae.safetensors" 'put("decoder.19.bias", float("nan"))'
expect "first in stage decoder.19 (1024 of 3072 values); the autoencoder's tensor decoder.19.bias (1 of 3 values) is not finite" --vae "$scratch/vae.safetensors"

# Memory: refused before anything is made.
status=0
"$i1" generate "a red apple" --size 2048x2048 --num-images 2000 --batch-size 2000 --output "$scratch/to/pictures" >/dev/null 2>"$scratch/err" || status=$?
[[ $status == 2 && $(wc -l <"$scratch/err") == 1 ]] || fail "a batch of 2000: exit status $status: $(cat "$scratch/err")"
grep -q 'of memory, .* are available .*smaller --size or --batch-size' "$scratch/err" || fail "a batch of 2000: $(cat "$scratch/err")"
[[ -z $(ls "$scratch/to") ]] || fail "a batch of 2000 left $(ls "$scratch/to")"

# Files that change while they are mapped: weights as they are computed with, in one file.
mapped=$scratch/weights/mapped
"$i1" convert weights/nano "$scratch/model.safetensors" --dtype float32 >/dev/null
change() {  # change STATUS COMMAND: the command runs once the first picture is there
  local expected=$1 status=0 pid
  shift
  rm -rf "$mapped" "$scratch/pictures"
  mkdir "$mapped"
  cp "$scratch/model.safetensors" "$mapped/"
  for part in bundle.json text_encoder tokenizer; do ln -s "$PWD/weights/nano/$part" "$mapped/"; done
  "$i1" generate "a red apple" --model "$mapped" --dtype float32 --steps 10 --size 32x32 --batch-size 1 --num-images "$num_images" \
    --output "$scratch/pictures" >/dev/null 2>"$scratch/err" &
  pid=$!
  until [[ -e $scratch/pictures/00000_00.png ]] || ! kill -0 $pid 2>/dev/null; do sleep 0.01; done
  "$@"
  wait $pid || status=$?
  [[ $status == "$expected" ]] || fail "$*: exit status $status, expected $expected: $(cat "$scratch/err")"
  "$i1" inspect "$scratch"/pictures/*.png >/dev/null || fail "$*: a picture is damaged"
  [[ -z $(find "$scratch/pictures" -name '*.png.*') ]] || fail "$*: half-written: $(ls "$scratch/pictures")"
}
rewrite() { printf x | dd of="$mapped/model.safetensors" bs=1 seek=1000000 conv=notrunc status=none; }
replace() { cp "$mapped/model.safetensors" "$mapped/new" && truncate -s 1000000 "$mapped/new" && mv "$mapped/new" "$mapped/model.safetensors"; }
num_images=6 change 0 true
mv "$scratch/pictures" "$scratch/undisturbed"
num_images=6 change 0 replace
cmp "$scratch/pictures/00000_05.png" "$scratch/undisturbed/00000_05.png" || fail "a file that was replaced changed a picture"
for how in "truncate -s 1000000 $mapped/model.safetensors" rewrite; do
  num_images=3000 change 1 $how
  grep -qE "model.safetensors: was (cut off|written to) while it was read.*; wait until nothing writes to it" <(tail -n 1 "$scratch/err") ||
    fail "$how: $(cat "$scratch/err")"
  [[ $(ls "$scratch/pictures" | wc -l) -lt 3000 ]] || fail "$how: every picture was drawn"
done
echo "bad weights: ok"
