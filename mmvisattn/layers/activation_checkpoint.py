"""Trading recomputation for memory, a block at a time."""
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def run(module: nn.Module, x: Tensor, with_cp: bool, *args) -> Tensor:
    """``module(x, *args)``; with ``with_cp`` only its inputs are kept for the backward pass, if a gradient is wanted."""
    if with_cp and module.training and x.requires_grad:
        return checkpoint(module, x, *args, use_reentrant=False)
    return module(x, *args)
