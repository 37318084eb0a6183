#!/usr/bin/env python3
"""Which classes a segmentor confuses: tools/confusion.py CONFIG CHECKPOINT [--out DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import json
import math
from pathlib import Path

import mmcv
import torch
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import DATASETS, MODELS, init_default_scope
from tqdm import tqdm

from mmvisattn.analysis.confusion import Progress, count_image, draw_confusion, draw_worst, report
from mmvisattn.cli.arguments import (
    add_weights_option,
    argument_parser,
    checkpoint_path,
    load_config,
    load_weights,
    run_tool,
    subject_of,
)
from mmvisattn.cli.checks import check_data, check_keys, check_model
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import UsageError, check_folder
from mmvisattn.files import write_whole

FILES = ('confusion.json', 'confusion.png', 'worst.png')


class Maps:
    """Truth and prediction of every image of a config's test data."""

    def __init__(self, cfg, checkpoint: str, weights: str):
        init_default_scope(cfg.get('default_scope', 'mmseg'))
        with config_errors(cfg):
            self.model = MODELS.build(cfg.model)
            self.dataset = DATASETS.build(cfg.test_dataloader.dataset)
        if not hasattr(self.model, 'encode_decode'):
            raise UsageError(f'{type(self.model).__name__} is no segmentor, so it confuses no pixels')
        load_weights(self.model, checkpoint, weights)
        self.model.eval().to(get_device())

    def __getitem__(self, index: int):
        """Path, truth and prediction (H, W) of an image."""
        with torch.inference_mode():
            result = self.model.test_step(pseudo_collate([self.dataset[index]]))[0]
        truth, predicted = (part.data[0].cpu().numpy() for part in (result.gt_sem_seg, result.pred_sem_seg))
        return result.img_path, truth, predicted


def main() -> None:
    parser = argument_parser('Draw which classes a segmentor confuses, how well it meets boundaries, and its worst images.')
    parser.add_argument('checkpoint', help="a checkpoint of tools/train.py, or the authors' published one: path or URL")
    add_weights_option(parser)
    parser.add_argument('--out', type=Path, help='folder of the results (default: confusion in the work folder)')
    parser.add_argument('--worst', type=int, default=6, help='number of images to draw (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='begin anew, and replace results that exist already')
    args = parser.parse_args()
    if args.worst < 1:
        raise UsageError(f'--worst {args.worst}: must be at least 1')
    cfg = load_config(args)
    check_keys(cfg, args.config, 'model', 'test_dataloader')
    checkpoint = checkpoint_path(args.checkpoint)
    check_data(cfg, 'test_dataloader')
    check_model(cfg)
    out = args.out or Path(cfg.work_dir) / 'confusion'
    check_folder('--out', out)
    there = next((name for name in FILES if (out / name).exists()), None)
    if there and not args.overwrite:
        raise UsageError(f'{out / there} is there already; --overwrite replaces it')
    unfinished = out / 'images.jsonl'
    if args.overwrite:
        unfinished.unlink(missing_ok=True)
    maps = Maps(cfg, checkpoint, args.weights)
    classes, palette = maps.dataset.metainfo['classes'], maps.dataset.metainfo['palette']
    subject = subject_of(args, cfg, checkpoint, images=len(maps.dataset))
    try:
        progress = Progress(unfinished, subject)
    except ValueError as error:
        raise UsageError(f'{error}; --overwrite begins anew') from error
    with tqdm(total=len(maps.dataset), initial=len(progress.counts), unit='image') as bar:
        for index in progress.left(len(maps.dataset)):
            path, truth, predicted = maps[index]
            progress.add(count_image(index, path, truth, predicted, len(classes)))
            bar.update()
    figures = report(progress.counts, classes)
    scored = [one for one in progress.counts if not math.isnan(figures['images'][one.image])]
    worst = sorted(scored, key=lambda one: figures['images'][one.image])[:args.worst]
    examples = []
    for one in worst:
        path, truth, predicted = maps[one.index]
        examples.append((mmcv.imread(path, channel_order='rgb'), truth, predicted,
                         f'{Path(path).name}\nmean IoU {figures["images"][one.image]:.3f}'))
    draw_confusion(figures, out / FILES[1])
    draw_worst(examples, classes, palette, out / FILES[2])
    write_whole(out / FILES[0], json.dumps(figures, indent=1).encode())
    unfinished.unlink()
    print(f'mIoU           {figures["mIoU"]:.4f}\nboundary mIoU  {figures["boundary_mIoU"]:.4f}\n'
          f'wrote {", ".join(FILES)} to {out}')


if __name__ == '__main__':
    run_tool(main)
