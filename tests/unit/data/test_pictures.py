"""One function makes the picture that every part sees, as any viewer shows the file."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.unit.data.inputs import encode, png
from tests.unit.rewards.samples import reward_input
from vr1_ray.data import DataError
from vr1_ray.data.images import ImageReader, check_image
from vr1_ray.pictures import PictureError, check_picture, open_picture, what_is
from vr1_ray.rewards.llm_judge import data_url
from vr1_ray.rewards.remote import to_json
from vr1_ray.types import EncodedImage

HALVES = Image.new("RGB", (64, 32), "red")
HALVES.paste("blue", (0, 0, 64, 16))  # blue above red


def picture(data: bytes) -> Image.Image:
    return EncodedImage.from_bytes(data).decode()


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def shown_size(data: bytes) -> tuple[int, int]:
    return EncodedImage.from_bytes(data).shown_size()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_a_file_names_is_applied_to_pixels_and_size(kind, value):
    data = encode(HALVES, kind, exif=with_orientation(value))
    size = (32, 64) if value >= 5 else (64, 32)
    assert picture(data).size == size == shown_size(data)
    # Where the blue half lies, by EXIF: row 0 of the file is top, bottom, left or right as shown.
    side = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}[value]  # fmt: skip
    place = {"top": (16, 4), "bottom": (16, size[1] - 4), "left": (4, 16), "right": (size[0] - 4, 16)}[side]  # fmt: skip
    red, _, blue = picture(data).getpixel(place)
    assert blue > 200 > 100 > red


def test_orientation_behind_the_pixels_of_a_png_is_applied():
    data = encode(HALVES, "PNG", exif=with_orientation(6))
    start = data.index(b"eXIf") - 4
    length = int.from_bytes(data[start : start + 4], "big") + 12
    chunk, rest = data[start : start + length], data[:start] + data[start + length :]
    end = rest.index(b"IEND") - 4
    moved = rest[:end] + chunk + rest[end:]
    assert picture(moved).size == (32, 64) == shown_size(moved)


def test_broken_exif_leaves_the_picture_as_it_is():
    data = encode(HALVES, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert picture(data).size == (64, 32)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000", "PPM"])
def test_sixteen_bits_of_grey_are_scaled_and_not_clipped(kind):
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    found = np.asarray(picture(encode(Image.fromarray(ramp), kind)))
    assert found.mean() == pytest.approx(127.5, abs=0.5)
    flat = Image.fromarray(np.full((8, 8), 1000, np.uint16))
    assert np.asarray(picture(encode(flat, kind))).tolist() == [[[4, 4, 4]] * 8] * 8  # 1000 / 257


def test_floats_from_0_to_1_are_scaled():
    ramp = Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    assert np.asarray(picture(encode(ramp, "TIFF")))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0.0, 300.0]], np.float32),
        np.array([[-1.0, 1.0]], np.float32),
        np.array([[0.0, np.nan]], np.float32),
        np.array([[0, 300]], np.int32),
    ],
)
def test_values_of_which_nobody_knows_what_white_is_are_refused_when_read(values):
    with pytest.raises(
        DataError, match=r"the embedded image has .* values from .*nothing says how"
    ):
        ImageReader(None, 10_000).read(encode(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_what_is_transparent_is_white_for_every_part(mode, kind):
    try:
        data = encode(Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode), kind)
    except (OSError, ValueError):
        pytest.skip(f"{kind} has no {mode}")
    with Image.open(io.BytesIO(data)) as opened:
        if "transparency" not in opened.info and not opened.mode.endswith("A"):
            pytest.skip(f"{kind} of {mode} keeps no transparency")
    assert picture(data).getpixel((0, 0)) == (255, 255, 255)


def test_a_transparent_colour_is_white():
    data = encode(Image.new("RGB", (4, 4), (9, 9, 9)), "PNG", transparency=(9, 9, 9))
    assert picture(data).getpixel((0, 0)) == (255, 255, 255)


def wide_png(colour: tuple[int, int, int], transparent: tuple[int, int, int]) -> bytes:
    """One pixel of 16 bits a channel, and a transparent colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)),
            chunk(b"tRNS", struct.pack(">3H", *transparent)),
            chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">3H", *colour))),
            chunk(b"IEND", b""),
        )
    )


