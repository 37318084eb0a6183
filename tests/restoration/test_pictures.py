"""Image files and back."""
import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from mmvisattn.restoration.pictures import Picture, as_channels, check_format, read_picture, write_picture


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


HOLD = {  # bits, and gray, colour or transparency where a format holds only that; all else is refused
    '.png .tif .tiff .jp2': {'8', '8 alpha', '16', '16 alpha'},
    '.bmp .dib .webp .avif': {'8', '8 alpha'},
    '.jpg .jpeg .jpe .pam': {'8'},
    '.pnm': {'8', '16'},
    '.ppm': {'8 colour', '16 colour'},
    '.pgm': {'8 gray', '16 gray'},
    '.ras .sr': {'8 colour'},
    '.pbm .hdr .pic .pfm .gif .exr .what': set(),
}


@pytest.mark.parametrize('suffix', ' '.join(HOLD).split())
@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('transparent', [False, True], ids=['opaque', 'alpha'])
@pytest.mark.parametrize('channels', [1, 3], ids=['gray', 'colour'])
def test_files_are_written_right_or_refused(suffix, bits, transparent, channels, tmp_path):
    random, dtype = np.random.default_rng(0), np.dtype(f'uint{bits}')
    pixels, alpha = (cv2.GaussianBlur(random.random((60, 60, 3), np.float32), (0, 0), 3) for _ in range(2))
    alpha = (alpha[..., :1] * np.iinfo(dtype).max).astype(dtype) if transparent else None
    picture, path = Picture(pixels[..., :channels], alpha, dtype), tmp_path / f'x{suffix}'
    kind = f'{bits} alpha' if transparent else str(bits)
    held = next(kinds for suffixes, kinds in HOLD.items() if suffix in suffixes.split())
    if not held & {kind, f'{kind} {"gray" if channels == 1 else "colour"}'} and cv2.haveImageWriter(str(path)):
        with pytest.raises(ValueError, match=rf'x\{suffix}: \{suffix} cannot hold .* of {bits} bits'):
            check_format(path, picture)
    try:
        write_picture(path, picture)
    except ValueError:
        assert not list(tmp_path.iterdir())
        return
    assert held & {kind, f'{kind} {"gray" if channels == 1 else "colour"}'}
    again = read_picture(path)
    assert again.dtype == dtype and (again.alpha is not None) == transparent
    assert np.abs(as_channels(again.pixels, 3) - as_channels(picture.pixels, 3)).mean() < 0.02
    if transparent:
        np.testing.assert_allclose(again.alpha / np.iinfo(dtype).max, alpha / np.iinfo(dtype).max, atol=0.05)


def test_channels():
    gray = np.full((2, 2, 1), 0.5, np.float32)
    assert as_channels(gray, 3).shape == (2, 2, 3) and as_channels(gray, 1) is gray
    np.testing.assert_allclose(as_channels(np.full((2, 2, 3), 0.5, np.float32), 1), gray)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
def test_metadata_and_orientation_are_kept(suffix, orientation, tmp_path):
    ramp = np.add.outer(np.arange(24) * 4, np.arange(32) * 3).astype(np.uint8)
    held, exif = Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], -1)), Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, 'Maker'
    held.save(tmp_path / f'held{suffix}', exif=exif, icc_profile=PROFILE, quality=100)
    picture = read_picture(tmp_path / f'held{suffix}')
    assert picture.pixels.shape[:2] == ((32, 24) if orientation > 4 else (24, 32))
    write_picture(tmp_path / f'again{suffix}', picture)
    before, after = (Image.open(tmp_path / f'{name}{suffix}') for name in ('held', 'again'))
    assert dict(after.getexif()) == dict(before.getexif()) == {0x0112: orientation, 0x010F: 'Maker'}
    assert after.info['icc_profile'] == PROFILE and after.size == before.size
    assert abs(np.asarray(after).astype(float) - np.asarray(before)).mean() < 3


def test_where_the_orientation_cannot_be_written_images_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (32, 24)).save(tmp_path / 'held.jpg', exif=exif)
    write_picture(tmp_path / 'upright.tif', read_picture(tmp_path / 'held.jpg'))
    assert Image.open(tmp_path / 'upright.tif').size == (24, 32)


def test_metadata_beside_16_bits_and_transparency(tmp_path):
    pixels = np.random.default_rng(0).random((24, 32, 3), np.float32)
    deep = Picture(pixels, np.full((24, 32, 1), 777, np.uint16), np.dtype(np.uint16), profile=PROFILE)
    write_picture(tmp_path / 'deep.png', deep)
    again = read_picture(tmp_path / 'deep.png')
    assert again.profile == PROFILE and again.dtype == np.uint16 and (again.alpha == 777).all()
    np.testing.assert_allclose(again.pixels, pixels, atol=1e-5)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_tiff_is_read_upright(orientation, dtype, tmp_path):
    image = Image.fromarray(np.arange(6, dtype=dtype).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / 'x.tif', tiffinfo={0x0112: orientation})
    image.save(tmp_path / 'x.png', exif=exif)
    np.testing.assert_array_equal(*(read_picture(tmp_path / name).pixels for name in ('x.tif', 'x.png')))


@pytest.mark.parametrize('name, mode, space, kept', [
    ('x.jpg', 'CMYK', b'CMYK', False), ('x.png', 'LA', b'GRAY', False), ('x.png', 'L', b'GRAY', True),
    ('x.jpg', 'L', b'RGB ', False)])
def test_a_profile_of_other_colors_is_left_out(name, mode, space, kept, tmp_path):
    profile = PROFILE[:16] + space + PROFILE[20:]
    Image.new('RGB', (20, 20), 'teal').convert(mode).save(tmp_path / name, icc_profile=profile)
    write_picture(tmp_path / f'out-{name}', read_picture(tmp_path / name))
    assert ('icc_profile' in Image.open(tmp_path / f'out-{name}').info) == kept
