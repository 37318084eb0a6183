"""Corruptions are the same for a seed, and worse with the severity."""
import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from mmvisattn.analysis.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from mmvisattn.analysis.robustness import corrupted_pipeline, summarized


@pytest.fixture(scope='module')
def image():
    """A picture with fine texture and sharp edges."""
    rows, columns = np.mgrid[:96, :128]
    picture = np.stack([60 + rows, 200 - columns, 80 + 40 * np.sin(rows / 9)], -1)
    picture[31:62, 43:81] = (200, 30, 60)
    picture += cv2.GaussianBlur(np.random.default_rng(0).normal(0, 80, picture.shape), (0, 0), 1.2)
    return picture.clip(0, 255).astype(np.uint8)


def test_there_are_the_usual_ones():
    assert len(CORRUPTIONS) == 15 and SEVERITIES == (1, 2, 3, 4, 5)


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_severity_and_seed(name, image):
    pictures = [corrupted(image, name, severity, seed=1) for severity in SEVERITIES]
    assert all(picture.shape == image.shape and picture.dtype == np.uint8 for picture in pictures)
    assert (corrupted(image, name, 3, seed=1) == pictures[2]).all()
    distances = [np.abs(picture.astype(float) - image).mean() for picture in pictures]
    assert 0.5 < distances[0] < distances[-1] and distances[-1] < 150
    assert sum(a < b for a, b in zip(distances, distances[1:])) >= 3, distances


def test_known_values(image):
    gray = np.full((64, 64, 3), 128, np.uint8)
    noisy = corrupted(gray, 'gaussian_noise', 1).astype(float)
    assert noisy.std() == pytest.approx(0.08 * 255, rel=0.05) and noisy.mean() == pytest.approx(128, abs=1)
    hit = np.isin(corrupted(gray, 'impulse_noise', 5), (0, 255)).mean()
    assert hit == pytest.approx(0.27, abs=0.02)
    for blur in ('defocus_blur', 'glass_blur', 'motion_blur', 'zoom_blur', 'elastic_transform', 'contrast', 'pixelate'):
        assert np.abs(corrupted(gray, blur, 5).astype(int) - 128).max() <= 1, blur
    code = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 7])[1]
    assert np.abs(corrupted(image, 'jpeg_compression', 5).astype(int) - cv2.imdecode(code, 1)).max() <= 1


def test_the_transform_knows_the_order_of_channels_and_the_image(image):
    step = TRANSFORMS.build(dict(type='mmvisattn.Corruption', corruption='frost', severity=2, seed=5))
    done = step(dict(img=image[..., ::-1].copy(), sample_idx=3))['img']
    assert (done[..., ::-1] == corrupted(image, 'frost', 2, [5, 3])).all()
    assert (done != step(dict(img=image[..., ::-1].copy(), sample_idx=4))['img']).any()
    with pytest.raises(ValueError, match='rain'):
        TRANSFORMS.build(dict(type='mmvisattn.Corruption', corruption='rain', severity=1))
    with pytest.raises(ValueError, match='severity=6'):
        TRANSFORMS.build(dict(type='mmvisattn.Corruption', corruption='fog', severity=6))


def test_where_a_pipeline_is_corrupted():
    steps = [dict(type='LoadImageFromFile'), dict(type='Resize')]
    types = [step['type'] for step in corrupted_pipeline(steps, 'fog', 1, 0)]
    assert types == ['LoadImageFromFile', 'mmvisattn.Corruption', 'Resize'] and len(steps) == 2
    with pytest.raises(ValueError, match='no LoadImageFromFile'):
        corrupted_pipeline(steps[1:], 'fog', 1, 0)


def test_the_mean_under_corruption_is_one_of_means():
    found = summarized(dict(clean={'0': 0.8}, fog={'1': 0.6, '2': 0.2}, snow={'1': 0.2}))
    assert found == dict(clean=0.8, mPC=pytest.approx(0.3), rPC=pytest.approx(0.375),
                         corruptions=dict(fog=pytest.approx(0.4), snow=0.2))
