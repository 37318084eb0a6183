"""Training and applying a restorer, and tiles without seams."""
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from mmvisattn.models import Restormer
from mmvisattn.restoration.pictures import Picture
from mmvisattn.restoration.restoring import restore_picture
from mmvisattn.restoration.tiling import BLENDINGS, in_tiles

BACKBONE = dict(type='mmvisattn.Restormer', embed_dims=8, depths=(1, 1, 1, 1), num_refinement_blocks=1,
                num_heads=(1, 1, 2, 2))


def restorer(**kwargs):
    return MODELS.build(dict(type='mmvisattn.ImageRestorer', backbone=BACKBONE, **kwargs))


@pytest.mark.parametrize('size', [(50, 70), (20, 70), (64, 64), (33, 32), (7, 5)], ids=str)
@pytest.mark.parametrize('overlap', [0, 8, 31])
def test_tiles_of_a_local_function_are_seamless(size, overlap):
    """A function of single pixels gives the same with and without tiles."""
    image = torch.rand(2, 3, *size)
    torch.testing.assert_close(in_tiles(lambda x: x.square() + 1, image, 32, overlap), image.square() + 1)


def test_tiles_blend_over_the_overlap():
    """Tiles with constant values: the result goes from one tile's value to the next in even steps."""
    values = iter([0.0, 1.0])
    row = in_tiles(lambda x: torch.full_like(x, next(values)), torch.zeros(1, 1, 8, 12), 8, 4)[0, 0, 0]
    torch.testing.assert_close(row, torch.tensor([0.0] * 4 + [0.2, 0.4, 0.6, 0.8] + [1.0] * 4))


def test_tiles_count_the_same_if_that_is_wanted():
    values = iter([0.0, 1.0])
    row = in_tiles(lambda x: torch.full_like(x, next(values)), torch.zeros(1, 1, 8, 12), 8, 4, 'mean')[0, 0, 0]
    torch.testing.assert_close(row, torch.tensor([0.0] * 4 + [0.5] * 4 + [1.0] * 4))


@pytest.mark.parametrize('blending', BLENDINGS)
def test_all_tiles_have_one_size(blending):
    """So that compiled and exported models serve."""
    sizes, image = set(), torch.rand(1, 3, 20, 75)

    def square(x):
        sizes.add(tuple(x.shape[-2:]))
        return x.square()

    torch.testing.assert_close(in_tiles(square, image, 32, 8, blending), image.square())
    assert sizes == {(32, 32)}


def test_wrong_settings_of_tiles_are_named():
    for overlap in (-1, 32):
        with pytest.raises(ValueError, match='tile_overlap'):
            in_tiles(nn.Identity(), torch.rand(1, 1, 64, 64), 32, overlap)
    with pytest.raises(ValueError, match='blending'):
        in_tiles(nn.Identity(), torch.rand(1, 1, 64, 64), 32, 8, 'none')


def test_predictions_keep_size_and_range():
    model = restorer(tile=24, tile_overlap=8).eval()
    images = [torch.rand(3, 40, 33) * 1.5, torch.rand(3, 9, 20)]
    samples = [BaseDataElement(metainfo=dict(img_path=name)) for name in 'ab']
    with torch.inference_mode():
        results = model.test_step(dict(inputs=images, data_samples=samples))
    assert [tuple(sample.restored.shape) for sample in results] == [(3, 40, 33), (3, 9, 20)]
    assert all(sample.restored.min() >= 0 and sample.restored.max() <= 1 for sample in results)
    assert results[1].img_path == 'b'


def test_large_tiles_are_the_whole_image():
    model, image = restorer().eval(), torch.rand(1, 3, 40, 33)
    with torch.inference_mode():
        whole = model(image)
        model.tile = 64
        torch.testing.assert_close(model(image), whole)


def test_the_loss_is_l1():
    model = restorer().train()
    degraded, clean = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    samples = [BaseDataElement(clean=image) for image in clean]
    loss = model(degraded, samples, mode='loss')['loss']
    torch.testing.assert_close(loss, (model.backbone(degraded) - clean).abs().mean())
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_mixup_mixes_both_of_a_pair_alike():
    model = restorer(mixup_beta=1.2)
    clean = torch.rand(4, 3, 8, 8)
    np.random.seed(0)
    mixed = [model.mixup(clean + 1, clean) for _ in range(20)]
    for degraded, truth in mixed:
        torch.testing.assert_close(degraded, truth + 1)
    untouched = sum(bool(torch.equal(truth, clean)) for _, truth in mixed)
    assert 3 < untouched < 17


def test_backbones_of_any_kind():
    assert isinstance(restorer().backbone, Restormer)


def test_colors_through_a_gray_network_take_the_memory_of_one():
    model = MODELS.build(dict(type='mmvisattn.ImageRestorer', backbone=dict(BACKBONE, in_channels=1, out_channels=1)))
    batches = []
    model.backbone.register_forward_hook(lambda module, args, output: batches.append(len(args[0])))
    pixels = np.random.default_rng(0).random((16, 24, 3), np.float32)
    restored = restore_picture(model, Picture(pixels, None, np.dtype(np.uint8))).pixels
    assert batches == [1, 1, 1] and restored.shape == pixels.shape
    for i in range(3):
        alone = restore_picture(model, Picture(pixels[..., i:i + 1], None, np.dtype(np.uint8))).pixels
        np.testing.assert_array_equal(restored[..., i:i + 1], alone)
