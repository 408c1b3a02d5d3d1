#!/usr/bin/env bash
# `i1 data build --shard K/N`: the job files of tools/jobs run here as so many processes, workers killed in the middle,
# and `i1 data merge`: the set is that of one process, byte for byte, and what does not belong to it is told.
i1=$1
. "$(dirname "$0")/common.sh"

pictures=$scratch/data/photos
mkdir -p "$pictures"
for i in $(seq 100 219); do
  cp goldens/data/images/inputs/jpeg_444.jpg "$pictures/$i.jpg"
  echo "caption $i" >"$pictures/$i.txt"
done
echo "no picture" >"$pictures/110.jpg"
rm "$pictures/111.txt"
one_line() {  # one_line WORDS COMMAND ...: fails with one line that says so
  local words=$1 status=0
  shift
  "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
  [[ $status == 2 ]] || fail "$*: exit status $status: $(cat "$scratch/err")"
  [[ $(grep -c '^i1: ' "$scratch/err") == 1 ]] && grep -qF -- "$words" "$scratch/err" || fail "$*: \"$(cat "$scratch/err")\" does not say \"$words\""
}
same() { diff -rq -x report.html "$scratch/whole" "$1" || fail "$1 is not the set of one process"; }
build=(folder --pictures "$pictures" --size 32 --num-shards 7)

"$i1" data build "${build[@]}" --output "$scratch/whole" >"$scratch/out" 2>&1
grep -q '118 pictures in 7 shards' "$scratch/out" || fail "$(cat "$scratch/out")"
"$i1" data verify "$scratch/whole" >/dev/null || fail "the set of one process is not whole"

# The Slurm script, one process a task.
job=tools/jobs/build_slurm.sh
bash -n $job
for task in 2 0 1; do
  I1=$i1 WORKERS=3 SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 $job "${build[@]}" --output "$scratch/slurm" >"$scratch/out$task" 2>&1 &
done
wait
grep -q "3 parts are done: i1 data merge $scratch/slurm" "$scratch/out0" || fail "$(cat "$scratch"/out?)"
"$i1" data merge "$scratch/slurm" >/dev/null
same "$scratch/slurm"
I1=$i1 WORKERS=2 SLURM_ARRAY_TASK_ID=2 $job "${build[@]}" --output "$scratch/none" 2>/dev/null && fail "task 2 of 2 workers was run"
[[ ! -e $scratch/none ]] || fail "a refused task left a folder"

# The command of the Kubernetes job, its /data a folder here.
job=tools/jobs/build_kubernetes.yaml
grep -qx '  completionMode: Indexed' $job || fail "the job is not indexed"
command=$(sed -n '/^            - |$/,/^          resources:$/{//d;p}' $job | sed "s|/data/|$scratch/data/|g; s|--size 256|--size 32 --num-shards 7|")
[[ $command == *JOB_COMPLETION_INDEX* ]] || fail "no command found in $job"
mkdir "$scratch/bin"
ln -s "$(realpath "$i1")" "$scratch/bin/i1"
for index in 0 1; do
  PATH=$scratch/bin:$PATH JOB_COMPLETION_INDEX=$index WORKERS=2 sh -c "$command" >"$scratch/out$index" 2>&1 || fail "$(cat "$scratch/out$index")"
done
"$i1" data merge "$scratch/data/records/photos" >/dev/null
same "$scratch/data/records/photos"

# Killed again and again at any moment, then run to its end.
set -m
for delay in 0.3 0.35 0.4 0.5; do
  "$i1" data build "${build[@]}" --output "$scratch/killed" --threads 1 >/dev/null 2>&1 &
  sleep $delay
  kill -KILL $! 2>/dev/null || true
  wait $! 2>/dev/null || true
done
"$i1" data build "${build[@]}" --output "$scratch/killed" >"$scratch/out" 2>&1
same "$scratch/killed"
"$i1" data build "${build[@]}" --output "$scratch/killed" >"$scratch/out" 2>&1
grep -q '7 shards were there already' "$scratch/out" || fail "built again: $(cat "$scratch/out")"

# Missing, other options, twice.
rm "$scratch/killed/dataset-train.tfrecord-00003-of-00007"
one_line "1 of 7 shards missing, the first is number 3" "$i1" data merge "$scratch/killed"
one_line "built with other options (size 32 and 16)" "$i1" data build folder --pictures "$pictures" --num-shards 7 --size 16 --output "$scratch/whole"
one_line "is there twice" "$i1" data merge "$scratch/slurm" "$scratch/whole" --output "$scratch/joined"
[[ ! -e $scratch/joined && ! -e $scratch/joined.partial ]] || fail "a refused merge left a folder"
one_line "expected K/N" "$i1" data build "${build[@]}" --output "$scratch/x" --shard 7/7

# A tar set: the same pictures, read by Python and by ourselves.
"$i1" data build "${build[@]}" --format webdataset --output "$scratch/tars" >/dev/null 2>&1
"$i1" data verify "$scratch/tars" >/dev/null || fail "the tar set is not whole"
python3 - "$scratch/tars" <<'PYTHON' || fail "Python reads another tar set"
import glob, sys, tarfile
keys, captions = [], []
for path in sorted(glob.glob(sys.argv[1] + "/*.tar")):
    with tarfile.open(path) as tar:
        for member in tar:
            data = tar.extractfile(member).read()
            key, ending = member.name.split(".", 1)
            if ending == "png":
                assert data.startswith(b"\x89PNG"), member.name
                keys.append(key)
            else:
                assert ending == "txt" and keys[-1] == key
                captions.append(data.decode())
expected = [str(i) for i in range(100, 220) if i not in (110, 111)]
assert keys == expected and captions == ["caption " + key for key in expected]
PYTHON
"$i1" data build webdataset --pictures "$scratch/tars" --size 32 --num-shards 7 --output "$scratch/back" >/dev/null 2>&1
for key in 100 219; do grep -aq "caption $key" "$scratch"/back/dataset-train.tfrecord-* || fail "caption $key did not come back"; done
"$i1" data verify "$scratch/back" | grep -q '118 records in 7 shards, 118 captions' || fail "the tar set did not come back"
dd if=/dev/zero of="$scratch/tars/dataset-train-00002-of-00007.tar" bs=1 seek=700 count=1 conv=notrunc 2>/dev/null
"$i1" data verify "$scratch/tars" >"$scratch/out" && fail "a damaged tar was not found"
grep -q 'its checksum is' "$scratch/out" || fail "$(cat "$scratch/out")"
