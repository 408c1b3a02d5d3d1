#!/usr/bin/env bash
# Runs the README's commands that need no training data, and checks that every path it names exists.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for path in $(grep -o '`[A-Za-z0-9_./]*\.\(cpp\|md\|sh\)`' README.md docs/*.md | cut -d: -f2 | tr -d '`' | sort -u); do
  [[ -e $path ]] || { echo "README or docs name $path, which is not there" >&2; exit 1; }
done

./run generate "a red apple on a blue plate" --output "$scratch/out.png"
./run inspect "$scratch/out.png"
./run generate "a 3D render of a penguin" --seed 7 --output "$scratch/penguin.png"
./run generate "a penguin" "a fire engine" --num-images 2 --output "$scratch/pictures"
[[ $(find "$scratch/pictures" -name '*.png' | wc -l) == 4 ]]
printf 'a cat\na dog\n' >"$scratch/prompts.txt"
./run generate --prompt-file "$scratch/prompts.txt" --aspect 3:2 --output "$scratch/lines"
for command in generate download inspect check train data evaluate; do ./run "$command" --help >/dev/null; done
echo "README: ok"
