#!/usr/bin/env bash
# From raw pictures to a generated one with a model trained in seconds: the whole road. Same seed, same bytes at any thread
# count and batch size; the command that a picture carries makes it again; awkward prompts give pictures.
i1=$1
. "$(dirname "$0")/common.sh"
make_cache "$i1" "$2"
"$i1" train tiny --data-root "$scratch/root" --output "$scratch/run" >/dev/null 2>&1
"$i1" train tiny --data-root "$scratch/root" --output "$scratch/run" --export "$scratch/weights/tiny" >/dev/null
(cd "$scratch" && "$i1" train tiny --data-root root --output run --export exported >/dev/null &&
  "$i1" generate "a red square" --model exported --steps 1 --output exported.png 2>/dev/null >/dev/null) || fail "an export to a relative folder"
generate() { "$i1" generate --model "$scratch/weights/tiny" --steps 4 "$@" 2>/dev/null; }

long=$(printf "a blue bar and a red cross %.0s" {1..40})
for dtype in float32 bfloat16 int8; do
  draw() { generate "a red square" "$long" "a green cross" --num-images 2 --seed 5 --dtype $dtype "$@"; }
  draw --output "$scratch/a" --threads 1 --batch-size 6
  draw --output "$scratch/b" --threads 2 --batch-size 1
  draw --output "$scratch/c" --threads 7 --batch-size 4
  for picture in "$scratch"/a/*.png; do
    for other in b c; do
      cmp "$picture" "$scratch/$other/$(basename "$picture")" || fail "$(basename "$picture") depends on threads or batch size ($dtype)"
    done
  done
  command=$("$i1" inspect "$scratch/a/00001_01.png" | tail -n 1)
  (cd "$scratch" && eval "${command/#i1/$i1}" 2>/dev/null >/dev/null)
  cmp "$scratch/00001_01.png" "$scratch/a/00001_01.png" || fail "the stored command makes another picture ($dtype)"
  rm -r "$scratch/a" "$scratch/b" "$scratch/c"
done

generate "" --output "$scratch/empty.png" >/dev/null || fail "the empty prompt"
generate "$(head -c 100000 /dev/zero | tr '\0' 'a')" --output "$scratch/long.png" >/dev/null || fail "a prompt of 100,000 characters"
generate $'\xff\xfe not UTF-8' --output "$scratch/bytes.png" >/dev/null || fail "a prompt that is not UTF-8"
generate "wide" --size 64x32 --output "$scratch/wide.png" >/dev/null || fail "a picture that is not square"
printf 'one\n\ntwo\r\n' | generate --prompt-file - --output "$scratch/lines" >/dev/null || fail "prompts from standard input"
[[ $(ls "$scratch/lines" | wc -l) == 2 ]] || fail "two lines should make two pictures"
echo "generate: ok"
