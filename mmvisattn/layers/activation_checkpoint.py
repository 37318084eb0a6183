"""Trading recomputation for memory, a block at a time."""
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def run(module: nn.Module, x: Tensor, with_cp: bool) -> Tensor:
    """``module(x)``, keeping only ``x`` for the backward pass if ``with_cp`` and a gradient is wanted."""
    if with_cp and module.training and x.requires_grad:
        return checkpoint(module, x, use_reentrant=False)
    return module(x)
