"""Image files of all kinds, whole and broken."""

from __future__ import annotations

import concurrent.futures
import io
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops import fit
from flamingo_jax.data.ops.decode_image import MAX_PIXELS, decode_image

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 180, 40), (20, 40, 200), (250, 250, 250)


def quarters(width: int = 64, height: int = 64) -> Image.Image:
    """Red and green above blue and white."""
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = RED, GREEN
    rgb[height // 2 :, : width // 2], rgb[height // 2 :, width // 2 :] = BLUE, WHITE
    return Image.fromarray(rgb)


def saved(picture: Image.Image, kind: str, **options: object) -> EncodedImage:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return EncodedImage(data=file.getvalue(), name="shard.tar: 7.jpg")


def corners(pixels: np.ndarray, margin: int = 4) -> list[tuple[int, ...]]:
    """Top left, top right, bottom left, bottom right."""
    near, far = margin, -margin - 1
    return [tuple(pixels[y, x]) for y in (near, far) for x in (near, far)]


def assert_close(found: object, expected: object, tolerance: int = 6) -> None:
    difference = np.asarray(found, int) - np.asarray(expected, int)
    assert np.abs(difference).max() <= tolerance, (found, expected)


def refusal(data: bytes, size: int = 32) -> BadSample:
    with pytest.raises(BadSample) as raised:
        decode_image(EncodedImage(data=data, name="shard.tar: 7.jpg"), size)
    assert "shard.tar: 7.jpg" in str(raised.value)
    return raised.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_kind_of_file_gives_its_colours(kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    pixels = decode_image(saved(quarters(), kind, **options), 32)
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    assert_close(corners(pixels), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("L", "JPEG"), ("L", "PNG"), ("LA", "PNG"),
        ("P", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("1", "PNG"),
        ("1", "TIFF"), ("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF"),
    ],
)  # fmt: skip
def test_every_mode_gives_its_colours(mode: str, kind: str) -> None:
    picture = quarters()
    if mode in ("I;16", "I"):
        grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        stored = Image.fromarray(grey if mode == "I;16" else grey.astype(np.int32))
    elif mode == "P":
        stored = picture.quantize(4)
    else:
        stored = picture.convert(mode)
    assert stored.mode == mode
    grey_modes = ("L", "LA", "I;16", "I", "1")
    expected = picture.convert(mode if mode == "1" else "L" if mode in grey_modes else "RGB")
    pixels = decode_image(saved(stored, kind), 64)
    assert_close(corners(pixels), corners(np.asarray(expected.convert("RGB"))), tolerance=10)


@pytest.mark.parametrize("how", ["RGBA", "LA", "palette", "colour key"])
def test_transparent_pixels_show_the_mean_colour(how: str) -> None:
    picture = Image.new("RGBA", (64, 64), (*WHITE, 255))
    picture.paste((*WHITE, 0), (0, 0, 32, 64))
    if how == "palette":
        indices = Image.new("P", (64, 64), 1)
        indices.putpalette([0, 0, 0, *WHITE])
        indices.paste(0, (0, 0, 32, 64))
        image = saved(indices, "PNG", transparency=0)
    elif how == "colour key":
        keyed = Image.new("RGB", (64, 64), WHITE)
        keyed.paste((255, 0, 255), (0, 0, 32, 64))
        image = saved(keyed, "PNG", transparency=(255, 0, 255))
    else:
        image = saved(picture.convert(how), "PNG")
    left, right = decode_image(image, 64)[32, 10], decode_image(image, 64)[32, 50]
    assert_close(left, fit.MEAN_COLOUR, 1)
    assert_close(right, WHITE, 1)


def test_half_transparent_pixels_are_mixed_with_the_mean_colour() -> None:
    pixels = decode_image(saved(Image.new("RGBA", (8, 8), (255, 255, 255, 128)), "PNG"), 8)
    assert_close(pixels[4, 4], (np.asarray(fit.MEAN_COLOUR) + 255) / 2, 2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(kind: str, orientation: int) -> None:
    # What the camera stores, so that the viewer's turn gives the upright picture.
    stored_from_upright = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = quarters(128, 64)
    if stored_from_upright is not None:
        stored = stored.transpose(stored_from_upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    pixels = decode_image(saved(stored, kind, exif=exif, **options), 64)
    assert_close(pixels[4, 32], fit.MEAN_COLOUR, 0)
    assert_close(corners(pixels[16:48]), [RED, GREEN, BLUE, WHITE], 8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_data_leaves_the_picture_as_it_is() -> None:
    image = saved(quarters(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\0\0", quality=95)
    assert_close(corners(decode_image(image, 32)), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    image = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert_close(decode_image(image, 16)[8, 8], RED)


def test_the_name_of_a_file_does_not_matter() -> None:
    data = saved(quarters(), "PNG").data
    pixels = decode_image(EncodedImage(data=data, name="photo.jpg"), 32)
    assert_close(corners(pixels), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_shrinking_averages_and_does_not_skip_pixels(kind: str) -> None:
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    options = {"quality": 95} if kind == "JPEG" else {}
    for size in (40, 50, 160, 320):
        pixels = decode_image(saved(Image.fromarray(stripes), kind, **options), size)
        middle = pixels[size // 2 - 4 : size // 2 + 4, 4:-4].astype(int)
        assert middle.min() >= 118 and middle.max() <= 137, size


def test_a_shrunk_jpeg_is_close_to_a_full_decode_and_a_fine_resize() -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (12, 16, 3), np.uint8)
    picture = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
    image = saved(picture, "JPEG", quality=90)
    for size in (320, 288, 224, 100):
        width, height = fit.fitted_size(640, 480, size)
        fine = np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS)).astype(int)
        top = (size - height) // 2
        found = decode_image(image, size)[top : top + height].astype(int)
        assert np.abs(found - fine).mean() < 2.5, size


def test_a_small_picture_is_enlarged() -> None:
    pixels = decode_image(saved(quarters(8, 4), "PNG"), 64)
    assert_close(pixels[2, 32], fit.MEAN_COLOUR, 0)
    assert_close(corners(pixels[16:48], margin=1), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"<!DOCTYPE html><html>404</html>", Reason.NOT_AN_IMAGE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", Reason.NOT_AN_IMAGE),
        (b"\0" * 100, Reason.NOT_AN_IMAGE),
        (b"RIFF\0\0\0\0WAVE", Reason.NOT_AN_IMAGE),
        (b"\xff\xd8\xff\xe0", Reason.TRUNCATED_IMAGE),
        (b"\x89PNG\r\n\x1a\n", Reason.TRUNCATED_IMAGE),
        (b"GIF89a", Reason.TRUNCATED_IMAGE),
    ],
)
def test_what_is_no_image_is_refused(data: bytes, reason: Reason) -> None:
    assert refusal(data).reason is reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind).data
    assert refusal(data[: int(len(data) * share)]).reason is Reason.TRUNCATED_IMAGE


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_bytes_never_raise_anything_else() -> None:
    random = np.random.default_rng(1)
    noise = Image.fromarray(random.integers(0, 256, (40, 40, 3), np.uint8))
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        data = np.frombuffer(saved(noise, kind).data, np.uint8)
        for _ in range(60):
            damaged = data.copy()
            places = random.integers(4, min(len(data), 400), 3)
            damaged[places] = random.integers(0, 256, 3)
            try:
                pixels = decode_image(EncodedImage(data=damaged.tobytes(), name="x"), 16)
            except BadSample:
                continue
            assert pixels.shape == (16, 16, 3)


def png_of(width: int, height: int) -> bytes:
    """A PNG file that promises a size and has next to no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 10_000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def test_a_decompression_bomb_is_refused_by_its_header_alone() -> None:
    # In a process of its own, so that the peak of its memory is its own.
    program = """
import resource, sys, time
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops.decode_image import decode_image
small = EncodedImage(data=sys.stdin.buffer.read(int(sys.argv[1])), name="small")
decode_image(small, 32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
try:
    decode_image(EncodedImage(data=sys.stdin.buffer.read(), name="bomb"), 32)
except BadSample as bad:
    assert bad.reason is Reason.IMAGE_TOO_LARGE and "30000 x 30000" in str(bad), bad
    assert time.perf_counter() - start < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000
    print("refused")
"""
    small = saved(quarters(), "PNG").data
    command = [sys.executable, "-W", "error", "-c", program, str(len(small))]
    result = subprocess.run(
        command, input=small + png_of(30_000, 30_000), capture_output=True, check=False
    )
    assert result.stdout == b"refused\n", result.stderr.decode()


@pytest.mark.parametrize("side", [9_460, 12_000, 16_000])
def test_a_picture_over_the_limit_is_refused_without_a_warning(side: int) -> None:
    assert side**2 > MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert refusal(png_of(side, side)).reason is Reason.IMAGE_TOO_LARGE


def test_threads_get_the_same_pixels_as_one_alone() -> None:
    images = [
        saved(quarters(100 + 10 * number, 200), kind)
        for number, kind in enumerate(("JPEG", "PNG", "WEBP", "GIF") * 6)
    ]
    alone = [decode_image(image, 48) for image in images]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda image: decode_image(image, 48), images))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))