@pytest.mark.parametrize("other", [(0, 0, 0), (0xFFFF, 0x1334, 0), (18, 52, 86)])
def test_sixteen_bits_of_colour_keep_it_beside_a_transparent_one_that_no_pixel_has(other):
    data = wide_png((0xFFFF, 0x1234, 0x8000), other)
    assert check_picture(data, 100) == ((1, 1), False)
    assert open_picture(data).getpixel((0, 0)) == (255, 0x12, 0x80)


@pytest.mark.parametrize("transparent", [(0xFFFF, 0x1234, 0), (0xFF00, 0x1200, 0x0034)])
def test_sixteen_bits_of_colour_whose_transparent_one_may_stand_in_them_are_refused(transparent):
    data = wide_png((0xFFFF, 0x1234, 0), transparent)
    for look in (lambda: check_picture(data, 100), lambda: open_picture(data)):
        with pytest.raises(PictureError, match="16 bits a channel and a transparent colour"):
            look()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_used_and_counted(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    red, _, blue = picture(data).getpixel((0, 0))
    assert red > 200 > 50 > blue
    reader = ImageReader(None, 10_000)
    reader.read(data)
    assert reader.notes["pictures are animated: their first frame is used"] == 1


@pytest.mark.parametrize(("mode", "kind"), [("1", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("P", "GIF"), ("RGB", "BMP"), ("RGB", "ICO"), ("RGB", "PPM"), ("RGB", "JPEG2000"), ("LAB", "TIFF")])  # fmt: skip
def test_files_of_every_mode_become_rgb(mode, kind):
    found = picture(encode(Image.new(mode, (40, 30)), kind))
    assert found.mode == "RGB"
    assert found.size == (40, 30) or kind == "ICO"


ALL_PARTS = {
    "turned": encode(HALVES, "JPEG", exif=with_orientation(6)),
    "16 bits": encode(Image.fromarray(np.full((8, 8), 1000, np.uint16)), "PNG"),
    "transparent": encode(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "PNG"),
    "float": encode(Image.fromarray(np.full((8, 8), 0.5, np.float32)), "TIFF"),
    "CMYK": encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"),
}


@pytest.mark.parametrize("name", ALL_PARTS)
def test_rewards_judges_and_services_get_the_picture_the_policy_sees(name):
    image = EncodedImage.from_bytes(ALL_PARTS[name])
    wanted = np.asarray(image.decode())
    shown = reward_input(images=(image,))
    assert np.array_equal(np.asarray(shown.images()[0]), wanted)
    kind, _, body = data_url(image).partition(",")
    sent = [body, to_json([shown], send_images=True)["images"][image.content_hash]]
    for text in sent:
        with Image.open(io.BytesIO(base64.b64decode(text))) as opened:
            assert opened.mode == "RGB"  # as a plain viewer has it, without a look at EXIF
            assert np.array_equal(np.asarray(opened), wanted)
    assert kind == "data:image/png;base64"


def test_a_plain_file_is_handed_on_as_it_is():
    image = EncodedImage.from_bytes(png())
    assert image.as_shown() is image


@pytest.mark.parametrize("size", [(1, 201), (401, 2), (4020, 20)])
def test_a_strip_is_refused_by_its_sides(size):
    with pytest.raises(DataError, match=r"x\.png has \d+ x \d+ pixels: its sides differ"):
        check_image(png(size=size), name="x.png", max_pixels=10**6)
    check_image(png(size=(200, 1)), name="x.png", max_pixels=10**6)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\0" * 4096, "filled with zeros"),
        (b"\n<HTML><body>404", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML text"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg>", "an SVG"),
        (b"/annex/objects/SHA256E-s1--1.png", "a git-annex pointer"),
        (b"%PDF-1.4", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "an HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"\0" * 128 + b"DICM", "a DICOM file"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (b'{"error": "not found"}', "JSON text"),
        (b"\x89PNG\r\n\x1a\n", ""),
        (b"hello", ""),
    ],
)
def test_a_file_that_is_no_picture_is_called_what_it_is(data, said):
    assert what_is(data).startswith(said)
    assert bool(said) == bool(what_is(data))


def test_a_program_in_a_picture_is_not_run():
    with pytest.raises(ValueError, match="it is PostScript; convert it to PNG"):
        picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
