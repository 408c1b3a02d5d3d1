#!/usr/bin/env bash
# Whole steps of this program beside the reference's PyTorch code, on this machine, taking turns so that both see the same
# neighbours. Prints a Markdown table: seconds (median, least, most of all rounds), ratio, peak memory.
#
#   benchmarks/compare.sh REFERENCE PYTHON [ROUNDS]
#
# REFERENCE  a clone of github.com/zlab-princeton/i1      PYTHON  an interpreter with torch and what the clone imports
set -euo pipefail
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit; }
reference=$(cd "${1:?usage: benchmarks/compare.sh REFERENCE PYTHON [ROUNDS]}" && pwd)
python=${2:?usage: benchmarks/compare.sh REFERENCE PYTHON [ROUNDS]}
rounds=${3:-3}
cd "$(dirname "$0")/.."
ours=build/release/benchmarks/steps
[[ -x $ours ]] || ninja -C build/release steps
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

compare() {  # NAME OPTIONS...
  local name=$1 round
  shift
  for round in $(seq "$rounds"); do
    echo "$name (round $round of $rounds)" >&2
    printf '%s\tours\t%s\n' "$name" "$("$ours" "$@")" >>"$lines"
    printf '%s\treference\t%s\n' "$name" "$("$python" benchmarks/reference.py "$reference" "$@" 2>/dev/null)" >>"$lines"
  done
}

compare "guided step, XL, 256 px, bfloat16" guided_step --dtype bfloat16 --num-tokens 40 --repeats 4
compare "the same, int8 weights (reference: bfloat16)" guided_step --dtype int8 --num-tokens 40 --repeats 4
compare "guided step, XL, 256 px, float32" guided_step --dtype float32 --num-tokens 40 --repeats 4
compare "training step, nano, batch 32" training_step --num-tokens 64 --num-valid-tokens 12 --batch 32 --repeats 30
compare "FLUX.2's decoder, 512 px, bfloat16" decode --dtype bfloat16 --repeats 2
compare "the same in float32" decode --dtype float32 --repeats 1

python3 - "$lines" <<'PY'
import json, statistics, sys

runs = {}
for line in open(sys.argv[1]):
    name, side, result = line.rstrip("\n").split("\t")
    runs.setdefault(name, {}).setdefault(side, []).append(json.loads(result))
print("| step | ours, s | reference, s | times faster | ours, MB | reference, MB |\n|---|---|---|---|---|---|")
for name, sides in runs.items():
    def seconds(side):
        median = statistics.median(run["seconds_median"] for run in sides[side])
        least = min(run["seconds_min"] for run in sides[side])
        most = max(run["seconds_max"] for run in sides[side])
        return median, f"{median:.3f} ({least:.3f} to {most:.3f})"
    def memory(side):
        return max(run["peak_resident_mb"] for run in sides[side])
    ratios = [r["seconds_median"] / o["seconds_median"] for o, r in zip(sides["ours"], sides["reference"])]
    print(f"| {name} | {seconds('ours')[1]} | {seconds('reference')[1]} | "
          f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {memory('ours'):.0f} | {memory('reference'):.0f} |")
PY
