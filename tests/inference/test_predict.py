"""What ``mmvisattn.load(…).predict(…)`` says is what ``tools/test.py`` measures, however an image is given."""
import json
from io import BytesIO

import cv2
import numpy as np
import pytest
import torch
from helpers.reduced import ROOT
from helpers.serving import served
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

import mmvisattn
from mmvisattn.inference import ClassificationResult, DetectionResult, RestorationResult, SegmentationResult
from mmvisattn.inference.sources import as_bytes, pixels_of

CLASSIFIER = ROOT / 'configs/topformer/topformer-tiny_1xb32-12e_miniature-imagenet-96x96.py'
SEGMENTOR = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'


@pytest.fixture(scope='module')
def segmentor():
    return mmvisattn.load('segmentation')


@pytest.fixture(scope='module')
def detector():
    pytest.importorskip('mmdet')
    return mmvisattn.load('detection')


@pytest.fixture(scope='module')
def restorer():
    return mmvisattn.load('restoration')


@pytest.fixture(scope='module')
def picture():
    """Something with edges, (90, 120, 3) RGB."""
    image = np.full((90, 120, 3), (90, 140, 200), np.uint8)
    cv2.rectangle(image, (0, 50), (120, 90), (80, 80, 80), -1)
    cv2.circle(image, (60, 50), 15, (200, 40, 30), -1)
    return image


