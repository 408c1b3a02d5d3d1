#!/usr/bin/env bash
# Twenty steps of the recipe `tiny` in float32 must give the stored series of losses and norms, tests/loss_series.csv: data order,
# noise, times, caption dropout, model, gradients, clipping, Adam, averages and learning rate all enter it.
#
# Tolerance: the order of sums differs with the width of vectors and the number of threads. Measured between AVX-512, SSE and
# two threads, latents included: 2e-5 of a value, and one unit of the last printed digit of the two norms that hardly move (1e-3
# of the way they go). The limit is 25 and 5 times that. The mistakes at the end are tried each time and must pass it.
#
# A change that is meant to alter training numbers regenerates the series and says so in its commit:
#     tests/loss_series.sh build/release/i1 build/release/tests/make_tiny_data --write
i1=$1
stored=$(dirname "$0")/loss_series.csv
. "$(dirname "$0")/common.sh"
make_cache "$i1" "$2" >/dev/null 2>&1
# A warm-up, a decay, a clip that acts, and a rate at which the averages fall behind the weights: else a lost one would not show.
options=(compute_dtype=float32 num_steps=20 learning_rate=5e-3 num_warmup_steps=4 decay_start=0.5 max_gradient_norm=0.5
  log_every=1 checkpoint_every=0)

# series NAME OVERRIDES...: prints the run's metrics but for its speed
series() {
  "$i1" train tiny --data-root "$scratch/root" --output "$scratch/$1" --threads 1 "${options[@]}" "${@:2}" >"$scratch/log" 2>&1 ||
    fail "$(cat "$scratch/log")"
  cut -d , -f 1-7 "$scratch/$1/tiny/metrics.csv"
}

# differs FILE: prints where FILE is farthest from the stored series, and fails where that is within the limit
differs() {
  python3 - "$stored" "$1" <<'END'
import csv, sys
LIMIT, NORM_LIMIT = 5e-4, 5e-3
stored, found = (list(csv.reader(open(path))) for path in sys.argv[1:])
if stored[0] != found[0] or len(stored) != len(found):
    sys.exit(print("other columns or another number of steps"))
worst = (0, "nothing")
for name, column, other in zip(stored[0], zip(*stored[1:]), zip(*found[1:])):
    values = [float(value) for value in column]
    for step, a, b in zip(stored[1:], values, map(float, other)):
        size = max(values) - min(values) if name in ("weight_norm", "ema_norm") else max(abs(a), 1e-9)
        limit = NORM_LIMIT if name in ("weight_norm", "ema_norm") else LIMIT
        excess = abs(b - a) / limit / size
        if not excess <= worst[0]:  # NaN too
            worst = (excess if excess == excess else float("inf"), f"{name} of step {step[0]}: {b}, stored {a}")
print("%s (%.2g of the limit)" % (worst[1], worst[0]))
sys.exit(worst[0] <= 1)
END
}

if [[ ${3:-} == --write ]]; then
  series written >"$scratch/written.csv"
  mv "$scratch/written.csv" "$stored"
  exit
fi
series plain >"$scratch/plain.csv"
difference=$(differs "$scratch/plain.csv") && fail "the series differs: $difference"
for mistake in learning_rate=5.05e-3 beta1=0.89 beta2=0.94 max_gradient_norm=0 ema_decay=0.89 num_warmup_steps=3 time.t_std=1.05; do
  series "$mistake" "$mistake" >"$scratch/mistake.csv"
  differs "$scratch/mistake.csv" >/dev/null || fail "$mistake is not told from the stored series"
done
echo "loss series: ok, farthest: $difference"
