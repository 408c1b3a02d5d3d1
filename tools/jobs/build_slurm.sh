#!/usr/bin/env bash
#SBATCH --job-name=i1-build
#SBATCH --array=0-63
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --output=i1-build-%a.log
# A Slurm array of workers that build one data set; what stands above is yours to change. The arguments are those of
# `i1 data build`, without --shard:
#
#   job=$(sbatch --parsable tools/jobs/build_slurm.sh folder --pictures photos --size 256 --output records/photos)
#   sbatch --dependency=afterok:$job --wrap "i1 data merge records/photos"
#
# A worker that failed is started again, alone, by the same command with --array: sbatch --array=17 tools/jobs/build_slurm.sh ...
# WORKERS (64) is the number of all workers, and has to be 1 more than the end of the whole --array.
# I1 is the program, where it is not in the PATH.
set -euo pipefail
workers=${WORKERS:-64}
worker=${SLURM_ARRAY_TASK_ID:?is set by Slurm in an array: sbatch --array=0-$((workers - 1)) ...}
(( worker < workers )) || { echo "build_slurm.sh: task $worker of $workers workers; set WORKERS" >&2; exit 2; }
exec "${I1:-i1}" data build "$@" --shard "$worker/$workers" --threads "${SLURM_CPUS_PER_TASK:-0}"