@pytest.fixture(scope='module')
def files(picture, tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    for i, size in enumerate([(120, 90), (100, 90), (120, 90)]):
        Image.fromarray(picture).resize(size).save(folder / f'{i}.png')
    return folder


def results_of_test_loop(predictor, **dataset):
    """What the model of a predictor says to the batches of its config's test loader, on another data set."""
    loader = dict(predictor.config.test_dataloader, batch_size=1, num_workers=0, persistent_workers=False)
    loader['dataset'] = dict(loader['dataset'], **dataset)
    with DefaultScope.overwrite_default_scope(predictor.config.default_scope):
        return [predictor.model.test_step(batch)[0] for batch in Runner.build_dataloader(loader)]


def test_scores_are_those_of_the_test_loop(miniature_imagenet, tmp_path):
    classifier = mmvisattn.load(CLASSIFIER)
    samples = results_of_test_loop(classifier, data_root=str(miniature_imagenet))
    assert len(samples) == 8
    for sample in samples:
        result = classifier.predict(sample.img_path)
        np.testing.assert_allclose(result.scores, sample.pred_score.detach().numpy(), atol=1e-6)
        best = classifier.classes[int(sample.pred_label)]
        assert list(result.top(1)) == [best] and len(result.top()) == 5 and best in repr(result)
    result.save(tmp_path / 'scores.png')
    assert Image.open(tmp_path / 'scores.png').height > result.image.shape[0]
    with pytest.raises(ValueError, match='as a whole'):
        classifier.predict(sample.img_path, tile=64)


def test_an_architecture_is_a_backbone_and_a_config_a_classifier():
    pytest.importorskip('mmpretrain')
    assert type(mmvisattn.load('topformer-tiny')).__name__ == 'TopFormer'
    classifier = mmvisattn.load('topformer-tiny_8xb128_in1k')
    assert isinstance(classifier.predict(np.zeros((40, 50, 3), np.uint8)), ClassificationResult)
    assert len(classifier.classes) == 1000


def test_labels_are_those_of_the_test_loop(segmentor, miniature):
    samples = results_of_test_loop(
        segmentor, type='mmvisattn.MiniatureDataset', data_root=str(miniature))
    assert len(samples) == 3
    for sample in samples:
        assert np.array_equal(segmentor.predict(sample.img_path).labels, sample.pred_sem_seg.data[0].numpy())


def test_objects_are_those_of_the_test_loop(detector, miniature_coco):
    samples = results_of_test_loop(
        detector, type='mmvisattn.MiniatureCocoDataset', data_root=str(miniature_coco))
    assert len(samples) == 3
    for sample in samples:
        found = detector.predict(sample.img_path)
        order = sample.pred_instances.scores.argsort(descending=True, stable=True)
        expected = sample.pred_instances[order]
        assert np.array_equal(found.scores, expected.scores.numpy())
        assert np.array_equal(found.boxes, expected.bboxes.numpy())


@pytest.mark.parametrize('form', [
    Image.fromarray, np.asarray, lambda x: torch.from_numpy(x).permute(2, 0, 1), lambda x: x / 255,
    lambda x: x.astype(np.uint16) * 257, lambda x: np.dstack([x, x[..., 0]]),
], ids=['PIL', 'array', 'tensor', 'float', '16 bits', 'transparent'])
def test_an_image_may_come_in_any_form(form, picture, files, segmentor):
    expected = segmentor.predict(str(files / '0.png'))
    found = segmentor.predict(form(picture))
    assert np.array_equal(found.labels, expected.labels) and np.array_equal(found.image, expected.image)


def test_gray_images_are_repeated(picture, segmentor):
    gray = picture[..., 0]
    assert np.array_equal(segmentor.predict(gray).labels, segmentor.predict(np.dstack([gray] * 3)).labels)


def test_the_cameras_rotation_is_applied(picture, tmp_path, segmentor):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(picture).save(tmp_path / 'turned.jpg', exif=exif, quality=100)
    for source in (tmp_path / 'turned.jpg', Image.open(tmp_path / 'turned.jpg')):
        assert segmentor.predict(source).labels.shape == (120, 90)


def test_a_url(files, picture, segmentor, restorer):
    with served(files) as url:
        assert np.array_equal(segmentor.predict(f'{url}/0.png').image, picture)
        assert restorer.predict(f'{url}/0.png').restored.pixels.shape == (90, 120, 3)
        for predictor in (segmentor, restorer):
            for name in ('nothing.png', 'no thing.png'):
                with pytest.raises(FileNotFoundError, match=f'cannot fetch .*{name}'):
                    predictor.predict(f'{url}/{name}')


@pytest.mark.parametrize('batch_size', [1, 3])
def test_folders_and_lists_of_several_sizes(batch_size, files, segmentor):
    results = segmentor.predict(files, batch_size)
    assert [result.labels.shape for result in results] == [(90, 120), (90, 100), (90, 120)]
    listed = segmentor.predict([files / '1.png', np.asarray(Image.open(files / '0.png'))])
    assert np.array_equal(listed[0].labels, results[1].labels)


@pytest.mark.parametrize('source, words', [
    ('nowhere.png', 'nowhere.png'), (np.zeros((2, 3, 4, 5)), 'shape'), (np.zeros((4, 4, 2), np.uint8), '1, 3 or 4 channels'),
    (np.full((4, 4), 255.0), 'between 0 and 1'), (np.zeros((4, 4), np.int64), 'int64'), (7, 'int'),
], ids=['no file', 'dimensions', 'channels', 'floats', 'integers', 'no image'])
def test_what_is_no_image_is_explained(source, words, segmentor):
    with pytest.raises((ValueError, FileNotFoundError, TypeError), match=words):
        segmentor.predict(source)


def test_a_file_that_is_no_image_is_named(tmp_path, segmentor, restorer):
    (tmp_path / 'text.png').write_text('text')
    for predictor in (segmentor, restorer):
        with pytest.raises(ValueError, match='text.png'):
            predictor.predict(tmp_path / 'text.png')
    with pytest.raises(FileNotFoundError, match='no images in'):
        segmentor.predict(ROOT / 'tools')


def test_a_segmentation_is_written(picture, segmentor, tmp_path):
    result = segmentor.predict(picture)
    assert isinstance(result, SegmentationResult)
    result.save(tmp_path / 'new' / 'picture.jpg')
    assert Image.open(tmp_path / 'new' / 'picture.jpg').width == 120
    result.save_labels(tmp_path / 'labels.png')
    labels = Image.open(tmp_path / 'labels.png')
    assert labels.mode == 'P' and np.array_equal(np.asarray(labels), result.labels)
    assert result._repr_png_().startswith(b'\x89PNG')
    assert sum(result.shares().values()) == pytest.approx(1) and '120 x 90 pixels' in repr(result)
    with pytest.raises(ValueError, match='picture.xyz'):
        result.save(tmp_path / 'picture.xyz')


def test_a_detection_is_written(picture, detector, tmp_path):
    result = detector.predict(picture)
    assert isinstance(result, DetectionResult)
    result.save(tmp_path / 'picture.png')
    assert Image.open(tmp_path / 'picture.png').size == (120, 90)
    coco = json.loads(json.dumps(result.to_coco(image_id=7)))
    assert len(coco) == len(result.scores) > 0
    x, y, width, height = coco[0]['bbox']
    assert np.allclose([x, y, x + width, y + height], result.boxes[0], atol=1e-4)
    assert {found['category_id'] for found in coco} <= {1, 2, 3} and coco[0]['image_id'] == 7
    assert result.to_coco(category_ids=[5, 6, 9])[0]['category_id'] == [5, 6, 9][result.labels[0]]
    assert 'pixels' in repr(result)


def test_masks_are_painted_and_written(picture):
    from pycocotools import mask as coco_masks
    masks = np.zeros((2, 90, 120), bool)
    masks[0, 10:20, 30:50] = True
    boxes = np.array([[30, 10, 50, 20], [0, 0, 5, 5]], np.float32)
    result = DetectionResult(picture, boxes, np.array([1, 0]), np.array([0.9, 0.1]), masks, ('a', 'b'),
                             [(255, 0, 0), (0, 255, 0)])
    painted = result.picture()
    assert np.allclose(painted[15, 45], (picture[15, 45] + np.array([0, 255, 0])) / 2, atol=1)
    assert np.array_equal(painted[3, 3], picture[3, 3])  # below the threshold
    assert np.array_equal(coco_masks.decode(result.to_coco()[0]['segmentation']), masks[0])
    assert repr(result).endswith('1 b with scores from 0.3)')


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_restoration_keeps_bits_and_transparency(dtype, restorer, tmp_path):
    given = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (33, 20, 4), dtype=dtype)
    cv2.imwrite(str(tmp_path / 'noisy.png'), given)
    result = restorer.predict(tmp_path / 'noisy.png')
    assert isinstance(result, RestorationResult)
    result.save(tmp_path / 'restored.png')
    written = cv2.imread(str(tmp_path / 'restored.png'), cv2.IMREAD_UNCHANGED)
    assert written.dtype == dtype and np.array_equal(written[..., 3], given[..., 3])
    assert result.picture().shape == (33, 20, 3) and f'{np.dtype(dtype).itemsize * 8} bits' in repr(result)
    from_array = restorer.predict(given[..., [2, 1, 0, 3]])
    assert np.array_equal(from_array.restored.pixels, result.restored.pixels)


