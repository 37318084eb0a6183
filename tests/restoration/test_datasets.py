"""Pairs of images for restoration, and their augmentations."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS

from mmvisattn.restoration.datasets import LoadImages, RandomFlipRotate, RandomPatch
from mmvisattn.restoration.degradations import AddGaussianNoise, AddRain


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def folders(tmp_path):
    random = np.random.default_rng(0)
    for i in range(3):
        image = random.integers(0, 256, (40, 50 + i, 3), dtype=np.uint8)
        write(tmp_path / 'clean' / f'{i}.png', image)
        write(tmp_path / 'noisy' / f'{i}.png', 255 - image)
    return tmp_path


PAIRS = dict(type='mmvisattn.PairedImageDataset', data_prefix=dict(clean='clean', degraded='noisy'),
             pipeline=[dict(type='mmvisattn.LoadImages'), dict(type='mmvisattn.PackRestoration')])


def test_pairs_of_equal_names(folders):
    dataset = DATASETS.build(dict(PAIRS, data_root=str(folders)))
    assert len(dataset) == 3
    item = dataset[1]
    assert item['inputs'].shape == (3, 40, 51) and item['data_samples'].img_path.endswith('noisy/1.png')
    torch.testing.assert_close(item['inputs'], 1 - item['data_samples'].clean)
    written = cv2.imread(str(folders / 'noisy' / '1.png'))[..., ::-1].transpose(2, 0, 1) / 255
    torch.testing.assert_close(item['inputs'], torch.from_numpy(written).float())


def test_two_views_are_joined(folders):
    prefix = dict(clean='clean', degraded='noisy', degraded_right='clean')
    item = DATASETS.build(dict(PAIRS, data_root=str(folders), data_prefix=prefix))[0]
    assert item['inputs'].shape == (6, 40, 50)
    torch.testing.assert_close(item['inputs'][3:], item['data_samples'].clean)


def test_an_image_without_its_pair_is_named(folders):
    (folders / 'noisy' / '1.png').unlink()
    with pytest.raises(FileNotFoundError, match='noisy lacks 1 .* such as 1'):
        DATASETS.build(dict(PAIRS, data_root=str(folders)))
    with pytest.raises(FileNotFoundError, match='nothing'):
        DATASETS.build(dict(PAIRS, data_root=str(folders), data_prefix=dict(clean='nothing', degraded='noisy')))


def test_pairs_of_unequal_size_are_named(folders):
    write(folders / 'noisy' / '2.png', np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r'noisy/2.png and .*clean/2.png differ in size'):
        DATASETS.build(dict(PAIRS, data_root=str(folders)))[2]


def test_gray_and_sixteen_bits(tmp_path):
    write(tmp_path / 'deep.png', np.full((4, 5), 65535, np.uint16))
    for channels in (1, 3):
        results = LoadImages(channels=channels)(dict(clean=[str(tmp_path / 'deep.png')]))
        assert results['clean'].shape == (4, 5, channels) and (results['clean'] == 1).all()


@pytest.mark.parametrize('size', [16, 60])
def test_patches_are_the_same_for_both(size):
    clean = np.random.rand(40, 50, 3).astype(np.float32)
    results = RandomPatch(size)(dict(clean=clean, degraded=clean + 1, patch_size=None))
    results = RandomFlipRotate()(results)
    assert results['clean'].shape == (size, size, 3)
    np.testing.assert_allclose(results['degraded'], results['clean'] + 1)


def test_the_sampler_decides_the_patch_size(folders):
    pipeline = [PAIRS['pipeline'][0], dict(type='mmvisattn.RandomPatch', size=8), PAIRS['pipeline'][1]]
    dataset = DATASETS.build(dict(PAIRS, data_root=str(folders), pipeline=pipeline))
    assert dataset[0]['inputs'].shape == (3, 8, 8) and dataset[0, 24]['inputs'].shape == (3, 24, 24)


def test_noise_has_its_deviation_and_stays_where_it_is_fixed():
    clean = np.full((200, 200, 3), 0.5, np.float32)

    def noisy(transform):
        return transform(dict(degraded=clean, clean=clean))['degraded'] - clean

    assert np.std(noisy(AddGaussianNoise(25))) == pytest.approx(25 / 255, rel=0.01)
    fixed = AddGaussianNoise(25, seed=0)
    np.testing.assert_array_equal(noisy(fixed), noisy(fixed))
    blind = {round(float(np.std(noisy(AddGaussianNoise((0, 50))))) * 255) for _ in range(10)}
    assert len(blind) > 3 and max(blind) <= 51


def test_rain_is_bright_has_one_direction_and_stays_where_it_is_fixed():
    clean = np.full((120, 160, 3), 0.3, np.float32)

    def rain(index=0, **settings):
        return AddRain(fixed=True, **settings)(dict(degraded=clean, sample_idx=index))['degraded'] - clean

    fallen = rain(angle=(20, 20))
    assert fallen.min() >= 0 and 0.1 < fallen.max() <= 0.56 + 1e-6 and fallen.dtype == np.float32
    np.testing.assert_array_equal(rain(), rain())
    assert (rain(1) != rain()).any()
    layer = fallen[..., 0]

    def likeness(angle):  # to itself, 12 pixels further along a direction
        down, right = (round(12 * part(np.deg2rad(angle))) for part in (np.cos, np.sin))
        return (layer * np.roll(layer, (down, right), (0, 1))).sum()

    assert max(range(-60, 61, 10), key=likeness) == 20
    white = np.ones((20, 20, 3), np.float32)
    np.testing.assert_allclose(AddRain()(dict(degraded=white))['degraded'], 1)


def test_test_sets_and_their_parts_are_known(folders):
    np.save(folders / 'indoor.npy', [0, 2])
    dataset = DATASETS.build(dict(PAIRS, data_root=str(folders), test_set='both', subsets={'indoor': 'indoor.npy'}))
    samples = [dataset[i]['data_samples'] for i in range(3)]
    assert [(sample.test_set, sample.sample_idx, sample.subsets) for sample in samples] == [
        ('both', 0, ['indoor']), ('both', 1, []), ('both', 2, ['indoor'])]
    with pytest.raises(FileNotFoundError, match='outdoor.npy'):
        DATASETS.build(dict(PAIRS, data_root=str(folders), subsets={'outdoor': 'outdoor.npy'}))


def test_indices_may_count_from_one(folders):
    subsets = {'indoor': 'indoor.npy', 'outdoor': 'outdoor.npy'}

    def parts(indoor, outdoor):
        np.save(folders / 'indoor.npy', indoor)
        np.save(folders / 'outdoor.npy', outdoor)
        dataset = DATASETS.build(dict(PAIRS, data_root=str(folders), subsets=subsets))
        return [dataset[i]['data_samples'].subsets for i in range(3)]
    assert parts([1, 3], [2]) == parts([0, 2], [1]) == [['indoor'], ['outdoor'], ['indoor']]
    for indices in ([0, 3], [1, 4], [-1, 0]):
        with pytest.raises(ValueError, match='do not fit 3 images'):
            parts(indices, [1])
