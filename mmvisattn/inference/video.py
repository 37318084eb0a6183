"""Videos, frame by frame."""
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from mmvisattn.files import written_whole
from mmvisattn.restoration.pictures import image_files

SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')


def is_video(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def images_and_videos(folder: Path) -> list[Path]:
    """The image files of a folder, then the videos, without its subfolders.

    Raises:
        FileNotFoundError: if there is neither.
    """
    videos = sorted(path for path in folder.iterdir() if is_video(path))
    try:
        return [*image_files(folder), *videos]
    except FileNotFoundError as error:
        if videos:
            return videos
        raise FileNotFoundError(f'{error}, and no videos') from error


def open_video(path: Path) -> cv2.VideoCapture:
    """A video that has frames.

    Raises:
        ValueError: if OpenCV cannot read the file as a video.
    """
    video = cv2.VideoCapture(str(path))
    if not video.isOpened() or video.get(cv2.CAP_PROP_FRAME_WIDTH) < 1:
        raise ValueError(f'{path} is not a video that OpenCV can read')
    return video


def num_frames(path: Path) -> int:
    """How many frames a video says it has; 0 if it does not say."""
    return max(0, int(open_video(path).get(cv2.CAP_PROP_FRAME_COUNT)))


def size_of(path: Path) -> tuple[int, int]:
    """Height and width of a video's frames."""
    found = open_video(path)
    return int(found.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(found.get(cv2.CAP_PROP_FRAME_WIDTH))


def frames(path: Path) -> Iterator[np.ndarray]:
    """The frames of a video, (H, W, 3) uint8 RGB."""
    video = open_video(path)
    while True:
        found, frame = video.read()
        if not found:
            return
        yield np.ascontiguousarray(frame[..., ::-1])


def write_video(path: Path, source: Path, pictures: Iterable[np.ndarray]) -> None:
    """Write pictures of equal size as an MP4 video with the frame rate of another one, whole or not at all.

    Raises:
        ValueError: if there are no pictures, or OpenCV cannot write the format.
    """
    rate = open_video(source).get(cv2.CAP_PROP_FPS) or 25
    with written_whole(path) as unfinished:
        writer = None
        for picture in pictures:
            if writer is None:
                writer = _writer(unfinished, rate, picture.shape)
            writer.write(np.ascontiguousarray(picture[..., ::-1]))
        if writer is None:
            raise ValueError(f'{source} holds no frame')
        writer.release()


def _writer(path: Path, rate: float, shape: tuple[int, ...]) -> cv2.VideoWriter:
    code: Callable[..., int] = cv2.VideoWriter.fourcc
    writer = cv2.VideoWriter(str(path), code(*'mp4v'), rate, (shape[1], shape[0]))
    if not writer.isOpened():
        raise ValueError(f'OpenCV cannot write the video {path}')
    return writer