def test_tiles_of_the_whole_image_change_nothing(picture, segmentor):
    image = np.asarray(Image.fromarray(picture).resize((480, 352)))
    whole = segmentor.labels([np.ascontiguousarray(image[..., ::-1])], segmentor.pipeline_at_own_scale)[0]
    assert np.array_equal(segmentor.predict(image, tile=512).labels, whole)
    assert (segmentor.predict(image, tile=256).labels == whole).mean() > 0.8


def test_tiles_cover_every_pixel(segmentor, monkeypatch):
    """Each pixel's label comes from a tile that saw its surroundings, except at the image's border."""
    def mean_place(images, pipeline):
        return [image[..., 0] for image in images]

    monkeypatch.setattr(segmentor, 'labels', mean_place)
    image = np.random.default_rng(0).integers(0, 255, (333, 257, 3), dtype=np.uint8)
    for tile in (64, 100, 300, 1000):
        assert np.array_equal(segmentor.labels_in_tiles(image, tile), image[..., 0])


def test_detectors_take_no_tiles(picture, detector):
    with pytest.raises(ValueError, match='tile'):
        detector.predict(picture, tile=64)


def test_a_backbone_by_its_name(tmp_path):
    backbone = mmvisattn.load('topformer-tiny', device='cpu')
    torch.save(dict(backbone.state_dict()), tmp_path / 'tiny.pth')
    assert [level.shape[1] for level in backbone(torch.zeros(1, 3, 64, 64))][:2] == [16, 32]


@pytest.mark.parametrize('arguments, words', [
    (['smt-smal'], 'did you mean.*smt-small'), (['nowhere.py'], 'no config nowhere.py'),
    (['segmentation', 'nowhere.pth'], 'nowhere.pth'), ([SEGMENTOR, 'official'], 'no weights of .* are published'),
    (['segmentation', 'restoration'], 'does not fit'), ([None], 'not None'), (['segmentation', None, 'cuda:77'], 'cuda:77'),
])
def test_what_cannot_be_loaded_is_explained(arguments, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        mmvisattn.load(*arguments)


def test_random_weights_are_reported(capfd):
    mmvisattn.load(SEGMENTOR)
    assert 'these are random' in ''.join(capfd.readouterr())


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match='nothing'):
        mmvisattn.nothing  # noqa: B018


def test_bytes_of_any_pixels():
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    assert np.array_equal(as_bytes(pixels_of(ramp))[0, :, 0], np.arange(256))


@pytest.mark.parametrize('package, inferencer, task', [
    ('mmseg.apis', 'MMSegInferencer', 'segmentation'), ('mmdet.apis', 'DetInferencer', 'detection')])
