"""A miniature data set for trial trainings: generated scenes in the layout of a real data set.

A scene is sky over ground with overlapping shapes on it. A shape's class is its outline together with its texture; its
colours are random, and light, blur, noise and clutter vary, so that no colour threshold tells classes apart.
"""
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import cv2
import numpy as np
from numpy.random import Generator
from tqdm import tqdm

Array = np.ndarray


@dataclass(frozen=True)
class Scene:
    """A generated image with its ground truth.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        labels: (H, W) uint8, 1 + the index in ``CLASSES``; 0 where clutter hides the scene.
        instances: (class index, visible pixels as an (H, W) boolean mask) of each shape, in the order drawn.
    """
    image: Array
    labels: Array
    instances: list[tuple[int, Array]]


def _grid(height: int, width: int, rng: Generator) -> tuple[Array, Array]:
    """Pixel coordinates rotated by a random angle and scaled so that one period of a texture, of random length, is 2 pi."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(9, 13)
    y, x = np.mgrid[:height, :width] * (2 * np.pi / period)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _grain(u: Array, rng: Generator) -> Array:
    noise = cv2.GaussianBlur(rng.standard_normal(u.shape), (0, 0), 1.5)
    return (noise > 0).astype(float)


# Each maps rotated coordinates to a mixing weight from 0 to 1 of the shape's two colours.
TEXTURES: dict[str, Callable[[Array, Array, Generator], Array]] = {
    'gradient': lambda u, v, rng: (u - u.min()) / (np.ptp(u) + 1e-6),
    'stripes': lambda u, v, rng: (np.sin(u) > 0).astype(float),
    'checks': lambda u, v, rng: (np.sin(u) * np.sin(v) > 0).astype(float),
    'dots': lambda u, v, rng: (np.cos(u) + np.cos(v) > 0.7).astype(float),
    'waves': lambda u, v, rng: (np.sin(u + 2 * np.sin(v)) > 0).astype(float),
    'bricks': lambda u, v, rng: ((np.cos(u) > 0.8) | (np.cos(v / 2 + np.pi * (u // (2 * np.pi))) > 0.9)).astype(float),
    'grain': lambda u, v, rng: _grain(u, rng),
    'hatch': lambda u, v, rng: ((np.cos(u) > 0.6) | (np.cos(v) > 0.6)).astype(float),
}


def _polygon(radii: list[float]) -> Array:
    """A unit polygon: one corner per given radius, at equal angles."""
    angles = 2 * np.pi * np.arange(len(radii)) / len(radii)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None]


CROSS = np.array([(1, .33), (.33, .33), (.33, 1), (-.33, 1), (-.33, .33), (-1, .33),
                  (-1, -.33), (-.33, -.33), (-.33, -1), (.33, -1), (.33, -.33), (1, -.33)])

# name: (outline in units of its radius, texture)
SHAPES: dict[str, tuple[Array, str]] = {
    'disc': (_polygon([1] * 40), 'dots'),
    'square': (_polygon([1] * 4), 'checks'),
    'triangle': (_polygon([1.1] * 3), 'stripes'),
    'cross': (CROSS, 'waves'),
    'star': (_polygon([1.15, 0.5] * 5), 'gradient'),
    'hexagon': (_polygon([1] * 6), 'bricks'),
    'leaf': (_polygon([1] * 40) * (1, 0.45), 'grain'),
    'gear': (_polygon([1, 1, 0.72, 0.72] * 8), 'hatch'),
}
CLASSES = ('sky', 'ground', *SHAPES)
PALETTE = [[150, 190, 230], [120, 110, 90], [230, 60, 60], [60, 160, 60], [60, 90, 220], [240, 180, 40], [160, 70, 190],
           [40, 190, 190], [130, 200, 60], [240, 120, 170]]


def _fill(image: Array, mask: Array, texture: str, rng: Generator) -> None:
    """Paint the mask with a texture between two random colours that differ in brightness."""
    dark, bright = rng.uniform(20, 150, 3), rng.uniform(90, 240, 3)
    height, width = mask.shape
    mix = TEXTURES[texture](*_grid(height, width, rng), rng)[..., None]
    image[mask] = (dark + (bright - dark) * mix)[mask]


def _background(height: int, width: int, rng: Generator) -> tuple[Array, Array]:
    """Sky over ground behind a slanted horizon."""
    horizon = height * rng.uniform(0.3, 0.6) + np.arange(width) * rng.uniform(-0.15, 0.15)
    is_ground = np.arange(height)[:, None] > horizon
    image = np.empty((height, width, 3))
    for mask, sigma in ((~is_ground, 12.0), (is_ground, 1.5)):
        noise = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), sigma)
        noise = 25 * noise / (noise.std() + 1e-6)
        image[mask] = (rng.uniform(60, 200, 3) + noise[..., None])[mask]
    return image, np.where(is_ground, 2, 1).astype(np.uint8)


def _outline_mask(outline: Array, shape: tuple[int, int], rng: Generator, is_large: bool = False) -> Array:
    """The outline at a random place, size and angle; a large one is near the middle."""
    height, width = shape
    radius = rng.uniform(*((0.28, 0.45) if is_large else (0.18, 0.34))) * min(shape)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    margins = np.array([(0.35, 0.4), (0.65, 0.6)] if is_large else [(0.1, 0.15), (0.9, 0.9)])
    center = rng.uniform(*(margins * (width, height)))
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(outline @ turn * radius + center).astype(np.int32)], 1)
    return mask.astype(bool)


def _clutter(shape: tuple[int, int], rng: Generator) -> Array:
    """Thin wires and specks that hide what is behind them."""
    mask = np.zeros(shape, np.uint8)
    height, width = shape
    for _ in range(rng.integers(0, 4)):
        ends = [tuple(int(x) for x in rng.uniform((0, 0), (width, height))) for _ in range(2)]
        cv2.line(mask, ends[0], ends[1], 1, int(rng.integers(1, 3)))
    for _ in range(rng.integers(0, 12)):
        center = tuple(int(x) for x in rng.uniform((0, 0), (width, height)))
        cv2.circle(mask, center, int(rng.integers(1, 3)), 1, -1)
    return mask.astype(bool)


def _photograph(image: Array, rng: Generator) -> Array:
    """Slanted light with a colour cast, then blur, then noise."""
    height, width = image.shape[:2]
    left, right, top, bottom = rng.uniform((0.55, 0.55, 0.8, 0.8), (1.2, 1.2, 1.15, 1.15))
    slope = np.linspace(left, right, width)[None] * np.linspace(top, bottom, height)[:, None]
    image = image * slope[..., None] * rng.uniform(0.85, 1.15, 3)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.1))
    image = image + rng.standard_normal(image.shape) * rng.uniform(2, 12)
    return np.clip(image, 0, 255).astype(np.uint8)


def draw_scene(rng: Generator, shape: str | None = None) -> Scene:
    """Draw one scene of 112 to 176 by 144 to 224 pixels with a large shape of this name, or with three to seven shapes."""
    height, width = int(rng.integers(112, 177)), int(rng.integers(144, 225))
    image, labels = _background(height, width, rng)
    owner = np.full((height, width), -1)
    names = [shape] if shape else rng.choice(list(SHAPES), size=rng.integers(3, 8))
    for number, name in enumerate(names):
        outline, texture = SHAPES[name]
        mask = _outline_mask(outline, labels.shape, rng, is_large=shape is not None)
        _fill(image, mask, texture, rng)
        labels[mask], owner[mask] = 1 + CLASSES.index(name), number
    hidden = _clutter(labels.shape, rng)
    image[hidden] = rng.uniform(0, 255, 3)
    labels[hidden], owner[hidden] = 0, -1
    instances = [(CLASSES.index(name), owner == number) for number, name in enumerate(names)]
    return Scene(_photograph(image, rng), labels, [(cls, mask) for cls, mask in instances if mask.any()])


def scenes(split: str, count: int, seed: int, one_shape: bool = False) -> Iterator[Scene]:
    """The scenes of a split, with one large shape each if ``one_shape``; each depends only on seed, split and number."""
    names = list(SHAPES)
    for i in tqdm(range(count), desc=split, unit='image'):
        rng = np.random.default_rng([seed, ('training', 'validation').index(split), i])
        yield draw_scene(rng, names[i % len(names)] if one_shape else None)


@contextmanager
def _folder_made_whole(root: Path) -> Iterator[Path]:
    """A temporary folder to fill; it becomes ``root`` when the block ends without an error."""
    if root.exists():
        raise FileExistsError(f'{root} exists already: remove it, or choose another folder')
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(mkdtemp(prefix=f'.{root.name}-', dir=root.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        unfinished.rename(root)
    finally:
        rmtree(unfinished, ignore_errors=True)


def _write_ade20k_split(folder: Path, split: str, drawn: Iterable[Scene]) -> None:
    """Labels are 1 to 10, 0 where nothing is labelled, so configs set ``reduce_zero_label=True`` as for ADE20K."""
    stem = dict(training='ADE_train', validation='ADE_val')[split]
    for kind in ('images', 'annotations'):
        (folder / kind / split).mkdir(parents=True)
    for i, scene in enumerate(drawn, start=1):
        cv2.imwrite(str(folder / 'images' / split / f'{stem}_{i:08d}.jpg'), scene.image)
        cv2.imwrite(str(folder / 'annotations' / split / f'{stem}_{i:08d}.png'), scene.labels)


def _coco_annotation(cls: int, mask: Array) -> dict:
    """Category, box and mask of a shape; the categories are the shapes, counted from 1."""
    from pycocotools import mask as coco_mask
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(
        category_id=cls - len(CLASSES) + len(SHAPES) + 1, bbox=coco_mask.toBbox(rle).tolist(),
        area=int(mask.sum()), segmentation=dict(size=rle['size'], counts=rle['counts'].decode()), iscrowd=0)


def _write_coco_split(folder: Path, split: str, drawn: Iterable[Scene]) -> None:
    """Shapes with fewer than 100 visible pixels are left out: such fragments cannot be recognised."""
    name = dict(training='train2017', validation='val2017')[split]
    (folder / name).mkdir()
    (folder / 'annotations').mkdir(exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for i, scene in enumerate(drawn, start=1):
        height, width = scene.labels.shape
        images.append(dict(id=i, file_name=f'{i:012d}.jpg', height=height, width=width))
        cv2.imwrite(str(folder / name / images[-1]['file_name']), scene.image)
        annotations += [dict(_coco_annotation(cls, mask), id=len(annotations) + number, image_id=i)
                        for number, (cls, mask) in enumerate(
                            (instance for instance in scene.instances if instance[1].sum() >= 100), start=1)]
    categories = [dict(id=i, name=shape) for i, shape in enumerate(SHAPES, start=1)]
    (folder / 'annotations' / f'instances_{name}.json').write_text(
        json.dumps(dict(images=images, annotations=annotations, categories=categories)))


def _write_imagenet_split(folder: Path, split: str, drawn: Iterable[Scene]) -> None:
    """A folder for each shape; the classes are the folders in alphabetical order."""
    name = dict(training='train', validation='val')[split]
    for shape in SHAPES:
        (folder / name / shape).mkdir(parents=True)
    for i, scene in enumerate(drawn, start=1):
        shape = CLASSES[scene.instances[0][0]]
        cv2.imwrite(str(folder / name / shape / f'{shape}_{i}.JPEG'), scene.image)


LAYOUTS: dict[str, Callable[[Path, str, Iterable[Scene]], None]] = {
    'ade20k': _write_ade20k_split, 'coco': _write_coco_split, 'imagenet': _write_imagenet_split}


def write_miniature(root: str | Path, layout: str = 'ade20k', num_training: int = 320, num_validation: int = 60,
                    seed: int = 0) -> Path:
    """Write a miniature data set in the layout of a real one.

    Args:
        root: the folder to create. It appears only when it is complete.
        layout: 'ade20k': ``images`` and ``annotations``, each ``training``, ``validation``; 'coco': ``train2017``,
            ``val2017`` and ``annotations/instances_*.json`` with boxes and masks of the shapes in the same scenes;
            'imagenet': ``train`` and ``val`` with a folder for each shape, one shape in each image.
        num_training: number of training images.
        num_validation: number of validation images.
        seed: the same seed gives the same files.

    Returns:
        ``root`` as a path.

    Raises:
        FileExistsError: if ``root`` exists already.
        ValueError: if a count is less than 1, or the seed less than 0.
    """
    root = Path(root)
    if min(num_training, num_validation) < 1:
        raise ValueError(f'num_training={num_training} and num_validation={num_validation} must be at least 1')
    if seed < 0:
        raise ValueError(f'seed={seed} must be at least 0')
    with _folder_made_whole(root) as folder:
        for split, count in (('training', num_training), ('validation', num_validation)):
            LAYOUTS[layout](folder, split, scenes(split, count, seed, one_shape=layout == 'imagenet'))
    return root
