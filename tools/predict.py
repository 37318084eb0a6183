#!/usr/bin/env python3
"""Apply a model to images, folders and videos: tools/predict.py INPUT [--model NAME] [--out DIR]"""
import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import MMLogger
from tqdm import tqdm

from mmvisattn.cli.arguments import read_config, run_tool
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import Parser, UsageError, check_folder
from mmvisattn.files import written_whole
from mmvisattn.inference import DetectionResult, Predictor, RestorationResult, Result, SegmentationResult, load, video
from mmvisattn.restoration.pictures import image_files


def parse_args() -> argparse.Namespace:
    parser = Parser('Apply a model to images and videos, and paint what it finds.')
    parser.add_argument('input', type=Path, help='an image, a video, or a folder of them (without its subfolders)')
    parser.add_argument('--model', default='segmentation',
                        help="a model's name (mmvisattn.list_models()), a config, or a task: segmentation, detection or "
                        'restoration by a small model that comes with the package (default: %(default)s)')
    parser.add_argument('--weights', help="a checkpoint: path or URL; or official: the authors' (default: those that come "
                        'with the package)')
    parser.add_argument('--out', type=Path, default=Path('predictions'), help='folder of the results (default: %(default)s)')
    parser.add_argument('--data', action='store_true',
                        help='write the data beside each picture: a PNG of labels, or boxes and masks as COCO results')
    parser.add_argument('--tile', type=int, help='work in square tiles of this many pixels a side, for large images')
    parser.add_argument('--batch', type=int, default=1, help='images or frames computed together (default: %(default)s)')
    parser.add_argument('--device', help='default: cuda if PyTorch finds a GPU, else cpu')
    parser.add_argument('--overwrite', action='store_true', help='replace results that exist already')
    args = parser.parse_args()
    for name, smallest in (('batch', 1), ('tile', 32)):
        if getattr(args, name) is not None and getattr(args, name) < smallest:
            raise UsageError(f'--{name} {getattr(args, name)}: must be at least {smallest}')
    return args


def is_video(path: Path) -> bool:
    return path.suffix.lower() in video.SUFFIXES


def inputs_of(path: Path) -> list[Path]:
    """The images and videos of a folder, or the one file."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f'there is no image, video or folder {path}')
    videos = sorted(file for file in path.iterdir() if is_video(file))
    try:
        return [*image_files(path), *videos]
    except FileNotFoundError as error:
        if videos:
            return videos
        raise UsageError(f'{error}, and no videos') from error


def output_of(path: Path, folder: Path, keep_suffix: bool, alone: bool) -> Path:
    """Where the picture of an input goes. ``alone``: no other input has its name with another suffix."""
    suffix = '.mp4' if is_video(path) else path.suffix if keep_suffix else '.png'
    return folder / (f'{path.stem}{suffix}' if alone else f'{path.name}{suffix}')


def write_data(result: Result, target: Path) -> None:
    """Labels or boxes beside a picture."""
    if isinstance(result, SegmentationResult):
        result.save_labels(target.with_name(f'{target.stem}_labels.png'))
    elif isinstance(result, DetectionResult):
        with written_whole(target.with_suffix('.json')) as unfinished:
            unfinished.write_text(json.dumps(dict(file_name=target.name, classes=result.classes, results=result.to_coco())))


def picture_of_frame(result: Result) -> np.ndarray:
    """A picture as large as the frame."""
    return result.overlay() if isinstance(result, SegmentationResult) else result.picture()


def in_batches(items: Sequence | Iterator, size: int) -> Iterator[list]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class Work:
    """The inputs that are left to do, and what became of them."""

    def __init__(self, args: argparse.Namespace, predictor: Predictor[Any]):
        self.args = args
        self.predictor = predictor
        self.failed = 0

    def skip(self, path: Path, error: Exception) -> None:
        self.failed += 1
        tqdm.write(f'skipped: {error if path.name in str(error) else f"{path}: {error}"}', file=sys.stderr)

    def read(self, paths: list[Path]) -> list[tuple[Path, Any]]:
        images = []
        for path in paths:
            try:
                images.append((path, self.predictor.read(path)))
            except (ValueError, OSError) as error:
                self.skip(path, error)
        return images

    def images(self, paths: list[Path], outputs: dict[Path, Path]) -> None:
        with tqdm(total=len(paths), unit='image', disable=not paths) as bar:
            for batch in in_batches(paths, self.args.batch):
                images = self.read(batch)
                for (path, _), result in zip(images, self.predictor.run([image for _, image in images], self.args.tile)):
                    try:
                        result.save(outputs[path])
                        if self.args.data:
                            write_data(result, outputs[path])
                    except (ValueError, OSError) as error:
                        self.skip(path, error)
                bar.update(len(batch))

    def video(self, path: Path, output: Path) -> None:
        def pictures() -> Iterator[np.ndarray]:
            with tqdm(total=video.num_frames(path) or None, unit='frame', desc=path.name) as bar:
                for batch in in_batches(video.frames(path), self.args.batch):
                    for result in self.predictor.run([self.predictor.read(frame) for frame in batch], self.args.tile):
                        yield picture_of_frame(result)
                    bar.update(len(batch))
        try:
            video.write_video(output, path, pictures())
        except (ValueError, OSError) as error:
            self.skip(path, error)


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    paths = inputs_of(args.input)
    check_folder('--out', args.out)
    model = read_config(Path(args.model)) if args.model.endswith('.py') else args.model
    try:
        with nullcontext() if isinstance(model, str) else config_errors(model):
            predictor = load(model, args.weights, args.device)
    except (ValueError, FileNotFoundError, ImportError) as error:
        raise UsageError(str(error)) from error
    except (RuntimeError, AssertionError) as error:  # torch's words for a device that is not there
        raise UsageError(f'--device {args.device}: {str(error).splitlines()[0]}') from error
    if not isinstance(predictor, Predictor):
        raise UsageError(f'--model {args.model} is a backbone alone, which predicts nothing; it is for training')
    if args.tile and predictor.results is DetectionResult:
        raise UsageError('--tile: objects would be cut in two, so detectors take images as a whole')
    restores = predictor.results is RestorationResult
    counts = Counter(path.stem for path in paths)
    outputs = {path: output_of(path, args.out, restores, counts[path.stem] == 1) for path in paths}
    if same := [path for path in paths if outputs[path].resolve() == path.resolve()]:
        raise UsageError(f'--out {args.out}: {same[0]} would replace itself; name another folder')
    left = [path for path in paths if args.overwrite or not outputs[path].exists()]
    work = Work(args, predictor)
    work.images([path for path in left if not is_video(path)], outputs)
    for path in filter(is_video, left):
        work.video(path, outputs[path])
    kept = f', {len(paths) - len(left)} were there already (--overwrite replaces them)' if len(left) < len(paths) else ''
    print(f'wrote {len(left) - work.failed} of {len(paths)} results to {args.out}{kept}')
    if work.failed:
        raise UsageError(f'{work.failed} of {len(paths)} inputs could not be done, see above')


if __name__ == '__main__':
    run_tool(main)
