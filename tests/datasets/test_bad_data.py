"""Bad data: the tool finds each fault with the file's name; a training goes right, or stops with the file's name.

40 faults and oddities of segmentation data, and 49 of annotations in COCO's layout.
"""
import copy
import json
import logging
import shutil
from functools import cache

import numpy as np
import pytest
import torch
from helpers.reduced import ROOT
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, MODELS, init_default_scope
from PIL import Image

from mmvisattn.cli.checks import check_annotations, check_data
from mmvisattn.cli.dataset_check import check_datasets
from mmvisattn.cli.usage import UsageError
from mmvisattn.datasets.files import BadFile, read_labels
from mmvisattn.datasets.miniature import write_miniature
from mmvisattn.training.config import surviving

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')
SEGMENTATION = ROOT / 'configs/topformer/topformer-tiny_simple-head_1xb16-850_miniature-96x96.py'
DETECTION = ROOT / 'configs/topformer/topformer-tiny_fcos_1xb8-40e_miniature-coco.py'
IMAGE, LABELS = 'images/training/ADE_train_00000002.jpg', 'annotations/training/ADE_train_00000002.png'
BOXES, PHOTO = 'annotations/instances_train2017.json', 'train2017/000000000002.jpg'


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return write_miniature(tmp_path_factory.mktemp('data') / 'scenes', num_training=2, num_validation=1)


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    return write_miniature(tmp_path_factory.mktemp('data') / 'shapes', 'coco', num_training=2, num_validation=1)


@pytest.fixture(scope='module')
def models():
    """A segmentor and a detector."""
    found = {}
    for path in (SEGMENTATION, DETECTION):
        cfg = Config.fromfile(path)
        init_default_scope(cfg.default_scope)
        found[path] = MODELS.build(cfg.model)
    return found


@pytest.fixture
def told():
    """What the log tells while the test runs."""
    lines, logger = [], MMLogger.get_current_instance()
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    yield lines
    logger.setLevel(level)
    logger.removeHandler(handler)


read = cache(Config.fromfile)


def config(path, root):
    cfg = copy.deepcopy(read(path))
    cfg.merge_from_dict({f'{name}.dataset.data_root': str(root) for name in ('train_dataloader', 'val_dataloader',
                                                                            'test_dataloader')})
    return cfg


def found(cfg):
    """What the tool finds in the training data."""
    report, = check_datasets(cfg, ['train_dataloader'], workers=1)
    return [str(fault) for fault in report.faults]


def train(cfg, model):
    """What happens before and in the first steps of a training; returns what is told besides.

    Raises:
        UsageError, BadFile: where it stops.
    """
    init_default_scope(cfg.default_scope)
    check_data(cfg, 'train_dataloader', 'val_dataloader')
    notes = check_annotations(cfg, 'train_dataloader', 'val_dataloader')
    dataset = DATASETS.build(surviving(cfg).train_dataloader.dataset)
    samples = [dataset[i] for i in range(len(dataset) - 1, -1, -1)]
    with torch.no_grad():
        losses = model(**model.data_preprocessor(pseudo_collate(samples[:1]), training=True), mode='loss')
    loss = model.parse_losses(losses)[0].item()
    assert 0 <= loss < float('inf')
    return notes


def check(cfg, model, told, file, words, training):
    """The tool tells the file and the words; the training does what is said: stops, tells, or goes right."""
    faults = found(cfg)
    if file is None:
        assert faults == []
    else:
        assert any(file in fault and words in fault for fault in faults), faults
    if training == 'stops':
        with pytest.raises((UsageError, BadFile), match=r'\.(jpg|png|json)') as caught:
            train(cfg, model)
        assert file in str(caught.value)
    else:
        notes = train(cfg, model) + told
        assert training == 'trains' or any(file in note and words in note for note in notes), notes


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def convert(path, mode=None, size=None, **settings):
    """Save an image in another mode, size or format under its name."""
    image = Image.open(path)
    image = image.convert(mode) if mode else image
    image = image.resize(size(image.size), Image.Resampling.NEAREST) if size else image
    image.load()
    settings.setdefault('format', 'PNG' if path.suffix == '.png' else 'JPEG')
    image.save(path, **settings)


def relabel(path, change):
    """Save other labels."""
    values = np.array(Image.open(path))
    changed = change(values)
    Image.fromarray(values if changed is None else changed).save(path)


def put(index, value):
    def change(values):
        values[index] = value
    return change


def rename_all(folder, rename):
    for path in list(folder.iterdir()):
        path.rename(rename(path))


