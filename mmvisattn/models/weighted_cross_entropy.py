"""Cross-entropy with class weights for segmentation heads."""
from mmseg.models.losses import CrossEntropyLoss
from torch import Tensor

from mmvisattn.registry import MODELS


@MODELS.register_module()
class WeightedCrossEntropy(CrossEntropyLoss):
    """Mean cross-entropy of the pixels that are not ignored, each weighted by its class.

    It equals mmseg's ``CrossEntropyLoss`` with class weights in OneDL's line. OpenMMLab's last mmseg (1.2.2) looks up the
    weight of ignored pixels, too, and stops with an IndexError: https://github.com/open-mmlab/mmsegmentation/issues/3734.

    Args:
        class_weight: a weight for each class.
        loss_weight: what the mean is multiplied with.
        loss_name: the loss's name in the log; it begins with ``loss_``.

    Shape:
        Logits (B, classes, H, W) and labels (B, H, W) to a scalar, 0 if all pixels are ignored.

    Raises:
        ValueError: if there is not one weight for each class of the logits.
    """

    def __init__(self, class_weight: list[float], loss_weight: float = 1.0, loss_name: str = 'loss_ce'):
        super().__init__(class_weight=class_weight, loss_weight=loss_weight, loss_name=loss_name, avg_non_ignore=True)

    def forward(self, logits: Tensor, label: Tensor, *args, ignore_index: int = -100, **kwargs) -> Tensor:
        if len(self.class_weight) != logits.shape[1]:
            raise ValueError(f'class_weight has {len(self.class_weight)} entries, but there are {logits.shape[1]} classes')
        logits = logits.float()  # half precision cannot hold the sum of a picture's weights
        weights = logits.new_tensor(self.class_weight)
        counted = weights[label[label != ignore_index]].sum()
        return super().forward(logits, label, *args, avg_factor=counted, ignore_index=ignore_index, **kwargs)