def test_the_inferencers_of_mmseg_and_mmdet_take_our_configs(package, inferencer, task, request, files, picture, tmp_path):
    """With an image, an array and a folder; what they find is what ``predict`` finds."""
    apis = pytest.importorskip(package)
    ours = request.getfixturevalue('segmentor' if task == 'segmentation' else 'detector')
    meta = dict(dataset_meta=dict(classes=ours.classes, palette=ours.palette))
    torch.save(dict(state_dict=ours.model.state_dict(), meta=meta), tmp_path / 'model.pth')
    theirs = getattr(apis, inferencer)(ours.config.filename, str(tmp_path / 'model.pth'), device='cpu')
    found = theirs(str(files / '0.png'))['predictions']
    expected = ours.predict(files / '0.png')
    if task == 'segmentation':
        assert np.array_equal(found, expected.labels)
    else:
        assert np.allclose(sorted(found[0]['scores']), sorted(expected.scores), atol=1e-6)
    assert theirs(picture[..., ::-1].copy())['predictions'] is not None
    assert len(theirs(str(files))['predictions']) == 3


@pytest.mark.parametrize('mode', ['I;16', 'LA', 'P', 'CMYK', 'RGBA'])
def test_images_of_pillow_in_any_mode_are_those_of_their_files(mode, picture, restorer, segmentor, tmp_path):
    image = Image.fromarray(picture)
    if mode == 'I;16':
        image = Image.fromarray(np.asarray(image.convert('L')).astype(np.uint16) * 200)
    elif mode in ('LA', 'RGBA'):
        image.putalpha(image.convert('L'))
        image = image.convert(mode)
    else:
        image = image.convert(mode)
    path = tmp_path / ('image.tif' if mode == 'CMYK' else 'image.png')
    image.save(path)
    assert segmentor.predict(image).image.mean() == pytest.approx(segmentor.predict(path).image.mean(), abs=4)
    given, read = restorer.read(Image.open(path)), restorer.read(path)
    assert given.dtype == read.dtype
    assert mode == 'CMYK' or (given.alpha is None) == (read.alpha is None)  # OpenCV gives CMYK an alpha channel


def test_photographs_are_restored_upright(picture, restorer, tmp_path):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture).save(tmp_path / 'held.jpg', exif=exif, quality=100)
        held, upright = restorer.read(tmp_path / 'held.jpg').pixels, restorer.read(Image.open(tmp_path / 'held.jpg')).pixels
        assert held.shape == upright.shape and abs(held - upright).mean() < 0.02


@pytest.mark.parametrize('arguments, words', [
    (dict(batch_size=0), 'batch_size=0'), (dict(batch_size=-1), 'batch_size=-1'), (dict(tile=-5), 'tile=-5')])
def test_wrong_numbers_are_explained(arguments, words, picture, segmentor):
    with pytest.raises(ValueError, match=words):
        segmentor.predict([picture], **arguments)


def test_an_image_that_is_too_thin_is_explained(segmentor):
    with pytest.raises(ValueError, match='2000 x 1 pixels'):
        segmentor.predict(np.zeros((1, 2000, 3), np.uint8))


@pytest.mark.parametrize('source, words', [
    (None, 'NoneType'), (b'bytes', 'bytes'), (BytesIO(b'file'), 'BytesIO'), ({'image': None}, 'dict'), ('', "'' is none"),
], ids=['none', 'bytes', 'a file object', 'a dict', 'no path'])
def test_other_things_are_no_images(source, words, segmentor):
    with pytest.raises(ValueError, match=words):
        segmentor.predict(source)


def test_classes_and_colors_are_those_of_mmsegs_data_set():
    predictor = mmvisattn.load('topformer-tiny_simple-head_8xb2-160k_ade20k-512x512')
    assert len(predictor.classes) == 150 and predictor.palette[0] == (120, 120, 120)


def test_a_wrapped_data_set_and_a_file_of_classes(tmp_path):
    config = Config.fromfile(SEGMENTOR)
    (tmp_path / 'classes.txt').write_text('\n'.join('abcdefghij'))
    dataset = dict(config.test_dataloader.dataset, metainfo=dict(classes=str(tmp_path / 'classes.txt')))
    config.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[dataset])
    assert mmvisattn.load(config).classes == tuple('abcdefghij')


def test_the_data_preprocessor_may_stand_beside_the_model():
    config = Config.fromfile(CLASSIFIER)
    config.data_preprocessor = config.model.pop('data_preprocessor')
    expected = mmvisattn.load(CLASSIFIER).model.data_preprocessor
    found = mmvisattn.load(config).model.data_preprocessor
    assert torch.equal(found.mean, expected.mean) and torch.equal(found.std, expected.std) and found.mean.max() > 0
    assert 'data_preprocessor' not in config.model
