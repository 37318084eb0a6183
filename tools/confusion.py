#!/usr/bin/env python3
"""Which classes a segmentor confuses: tools/confusion.py CONFIG CHECKPOINT [--out DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import json
from pathlib import Path

import mmcv
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from tqdm import tqdm

from mmvisattn.analysis.confusion import Progress, count_image, draw_confusion, draw_worst, report
from mmvisattn.benchmark.environment import environment
from mmvisattn.cli.arguments import add_weights_option, argument_parser, load_config, run_tool
from mmvisattn.cli.evaluation import model_and_data, subject_of
from mmvisattn.cli.usage import UsageError, check_folder
from mmvisattn.files import write_whole

FILES = ('confusion.json', 'confusion.png', 'worst.png')


class Maps:
    """Truth and prediction of every image of a config's test data."""

    def __init__(self, args: argparse.Namespace, cfg: Config):
        self.model, self.dataset = model_and_data(args, cfg)
        if not hasattr(self.model, 'encode_decode'):
            raise UsageError(f'{type(self.model).__name__} is no segmentor, so it confuses no pixels')

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
    out = args.out or Path(cfg.work_dir) / 'confusion'
    check_folder('--out', out)
    unfinished = out / 'images.jsonl'
    there = next((name for name in FILES if (out / name).exists()), None)
    if there and not (args.overwrite or unfinished.is_file()):
        raise UsageError(f'{out / there} is there already; --overwrite replaces it')
    maps = Maps(args, cfg)
    if args.overwrite:
        unfinished.unlink(missing_ok=True)
    classes, palette = maps.dataset.metainfo['classes'], maps.dataset.metainfo['palette']
    subject = subject_of(args, cfg, maps.dataset)
    try:
        progress = Progress(unfinished, subject)
    except ValueError as error:
        raise UsageError(f'{error}; --overwrite begins anew') from error
    with tqdm(total=len(maps.dataset), initial=len(progress.counts), unit='image') as bar:
        for index in progress.left(len(maps.dataset)):
            path, truth, predicted = maps[index]
            try:
                progress.add(count_image(index, path, truth, predicted, len(classes)))
            except ValueError as error:
                raise UsageError(str(error)) from error
            bar.update()
    if not any(one.confusion for one in progress.counts):
        raise UsageError(f'no pixel of the {len(maps.dataset)} images of the test data is labelled')
    figures = report(progress.counts, classes)
    scored = [one for one in progress.counts if one.confusion]
    worst = sorted(scored, key=lambda one: figures['images'][one.image])[:args.worst]
    examples = []
    for one in worst:
        path, truth, predicted = maps[one.index]
        examples.append((mmcv.imread(path, channel_order='rgb'), truth, predicted,
                         f'{Path(path).name}\nmean IoU {figures["images"][one.image]:.3f}'))
    draw_confusion(figures, out / FILES[1])
    draw_worst(examples, classes, palette, out / FILES[2])
    content = dict(subject=subject, environment=environment(get_device()), **figures)
    write_whole(out / FILES[0], json.dumps(content, indent=1).encode())
    unfinished.unlink()
    print(f'mIoU           {figures["mIoU"]:.4f}\nboundary mIoU  {figures["boundary_mIoU"]:.4f}\n'
          f'wrote {", ".join(FILES)} to {out}')


if __name__ == '__main__':
    run_tool(main)