def orient(path, orientation):
    image = Image.open(path)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.load()
    image.save(path, exif=exif)


def palette(path):
    image = Image.open(path).convert('P')
    image.putpalette([value for i in range(256) for value in (i, 255 - i, i // 2)])
    image.save(path)


def nest(root):
    for kind in ('images', 'annotations'):
        (root / kind / 'training/part').mkdir()
        name = next((root / kind / 'training').glob('*_00000002.*'))
        name.rename(name.parent / 'part' / name.name)


def link(path):
    target = path.with_name('elsewhere')
    path.rename(target)
    path.symlink_to(target)


def dangle(path):
    path.unlink()
    path.symlink_to('nowhere')


def rename_pair(root, name):
    (root / IMAGE).rename((root / IMAGE).with_name(f'{name}.jpg'))
    (root / LABELS).rename((root / LABELS).with_name(f'{name}.png'))


# name: (harm to the data in a folder, what the tool tells of which file, what a training does)
OF_SEGMENTATION = {
    # Oddities on which a training goes right.
    'gray image': (lambda r: convert(r / IMAGE, 'L'), None, '', 'trains'),
    'CMYK image': (lambda r: convert(r / IMAGE, 'CMYK'), None, '', 'trains'),
    'PNG named jpg': (lambda r: convert(r / IMAGE, format='PNG'), None, '', 'trains'),
    'progressive JPEG': (lambda r: convert(r / IMAGE, progressive=True), None, '', 'trains'),
    'transparent image': (lambda r: convert(r / IMAGE, 'RGBA', format='PNG'), None, '', 'trains'),
    'image of 16 bits': (lambda r: convert(r / IMAGE, 'I;16', format='PNG'), None, '', 'trains'),
    'palette labels': (lambda r: palette(r / LABELS), None, '', 'trains'),
    'labels of one bit': (lambda r: convert(r / LABELS, '1'), None, '', 'trains'),
    'ignored border': (lambda r: relabel(r / LABELS, put(slice(0, 5), 255)), None, '', 'trains'),
    'umlauts': (lambda r: rename_pair(r, 'Straße_äöü'), None, '', 'trains'),
    'spaces': (lambda r: rename_pair(r, 'my street 1'), None, '', 'trains'),
    'hidden file': (lambda r: (r / 'images/training/.DS_Store').write_text('x'), None, '', 'trains'),
    'notes among the images': (lambda r: (r / 'images/training/notes.txt').write_text('x'), None, '', 'trains'),
    'nested folders': (nest, None, '', 'trains'),
    'linked image': (lambda r: link(r / IMAGE), None, '', 'trains'),
    # Faults of images.
    'empty image': (lambda r: cut(r / IMAGE, 0), IMAGE, 'is empty', 'stops'),
    'half an image': (lambda r: cut(r / IMAGE, (r / IMAGE).stat().st_size // 2), IMAGE, 'truncated', 'stops'),
    'image without its end': (lambda r: cut(r / IMAGE, -200), IMAGE, 'truncated', 'stops'),
    'only the beginning of an image': (lambda r: cut(r / IMAGE, 100), IMAGE, 'cannot be read', 'stops'),
    'text named jpg': (lambda r: (r / IMAGE).write_text('no image'), IMAGE, 'it is no image', 'stops'),
    'web page named jpg': (lambda r: (r / IMAGE).write_text('<!doctype html>'), IMAGE, 'it is no image', 'stops'),
    'zeros named jpg': (lambda r: (r / IMAGE).write_bytes(bytes(5000)), IMAGE, 'it is no image', 'stops'),
    'dangling link': (lambda r: dangle(r / IMAGE), LABELS, 'belong', 'tells'),
    'image of one pixel': (lambda r: convert(r / IMAGE, size=lambda _: (1, 1)), IMAGE, 'only 1 x 1', 'stops'),
    'image of three rows': (lambda r: convert(r / IMAGE, size=lambda _: (4000, 3)), IMAGE, 'only 4000 x 3', 'stops'),
    'turned by EXIF': (lambda r: orient(r / IMAGE, 6), LABELS, 'EXIF', 'stops'),
    'png where jpg is wanted': (lambda r: rename_all(r / 'images/training', lambda p: p.with_suffix('.png')),
                                'images/training', 'but *.png: set img_suffix', 'stops'),
    'JPG where jpg is wanted': (lambda r: rename_all(r / 'images/training', lambda p: p.with_suffix('.JPG')),
                                'images/training', 'but *.JPG: set img_suffix', 'stops'),
    'no images': (lambda r: [path.unlink() for path in (r / 'images/training').iterdir()],
                  'images/training', 'holds no file *.jpg', 'stops'),
    # Faults of labels.
    'missing labels': (lambda r: (r / LABELS).unlink(), LABELS, 'does not exist', 'stops'),
    'empty labels': (lambda r: cut(r / LABELS, 0), LABELS, 'is empty', 'stops'),
    'half of the labels': (lambda r: cut(r / LABELS, (r / LABELS).stat().st_size // 2), LABELS, 'cannot be read', 'stops'),
    'RGB labels': (lambda r: convert(r / LABELS, 'RGB'), LABELS, 'mode RGB', 'stops'),
    'RGBA labels': (lambda r: convert(r / LABELS, 'RGBA'), LABELS, 'mode RGBA', 'stops'),
    'labels of 16 bits': (lambda r: convert(r / LABELS, 'I;16'), LABELS, 'mode I', 'stops'),
    'transposed labels': (lambda r: relabel(r / LABELS, lambda v: np.ascontiguousarray(v.T)), LABELS, 'pixels, but',
                          'stops'),
    'labels of half the size': (lambda r: convert(r / LABELS, size=lambda s: (s[0] // 2, s[1] // 2)), LABELS, 'pixels, but',
                                'stops'),
    'label beyond the classes': (lambda r: relabel(r / LABELS, put(slice(None), 199)), LABELS, 'the labels 199', 'stops'),
    'nothing labelled': (lambda r: relabel(r / LABELS, put(slice(None), 0)), LABELS, 'labels no pixel', 'tells'),
    'labels without an image': (lambda r: (r / IMAGE).unlink(), LABELS, 'belong', 'tells'),
}


@pytest.mark.parametrize('name', OF_SEGMENTATION)
def test_segmentation(tmp_path, scenes, models, told, name):
    harm, file, words, training = OF_SEGMENTATION[name]
    root = shutil.copytree(scenes, tmp_path / 'data')
    harm(root)
    check(config(SEGMENTATION, root), models[SEGMENTATION], told, file, words, training)


def box(*values):
    return lambda c: c['annotations'][0].update(bbox=list(values))


def change(key, **values):
    return lambda c: c[key][0].update(values)


def remove(key, entry):
    return lambda c: c[key][0].pop(entry)


def repeat(key, entry):
    return lambda c: c[key][1].update({entry: c[key][0][entry]})


def same_file(content):
    """Photographs of the same size."""
    content['images'][1].update(content['images'][0], id=content['images'][1]['id'])
    content['annotations'] = [one for one in content['annotations'] if one['image_id'] != content['images'][1]['id']]


def add_image_without_boxes(content):
    unused = content['images'][0]['id']
    content['annotations'] = [one for one in content['annotations'] if one['image_id'] != unused]


def large_ids(content):
    for entry in content['images']:
        entry['id'] += 10**12
    for entry in content['annotations']:
        entry['image_id'] += 10**12


def spread_ids(content):
    for entry in content['categories']:
        entry['id'] = 7 * entry['id']
    for entry in content['annotations']:
        entry['category_id'] = 7 * entry['category_id']


# name: (change of the annotations' content, what the tool tells, what a training does)
OF_BOXES = {
    # Oddities on which a training goes right.
    'no iscrowd': (lambda c: [one.pop('iscrowd') for one in c['annotations']], None, 'trains'),
    'a crowd': (change('annotations', iscrowd=1), None, 'trains'),
    'other keys': (lambda c: c.update(info={}, licenses=[], mine=[1]), None, 'trains'),
    'an image without boxes': (add_image_without_boxes, None, 'trains'),
    'large ids': (large_ids, None, 'trains'),
    'ids of categories with gaps': (spread_ids, None, 'trains'),
    'categories in another order': (lambda c: c['categories'].reverse(), None, 'trains'),
    'no masks': (lambda c: [one.pop('segmentation') for one in c['annotations']], None, 'trains'),
    'a fraction outside': (lambda c: box(0, 0, c['images'][0]['width'] + 0.6, 20)(c), None, 'trains'),
    'box without width': (box(5, 5, 0, 20), '1 of', 'tells'),
    'box without area': (change('annotations', area=0), '1 of', 'tells'),
    # Faults of boxes.
    'NaN in a box': (box(float('nan'), 5, 20, 20), 'not finite', 'stops'),
    'infinite box': (box(5, 5, float('inf'), 20), 'not finite', 'stops'),
    'negative width': (box(50, 50, -20, 20), 'negative width or height', 'stops'),
    'box outside': (box(5000, 5000, 20, 20), 'leaves its image', 'stops'),
    'box partly outside': (box(5, 5, 900, 20), 'leaves its image', 'stops'),
    'box left of the image': (box(-30, 5, 60, 20), 'leaves its image', 'stops'),
    'three numbers': (box(5, 5, 20), 'four numbers', 'stops'),
    'five numbers': (box(5, 5, 20, 20, 0), 'four numbers', 'stops'),
    'texts in a box': (box('5', '5', '20', '20'), 'four numbers', 'stops'),
    'no box': (remove('annotations', 'bbox'), 'four numbers', 'stops'),
    'no area': (remove('annotations', 'area'), 'its area is None', 'stops'),
    'area NaN': (change('annotations', area=float('nan')), 'its area is nan', 'stops'),
    # Faults of ids.
    'annotation id twice': (repeat('annotations', 'id'), 'several annotations have the id', 'stops'),
    'image id twice': (repeat('images', 'id'), 'several images have the id', 'stops'),
    'image id is a text': (change('images', id='1'), 'its id must be a whole number', 'stops'),
    'no image id': (remove('images', 'id'), 'its id must be a whole number', 'stops'),
    'unknown image': (change('annotations', image_id=999), 'no image with the id 999', 'stops'),
    'unknown category': (change('annotations', category_id=999), 'no category with the id 999', 'stops'),
    'no category id': (remove('annotations', 'category_id'), 'its category_id is None', 'stops'),
    'image twice': (same_file, 'several images have the file_name', 'stops'),
    # Faults of images.
    'no width': (remove('images', 'width'), 'its width is None', 'stops'),
    'height 0': (change('images', height=0), 'its height is 0', 'stops'),
    'no file name': (remove('images', 'file_name'), 'has no file_name', 'stops'),
    'absolute file name': (change('images', file_name='/etc/passwd.jpg'), 'leaves the root', 'stops'),
    'file name above the root': (change('images', file_name='../x.jpg'), 'leaves the root', 'stops'),
    # Faults of lists.
    'category without a name': (remove('categories', 'name'), 'a name', 'stops'),
    'category without an id': (remove('categories', 'id'), 'must have an id', 'stops'),
    'category id twice': (repeat('categories', 'id'), 'several categories have the id', 'stops'),
    'nested categories': (lambda c: c.update(categories=[c['categories']]), 'must have an id', 'stops'),
    'category with brackets': (change('categories', name='disc [round]'), 'lists no category disc', 'stops'),
    'no images': (lambda c: c.update(images=[]), "'images' is empty", 'stops'),
    'no annotations': (lambda c: c.pop('annotations'), "no list 'annotations'", 'stops'),
    'all annotations empty': (lambda c: c.update(annotations=[]), "'annotations' is empty", 'stops'),
}
OF_FILES = {
    'half a file': (BOXES, lambda p: cut(p, p.stat().st_size // 2), 'is no JSON', 'stops'),
    'empty file': (BOXES, lambda p: cut(p, 0), 'is empty', 'stops'),
    'byte order mark': (BOXES, lambda p: p.write_bytes(b'\xef\xbb\xbf' + p.read_bytes()), 'byte order mark', 'stops'),
    'missing image': (PHOTO, lambda p: p.unlink(), 'does not exist', 'stops'),
    'image of another size': (PHOTO, lambda p: convert(p, size=lambda s: (s[0] + 9, s[1])), 'but the annotations say',
                              'stops'),
}
assert len(OF_SEGMENTATION) == 40 and len(OF_BOXES) + len(OF_FILES) == 49


@pytest.mark.parametrize('name', OF_BOXES)
def test_boxes(tmp_path, shapes, models, told, name):
    harm, words, training = OF_BOXES[name]
    root = shutil.copytree(shapes, tmp_path / 'data')
    content = json.loads((root / BOXES).read_text())
    harm(content)
    (root / BOXES).write_text(json.dumps(content))
    check(config(DETECTION, root), models[DETECTION], told, words and BOXES, words or '', training)


@pytest.mark.parametrize('name', OF_FILES)
def test_files_of_boxes(tmp_path, shapes, models, told, name):
    file, harm, words, training = OF_FILES[name]
    root = shutil.copytree(shapes, tmp_path / 'data')
    harm(root / file)
    check(config(DETECTION, root), models[DETECTION], told, file, words, training)


def test_labels_of_any_size_are_read(tmp_path):
    """Pillow takes more than 179 million pixels for an attack."""
    Image.new('1', (14000, 13000), 1).save(tmp_path / 'labels.png')
    size, values = read_labels(tmp_path / 'labels.png')
    assert size == (13000, 14000) and values.min() == 1
