"""Memory layout."""
import torch
from torch import Tensor


def fast_layout(x: Tensor) -> Tensor:
    """A map (B, C, H, W) in the layout that its device convolves fast: channels last on a CPU, elsewhere as it is.

    Depthwise and 1 x 1 convolutions take a half to a twentieth of the time there; GPUs choose by precision, so the layout
    stays the user's choice (``model.to(memory_format=torch.channels_last)``).
    """
    return x.contiguous(memory_format=torch.channels_last) if x.is_cpu else x
