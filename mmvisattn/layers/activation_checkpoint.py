"""Trading recomputation for memory, a block at a time."""
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Within, batch norms in training leave their running statistics alone: those of one batch count once."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, num_batches_tracked) in zip(norms, kept):
            norm.momentum, norm.num_batches_tracked = momentum, num_batches_tracked


def run(module: nn.Module, x: Tensor, with_cp: bool, *args) -> Tensor:
    """``module(x, *args)``; with ``with_cp`` only its inputs are kept for the backward pass, if a gradient is wanted."""
    if with_cp and module.training and x.requires_grad:
        return checkpoint(
            module, x, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), _statistics_kept(module)))
    return module(x, *args)
