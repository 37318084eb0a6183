#!/usr/bin/env python3
"""Apply a model to images, folders and videos: tools/predict.py INPUT [--model NAME] [--out DIR]"""
import mmvisattn.cli  # noqa: F401  before torch, which reads what it sets

# isort: split
import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from mmengine.logging import MMLogger
from tqdm import tqdm

from mmvisattn.cli.arguments import read_config, run_tool
from mmvisattn.cli.misuse import config_errors
from mmvisattn.cli.usage import Parser, UsageError, check_folder
from mmvisattn.files import written_whole
from mmvisattn.inference import (
    ClassificationResult,
    DetectionResult,
    Predictor,
    RestorationResult,
    Result,
    SegmentationResult,
    load,
    video,
)
from mmvisattn.inference.predictor import SMALLEST_TILE
from mmvisattn.weights.download import fetch, is_url


def save_json(target: Path, **data: Any) -> None:
    with written_whole(target) as unfinished:
        unfinished.write_text(json.dumps(dict(name=target.stem, **data)))


def save_boxes(result: DetectionResult, target: Path) -> None:
    save_json(target, classes=result.classes, results=result.to_coco())


def save_scores(result: ClassificationResult, target: Path) -> None:
    save_json(target, results=result.top())


# Where the data of a result go: the folder, the suffix, and what writes them.
DATA: dict[type[Result], tuple[str, str, Callable[[Any, Path], None]]] = {
    ClassificationResult: ('scores', '.json', save_scores),
    SegmentationResult: ('labels', '.png', SegmentationResult.save_labels),
    DetectionResult: ('boxes', '.json', save_boxes),
}


def parse_args() -> argparse.Namespace:
    parser = Parser('Apply a model to images and videos, and paint what it finds.')
    parser.add_argument('input', help='an image or a video, by path or URL, or a folder of them (without its subfolders)')
    parser.add_argument('--model', default='segmentation',
                        help="a model's name (mmvisattn.list_models()), a config, or a task: segmentation, detection or "
                        'restoration by a small model that comes with the package (default: %(default)s)')
    parser.add_argument('--weights', help="a checkpoint: path or URL; or official: the authors' (default: those that come "
                        'with the package)')
    parser.add_argument('--out', type=Path, default=Path('predictions'), help='folder of the results (default: %(default)s)')
    parser.add_argument('--data', action='store_true',
                        help='write the data, too: labels as PNG to OUT/labels, COCO results to OUT/boxes, or the five '
                        'highest scores to OUT/scores')
    parser.add_argument('--tile', type=int, help='work in square tiles of this many pixels per side, for large images')
    parser.add_argument('--batch', type=int, default=1, help='images or frames computed together (default: %(default)s)')
    parser.add_argument('--device', help='default: cuda if PyTorch finds a GPU, else cpu')
    parser.add_argument('--overwrite', action='store_true', help='replace results that exist already')
    args = parser.parse_args()
    for name, smallest in (('batch', 1), ('tile', SMALLEST_TILE)):
        if getattr(args, name) is not None and getattr(args, name) < smallest:
            raise UsageError(f'--{name} {getattr(args, name)}: must be at least {smallest}')
    return args


def inputs_of(source: str, fetched: Path) -> list[Path]:
    """The images and videos of a folder, or the one file; what a URL names is put into the folder ``fetched``."""
    if is_url(source):
        try:
            return [fetch(source, fetched / (Path(unquote(urlsplit(source).path)).name or 'input'))]
        except FileNotFoundError as error:
            raise UsageError(str(error)) from error
    path = Path(source)
    if path.is_file():
        return [path]
    if not source or not path.is_dir():  # an empty one would be the working folder
        raise UsageError(f'there is no image, video or folder {source!r}')
    try:
        return video.images_and_videos(path)
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error


