"""Cross-entropy with class weights, against torch's."""
import pytest
import torch
from mmengine.registry import MODELS

pytest.importorskip('mmseg')
WEIGHTS = [0.5, 2.0, 3.5]


def build(**kwargs):
    return MODELS.build(dict(dict(type='mmvisattn.WeightedCrossEntropy', class_weight=WEIGHTS), **kwargs))


def test_is_torchs_weighted_mean_of_the_pixels_that_are_not_ignored():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    label = torch.randint(3, (2, 4, 5))
    label[0, :2] = 255
    loss = build(loss_weight=0.5)(logits, label, ignore_index=255)
    expected = 0.5 * torch.nn.functional.cross_entropy(logits, label, torch.tensor(WEIGHTS), ignore_index=255)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(x, logits)[0] for x in (loss, expected)))


def test_is_zero_where_all_pixels_are_ignored():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = build()(logits, torch.full((1, 2, 2), 255), ignore_index=255)
    assert loss == 0 and torch.autograd.grad(loss, logits)[0].abs().max() == 0


def test_a_wrong_number_of_weights_is_named():
    with pytest.raises(ValueError, match='class_weight has 3 entries, but there are 4 classes'):
        build()(torch.randn(1, 4, 2, 2), torch.zeros(1, 2, 2, dtype=torch.long))


def test_half_precision_sums_more_weights_than_it_could_hold():
    logits = torch.zeros(1, 3, 300, 300, dtype=torch.float16)
    loss = build()(logits, torch.full((1, 300, 300), 2), ignore_index=255)
    torch.testing.assert_close(loss, torch.log(torch.tensor(3.0)))
