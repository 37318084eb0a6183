#!/usr/bin/env bash
# Train on a Slurm cluster: sbatch [options of sbatch] tools/slurm_train.sh CONFIG [options of tools/train.py].
# Two machines of eight GPUs: sbatch --nodes 2 --ntasks-per-node 8 --gpus-per-node 8 tools/slurm_train.sh CONFIG.
# When the time is nearly over, and when the job is preempted, the training saves, and the job is queued again.
#SBATCH --job-name=mmvisattn
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@120
set -uo pipefail
[ $# -ge 1 ] || { echo 'usage: sbatch tools/slurm_train.sh CONFIG [options of tools/train.py]' >&2; exit 2; }
export MASTER_PORT=${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 10000))}  # jobs on one machine must not share it
srun --kill-on-bad-exit=1 "${PYTHON:-python}" -m mmvisattn train "$@" --launcher slurm --resume
status=$?
# 75: told to stop, and saved.
if [ "$status" = 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
