"""What is wrong with an annotation file in COCO's layout."""
import json
import math
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

LISTS = ('images', 'annotations', 'categories')
OUTSIDE = 2  # pixels by which a box may leave its image: some of COCO's do by a fraction of one


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file.

    Attributes:
        file: its path.
        text: what is wrong.
        stops: whether a training on it would go wrong; otherwise a part of the data is left out.
    """
    file: str
    text: str
    stops: bool = True

    def __str__(self) -> str:
        return f'{self.file}: {self.text}'


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _repeated(values: Iterable[Any]) -> list:
    return [value for value, count in Counter(values).items() if count > 1]


def _image_texts(image: Any) -> Iterator[str]:
    """What is wrong with an entry of ``images``."""
    if not isinstance(image, dict):
        yield f'an image is {image!r:.60}, not a dict'
        return
    name = image.get('file_name')
    where = f'image {image.get("id")!r:.40} ({name!r:.80})'
    if not _is_id(image.get('id')):
        yield f'{where}: its id must be a whole number'
    if not isinstance(name, str) or not name:
        yield f'{where} has no file_name'
    elif PurePath(name).is_absolute() or '..' in PurePath(name).parts:
        yield f'{where}: its file_name leaves the root of the images'
    for side in ('width', 'height'):
        if not (_is_number(image.get(side)) and image[side] >= 1):
            yield f'{where}: its {side} is {image.get(side)!r:.40}'


def _box_text(box: Any, image: dict) -> str | None:
    """What is wrong with a box [x, y, width, height]."""
    if not isinstance(box, (list, tuple)) or len(box) != 4 or not all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in box):
        return 'must have four numbers: x, y, width, height'
    if not all(map(math.isfinite, box)):
        return 'has a value that is not finite'
    x, y, width, height = box
    if width < 0 or height < 0:
        return 'has a negative width or height'
    if x < -OUTSIDE or y < -OUTSIDE or x + width > image['width'] + OUTSIDE or y + height > image['height'] + OUTSIDE:
        return f'leaves its image, of {image["width"]} x {image["height"]} pixels'
    return None


def _is_left_out(annotation: dict) -> bool:
    """Whether mmdet leaves an annotation out: its box is thinner than a pixel, or has no area."""
    return min(annotation['bbox'][2:]) < 1 or annotation['area'] <= 0


def _annotation_text(annotation: Any, images: dict, categories: set) -> str | None:
    """What is wrong with an entry of ``annotations``."""
    where = f'annotation {annotation.get("id")!r:.40}' if isinstance(annotation, dict) else f'annotation {annotation!r:.60}'
    if not isinstance(annotation, dict) or not _is_id(annotation.get('id')):
        return f'{where} must be a dict whose id is a whole number'
    for key, known in (('image_id', images), ('category_id', categories)):
        value = annotation.get(key)
        if not _is_id(value):
            return f'{where}: its {key} is {value!r:.40}'
        if value not in known:
            return f'{where}: there is no {key.removesuffix("_id")} with the id {value}'
    text = _box_text(annotation.get('bbox'), images[annotation['image_id']])
    if text:
        return f'{where}: its box {annotation.get("bbox")!r:.80} {text}'
    return None if _is_number(annotation.get('area')) else f'{where}: its area is {annotation.get("area")!r:.40}'


def _category_texts(categories: list, classes: Sequence[str]) -> Iterator[str]:
    """What is wrong with ``categories``."""
    good = [entry for entry in categories if isinstance(entry, dict) and _is_id(entry.get('id'))
            and isinstance(entry.get('name'), str)]
    for entry in categories:
        if not any(entry is other for other in good):
            yield f'the category {entry!r:.60} must have an id, a whole number, and a name'
    for key in ('id', 'name'):
        for value in _repeated(entry[key] for entry in good):
            yield f'several categories have the {key} {value!r}'
    lacking = [name for name in classes if name not in {entry['name'] for entry in good}]
    if lacking:
        yield f'it lists no category {", ".join(lacking[:8])}{" …" if len(lacking) > 8 else ""}'


def _content(path: Path) -> Any:
    try:
        content = path.read_bytes()
        if content.startswith(BOM_UTF8):
            return 'begins with a byte order mark: save it as plain UTF-8'
        return json.loads(content)
    except FileNotFoundError:
        return 'does not exist'
    except (ValueError, RecursionError) as error:
        return 'is empty' if not path.stat().st_size else f'is no JSON: {error}'


def coco_faults(path: str | Path, classes: Sequence[str] = ()) -> list[Fault]:
    """Everything wrong with an annotation file.

    Args:
        path: of the file.
        classes: names of the categories that must be there.
    """
    content = _content(Path(path))
    if isinstance(content, str):
        return [Fault(str(path), content)]
    lacking = [key for key in LISTS if not isinstance(content, dict) or not isinstance(content.get(key), list)]
    if lacking:
        return [Fault(str(path), f'has no list {lacking[0]!r}')]
    empty = [key for key in LISTS if not content[key]]
    if empty:
        return [Fault(str(path), f'its list {empty[0]!r} is empty')]
    images, annotations, categories = (content[key] for key in LISTS)
    texts = list(_category_texts(categories, classes))
    wrong = [[*_image_texts(image)] for image in images]
    texts += [text for found in wrong for text in found]
    good = [image for image, found in zip(images, wrong) if not found]
    for key in ('id', 'file_name'):
        texts += [f'several images have the {key} {value!r}' for value in _repeated(image[key] for image in good)]
    known = {image['id']: image for image in good}
    identities = {entry['id'] for entry in categories if isinstance(entry, dict) and _is_id(entry.get('id'))}
    left_out = 0
    for annotation in annotations:
        text = _annotation_text(annotation, known, identities)
        if text:
            texts.append(text)
        else:
            left_out += _is_left_out(annotation)
    texts += [f'several annotations have the id {value!r}' for value in _repeated(
        annotation.get('id') for annotation in annotations if isinstance(annotation, dict) and _is_id(annotation.get('id')))]
    faults = [Fault(str(path), text) for text in texts]
    if left_out:
        faults.append(Fault(str(path), f'{left_out} of {len(annotations)} boxes are thinner than a pixel or have no area: '
                            'they are left out', stops=left_out == len(annotations)))
    return faults