def outputs_of(paths: list[Path], args: argparse.Namespace, results: type[Result]) -> dict[Path, list[Path]]:
    """Where the results of each input go: the picture or video first, then the data of an image if they are wanted."""
    are_unique = len({path.stem for path in paths}) == len(paths)
    outputs = {}
    for path in paths:
        name = path.stem if are_unique else path.name
        suffix = '.mp4' if video.is_video(path) else path.suffix if results is RestorationResult else '.png'
        outputs[path] = [args.out / f'{name}{suffix}']
        if args.data and not video.is_video(path) and results in DATA:
            folder, suffix, _ = DATA[results]
            outputs[path].append(args.out / folder / f'{name}{suffix}')
    return outputs


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

    def __init__(self, args: argparse.Namespace, predictor: Predictor[Any], outputs: dict[Path, list[Path]]):
        self.args = args
        self.predictor = predictor
        self.outputs = outputs
        self.failed = 0

    def is_wanted(self, output: Path) -> bool:
        return self.args.overwrite or not output.exists()

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

    def predict(self, images: list[tuple[Path, Any]]) -> Iterator[tuple[Path, Result]]:
        """The results of images; one by one if those of a batch fail together."""
        try:
            yield from zip([path for path, _ in images], self.predictor.run([image for _, image in images], self.args.tile))
        except ValueError as error:
            if len(images) == 1:
                self.skip(images[0][0], error)
            else:
                for one in images:
                    yield from self.predict([one])

    def write(self, path: Path, result: Result) -> None:
        picture, *data = self.outputs[path]
        try:
            for output in filter(self.is_wanted, data):
                DATA[type(result)][2](result, output)
            if self.is_wanted(picture):
                result.save(picture)
        except (ValueError, OSError) as error:
            self.skip(path, error)

    def images(self, paths: list[Path]) -> None:
        with tqdm(total=len(paths), unit='image', disable=not paths) as bar:
            for batch in in_batches(paths, self.args.batch):
                for path, result in list(self.predict(self.read(batch))):
                    self.write(path, result)
                bar.update(len(batch))

    def video(self, path: Path) -> None:
        total, seen = video.num_frames(path), 0

        def pictures() -> Iterator[np.ndarray]:
            nonlocal seen
            with tqdm(total=total or None, unit='frame', desc=path.name) as bar:
                for batch in in_batches(video.frames(path), self.args.batch):
                    for result in self.predictor.run([self.predictor.read(frame) for frame in batch], self.args.tile):
                        yield picture_of_frame(result)
                    bar.update(len(batch))
                    seen += len(batch)
        video.write_video(self.outputs[path][0], path, pictures())
        if seen < total:
            tqdm.write(f'{path} announces {total} frames, but only {seen} can be read', file=sys.stderr)

    def videos(self, paths: list[Path]) -> None:
        for path in paths:
            try:
                self.video(path)
            except (ValueError, OSError) as error:
                self.skip(path, error)


def check_outputs(outputs: dict[Path, list[Path]], out: Path) -> None:
    """Fail where a result would replace an input or another result."""
    targets = [target for group in outputs.values() for target in group]
    inputs = {path.resolve() for path in outputs}
    if same := [target for target in targets if target.resolve() in inputs]:
        raise UsageError(f'--out {out}: {same[0]} is an input, which a result would replace; name another folder')
    if twice := [target for target, count in Counter(targets).items() if count > 1]:
        raise UsageError(f'two results would be written to {twice[0]}; rename one of the inputs')


def predict(paths: list[Path], args: argparse.Namespace) -> None:
    model = read_config(Path(args.model)) if args.model.endswith('.py') else args.model
    try:
        with nullcontext() if isinstance(model, str) else config_errors(model):
            predictor = load(model, args.weights, args.device)
    except (ValueError, FileNotFoundError, ImportError) as error:
        raise UsageError(str(error)) from error
    if not isinstance(predictor, Predictor):
        raise UsageError(f'--model {args.model} is a backbone alone, which predicts nothing; it is for training')
    if args.tile and predictor.results is DetectionResult:
        raise UsageError('--tile: objects would be cut in two, so detectors take images as a whole')
    if args.tile and predictor.results is ClassificationResult:
        raise UsageError('--tile: classifiers take images as a whole')
    outputs = outputs_of(paths, args, predictor.results)
    check_outputs(outputs, args.out)
    work = Work(args, predictor, outputs)
    left = [path for path in paths if any(map(work.is_wanted, outputs[path]))]
    videos = [path for path in left if video.is_video(path)]
    if args.data and videos:
        print('--data writes the data of images only; of videos the painted frames are written', file=sys.stderr)
    work.images([path for path in left if path not in videos])
    work.videos(videos)
    kept = f', {len(paths) - len(left)} were there already (--overwrite replaces them)' if len(left) < len(paths) else ''
    print(f'wrote {len(left) - work.failed} of {len(paths)} results to {args.out}{kept}')
    if work.failed:
        raise UsageError(f'{work.failed} of {len(paths)} inputs could not be done, see above')


def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')
    check_folder('--out', args.out)
    with TemporaryDirectory() as fetched:
        predict(inputs_of(args.input, Path(fetched)), args)


if __name__ == '__main__':
    run_tool(main)
