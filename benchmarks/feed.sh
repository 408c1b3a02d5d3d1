#!/usr/bin/env bash
# What feeds training beside the Python programs for the same work, on this machine, taking turns so that both see the same
# neighbours: decoding and transform of 300 JPEGs of a megapixel beside Pillow, records to batches beside tf.data, cached latents.
# Prints a Markdown table: a second, and times faster, median (least to most) of the rounds.
#
#   benchmarks/feed.sh FOLDER [ROUNDS]
#
# FOLDER  for pictures and Python environments (1.5 GB, from the Debian package plasma-workspace-wallpapers and PyPI); kept
set -euo pipefail
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit; }
mkdir -p "${1:?usage: benchmarks/feed.sh FOLDER [ROUNDS]}"
folder=$(cd "$1" && pwd)
rounds=${2:-3}
cd "$(dirname "$0")/.."
ninja -C build/release transform batches i1 >/dev/null
programs=build/release/benchmarks

python=$folder/python/bin/python
if [[ ! -x $python ]]; then
  python3 -m venv "$folder/python"
  "$python" -m pip --disable-pip-version-check install -q pillow==9.4.0 tensorflow-cpu==2.21.0
fi
if [[ ! -d $folder/crops ]]; then
  (cd "$folder" && apt-get download -q plasma-workspace-wallpapers >/dev/null && dpkg-deb -x plasma-workspace-wallpapers_*.deb wallpapers)
  "$python" benchmarks/feed.py crops "$folder/wallpapers" "$folder/crops" 300
fi
if [[ ! -d $folder/records ]]; then
  for picture in "$folder"/crops/*.jpg; do
    printf '{"key": "%s", "caption": "a picture"}\n' "$(basename "$picture" .jpg)"
  done >"$folder/captions.jsonl"
  build/release/i1 data build folder --pictures "$folder/crops" --captions "$folder/captions.jsonl" --size 256 --num-shards 16 \
    --output "$folder/records" >/dev/null 2>&1
fi

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
note() {  # ROW SIDE COMMAND...
  local row=$1 side=$2
  shift 2
  printf '%s\t%s\t%s\n' "$row" "$side" "$("$@" 2>/dev/null)" >>"$lines"
}
for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  note "JPEG of 1 megapixel to 256 px, the same bits" theirs "$python" benchmarks/feed.py pillow "$folder/crops" 256 2
  note "JPEG of 1 megapixel to 256 px, the same bits" ours "$programs/transform" "$folder/crops"
  note "the same with --fast-decode" theirs "$python" benchmarks/feed.py pillow "$folder/crops" 256 2
  note "the same with --fast-decode" ours "$programs/transform" "$folder/crops" --fast-decode
  note "records of 256 px to shuffled batches of 64" theirs "$python" benchmarks/feed.py tfdata "$folder/records" 64 4000
  note "records of 256 px to shuffled batches of 64" ours "$programs/batches" --records "$folder/records" --examples 8000
  note "latents of 256 px to batches of 64" ours "$programs/batches" --examples 100000
done

python3 - "$lines" <<'PY'
import json, statistics, sys

rows = {}
for line in open(sys.argv[1]):
    row, side, result = line.rstrip("\n").split("\t")
    result = json.loads(result)
    rate = result.get("pictures_per_second") or result["examples_per_second"]
    sides = rows.setdefault(row, {"ours": [], "theirs": [], "program": "", "difference": ""})
    sides[side].append(rate)
    if side == "theirs":
        sides["program"] = result["program"]
    if "difference" in result:
        sides["difference"] = str(result["difference"])

def spread(values, digits):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"

print("| | ours, a second | theirs, a second | times faster |\n|---|---|---|---|")
for row, sides in rows.items():
    ratios = [ours / theirs for ours, theirs in zip(sides["ours"], sides["theirs"])]
    theirs = f"{sides['program']}: {spread(sides['theirs'], 0)}" if ratios else ""
    print(f"| {row} | {spread(sides['ours'], 0)} | {theirs} | {spread(ratios, 2) if ratios else ''} |")
    if sides["difference"]:
        print(f"difference of --fast-decode: {sides['difference']}", file=sys.stderr)
PY
