"""The configs for one's own data that the README gives train as they stand there."""
import json
import re

import cv2
import numpy as np
import pytest
from helpers.reduced import ROOT
from helpers.runs import options
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmvisattn.cli.checks import check_data, check_model
from mmvisattn.without_torchvision import import_mmpretrain

TRAIN, PREDICT = ROOT / 'tools/train.py', ROOT / 'tools/predict.py'


def config_of_the_readme(name, folder):
    """The code block that begins with a file's name, written to that file."""
    code = re.search(rf'```python\n(# {name}\n.*?)```', (ROOT / 'README.md').read_text(), re.DOTALL)[1]
    (folder / name).write_text(code.replace("'./configs", f"'{ROOT}/configs"))


def image(path, seed, high=256, channels=3, height=64):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, high, (height, 96, channels), dtype=np.uint8).squeeze())


def test_images_and_masks(tmp_path, run_tool):
    config_of_the_readme('my_segmenter.py', tmp_path)
    for split in ('training', 'validation'):
        for i in range(2):
            image(tmp_path / f'data/mine/images/{split}/{i}.jpg', i)
            image(tmp_path / f'data/mine/annotations/{split}/{i}.png', i, high=3, channels=1)
    short = options('data/mine', 1, **{'train_cfg.max_iters': 1})
    done = run_tool(TRAIN, 'my_segmenter.py', *short)
    assert done.returncode == 0, done.stderr
    assert 'grass' in done.stdout + done.stderr
    best, = (tmp_path / 'work_dirs/my_segmenter').glob('best_mIoU_iter_1.pth')
    done = run_tool(PREDICT, 'data/mine/images/validation', '--model', 'my_segmenter.py', '--weights', best, '--out', 'out')
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / 'out').glob('*.png'))) == 2


def test_boxes_in_cocos_format(tmp_path, run_tool):
    pytest.importorskip('mmdet')
    config_of_the_readme('my_detector.py', tmp_path)
    for split in ('train', 'val'):
        for i in range(2):
            image(tmp_path / f'data/mine/{split}/{i}.jpg', i, height=32)
        boxes = [dict(id=i, image_id=i, category_id=i, bbox=[5, 2, 40, 15], area=600, iscrowd=0) for i in range(2)]
        (tmp_path / f'data/mine/{split}.json').write_text(json.dumps(dict(
            images=[dict(id=i, file_name=f'{i}.jpg', width=96, height=32) for i in range(2)], annotations=boxes,
            categories=[dict(id=0, name='cat'), dict(id=1, name='dog')])))
    small = {f'{loader}_dataloader.dataset.pipeline.{step}.scale': '(160,64)' for loader, step in (('train', 2), ('val', 1))}
    done = run_tool(TRAIN, 'my_detector.py', *options('data/mine', 1, **{'train_cfg.max_epochs': 1}, **small))
    assert done.returncode == 0, done.stderr
    assert 'bbox_mAP' in done.stdout + done.stderr


def test_images_in_folders(tmp_path):
    """As it stands in docs/classification.md, without fetching weights."""
    pytest.importorskip('mmpretrain')
    import_mmpretrain()
    code = re.search(r'```python\n(# my_classifier.py\n.*?)```', (ROOT / 'docs/classification.md').read_text(), re.DOTALL)[1]
    (tmp_path / 'my_classifier.py').write_text(code.replace("'./configs", f"'{ROOT}/configs"))
    for split in ('train', 'val'):
        for name in ('cat', 'dog'):
            image(tmp_path / f'data/mine/{split}/{name}/1.jpg', 1)
    cfg = Config.fromfile(tmp_path / 'my_classifier.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(tmp_path / 'data/mine')
    check_data(cfg, 'train_dataloader', 'val_dataloader', 'test_dataloader')
    check_model(cfg)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            dataset = DATASETS.build(loader.dataset)
            assert dataset[1]['inputs'].shape == (3, 224, 224) and dataset[1]['data_samples'].gt_label == 1
