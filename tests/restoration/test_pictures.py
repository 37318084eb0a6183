"""Image files and back."""
import cv2
import numpy as np
import pytest

from mmvisattn.restoration.pictures import Picture, as_channels, read_picture, write_picture


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('shape', [(5, 7), (5, 7, 3), (5, 7, 4)], ids=str)
def test_round_trip(dtype, shape, tmp_path):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)
    cv2.imwrite(str(tmp_path / 'in.png'), image)
    picture = read_picture(tmp_path / 'in.png')
    assert picture.pixels.shape == (5, 7, 1 if len(shape) == 2 else 3) and picture.pixels.dtype == np.float32
    write_picture(tmp_path / 'new' / 'out.png', picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'new' / 'out.png'), cv2.IMREAD_UNCHANGED), image)


def test_colors_are_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / 'blue.png'), np.full((2, 2, 3), (255, 0, 0), np.uint8))
    assert read_picture(tmp_path / 'blue.png').pixels[0, 0].tolist() == [0, 0, 1]


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / 'text.png').write_text('no image')
    (tmp_path / 'empty.png').touch()
    for name in ('text.png', 'empty.png', 'nothing.png'):
        with pytest.raises(ValueError, match=name):
            read_picture(tmp_path / name)


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    deep = Picture(np.ones((2, 2, 3), np.float32), None, np.dtype(np.uint16))
    for name, message in (('x.jpg', '16 bits'), ('x.what', r'format \.what')):
        with pytest.raises(ValueError, match=message):
            write_picture(tmp_path / name, deep)
    assert not list(tmp_path.iterdir())


def test_channels():
    gray = np.full((2, 2, 1), 0.5, np.float32)
    assert as_channels(gray, 3).shape == (2, 2, 3) and as_channels(gray, 1) is gray
    np.testing.assert_allclose(as_channels(np.full((2, 2, 3), 0.5, np.float32), 1), gray)
