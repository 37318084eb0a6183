#!/usr/bin/env bash
# Run a tool in several processes, by torchrun: tools/dist_run.sh train|test PROCESSES [arguments of the tool].
# Several machines: the same on each, with NODES=2 MASTER_ADDR=10.0.0.1 (the name of one of them) and MASTER_PORT (29500).
# RESTARTS=3: if a process dies, all are started again, up to three times. PYTHON names another interpreter.
set -euo pipefail
tool=$1 processes=$2
where=(--standalone)
if [ "${NODES:-1}" != 1 ]; then
    where=(--nnodes "$NODES" --rdzv-backend c10d --rdzv-endpoint "${MASTER_ADDR:?names one of the $NODES machines}:${MASTER_PORT:-29500}")
fi
# Otherwise processes that are started again find addresses of those that died: https://github.com/pytorch/pytorch/issues/135712
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
exec "${PYTHON:-python}" -m torch.distributed.run "${where[@]}" --nproc-per-node "$processes" \
    --max-restarts "${RESTARTS:-0}" "$(dirname "$0")/$tool.py" "${@:3}" --launcher pytorch
