"""Whether a computation is being exported."""
import torch

# PyTorch has it from 2.7 on.
is_exporting = getattr(torch.compiler, 'is_exporting', bool)
