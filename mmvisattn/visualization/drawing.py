"""Painting predictions onto images, (H, W, 3) uint8 RGB."""
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray
Color = Sequence[int]


def paint(labels: Array, palette: Sequence[Color]) -> Array:
    """(H, W) labels as an image; labels beyond the palette (255, unlabelled) are black."""
    colors = np.zeros((max(256, len(palette)), 3), np.uint8)
    colors[:len(palette)] = palette
    return colors[labels]


def blend(image: Array, colors: Array, opacity: float) -> Array:
    """Colors over an image."""
    return np.asarray(Image.blend(Image.fromarray(image), Image.fromarray(colors), opacity))


def draw_masks(image: Array, masks: Array, colors: Sequence[Color], opacity: float = 0.5) -> Array:
    """Masks (N, H, W), bool, over an image."""
    painted = image.copy()
    for mask, color in zip(masks, colors):
        painted[mask] = color
    return blend(image, painted, opacity)


def draw_boxes(image: Array, boxes: Array, colors: Sequence[Color], captions: Sequence[str] = ()) -> Array:
    """Boxes (N, 4) of corners x1, y1, x2, y2 in pixels, with a few words above each."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    side = min(picture.size)
    width, text_size = max(1, side // 120), max(10, side // 32)
    font = ImageFont.load_default(text_size)
    for i, (box, color) in enumerate(zip(boxes.tolist(), colors)):
        fill = tuple(int(value) for value in color)
        draw.rectangle(box, outline=fill, width=width)
        if i < len(captions):
            place = draw.textbbox((box[0], max(0, box[1] - text_size - 2)), captions[i], font=font, anchor='lt')
            draw.rectangle(place, fill=fill)
            draw.text(place[:2], captions[i], font=font, fill=text_color(color), anchor='lt')
    return np.asarray(picture)


def text_color(background: Color) -> str:
    """Black or white, whichever is read better."""
    red, green, blue = background
    return 'black' if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else 'white'


def with_bars(image: Array, names: Sequence[str], shares: Sequence[float]) -> Array:
    """An image with a bar from 0 to 1 and a name for each share in lines below it."""
    size = max(11, min(image.shape[:2]) // 18)
    font, margin = ImageFont.load_default(size), size // 2
    width = max(image.shape[1], 16 * size)
    below = Image.new('RGB', (width, len(names) * (size + margin) + margin), 'white')
    draw = ImageDraw.Draw(below)
    for i, (name, share) in enumerate(zip(names, shares)):
        top = margin + i * (size + margin)
        draw.rectangle((margin, top, margin + share * (width - 2 * margin), top + size), fill=(150, 190, 240))
        draw.text((2 * margin, top + size / 2), f'{100 * share:4.1f} %  {name}', font=font, fill='black', anchor='lm')
    framed = np.full((image.shape[0], width, 3), 255, np.uint8)
    left = (width - image.shape[1]) // 2
    framed[:, left:left + image.shape[1]] = image
    return np.concatenate([framed, np.asarray(below)])


def with_legend(image: Array, names: Sequence[str], colors: Sequence[Color]) -> Array:
    """An image with the names of colors in lines below it."""
    size = max(11, min(image.shape[:2]) // 28)
    font, margin = ImageFont.load_default(size), size // 2
    places, x, y = [], margin, margin
    for name in names:
        needed = int(font.getlength(name)) + 3 * margin + size
        if x > margin and x + needed > image.shape[1]:
            x, y = margin, y + size + margin
        places.append((x, y))
        x += needed
    below = Image.new('RGB', (image.shape[1], y + size + 2 * margin if names else 0), 'white')
    draw = ImageDraw.Draw(below)
    for (x, y), name, color in zip(places, names, colors):
        draw.rectangle((x, y, x + size, y + size), fill=tuple(int(value) for value in color))
        draw.text((x + size + margin, y + size / 2), name, font=font, fill='black', anchor='lm')
    return np.concatenate([image, np.asarray(below).reshape(-1, image.shape[1], 3)])
