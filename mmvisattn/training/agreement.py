"""What several processes decide together."""
from typing import Any

import torch
from mmengine.dist import get_world_size


class Agreement:
    """A question that every rank answers at every step: all learn whether any rank said yes, at the same step.

    On GPUs, the answers of a step are looked at in the next one, so that nothing waits for them.
    """

    def __init__(self):
        self.group: Any = None
        self.work: Any = None
        self.said = torch.tensor(0)

    def ask(self, own: bool) -> bool:
        """Whether any rank said yes; every rank must call this equally often."""
        if get_world_size() == 1:
            return own
        if self.group is None:  # of its own on CPUs: it disturbs nothing that runs on GPUs
            self.group = torch.distributed.new_group(backend='gloo')
        agreed = False
        if self.work is not None:
            self.work.wait()
            agreed = bool(self.said.item())
        self.said = torch.tensor(int(own))
        self.work = torch.distributed.all_reduce(self.said, torch.distributed.ReduceOp.MAX, self.group, async_op=True)
        return agreed

    def end(self) -> None:
        """Wait for the last answers, so that the processes can part."""
        if self.work is not None:
            self.work.wait()
