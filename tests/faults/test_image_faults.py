"""Photographs that cannot be used are named; photographs that are merely odd give the right reference input."""

import numpy as np
import pytest
from helpers.workplace import CROP
from PIL import Image

from slipway.contract.archives import read_samples

pytestmark = pytest.mark.slow

SAMPLES = "results/tiny/samples.npz"

ORIENTATION = 0x0112
ROTATE_270_CW_TO_SHOW = 8


def picture():
    """Return an RGB picture that looks different after any rotation or reflection."""
    down, right = np.mgrid[0:96, 0:140]
    pixels = np.stack([down * 255 // 95, right * 255 // 139, (down * right) % 256], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def truncated(path):
    picture().save(path, "JPEG", quality=95)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path):
    path.write_bytes(b"")


def animated(path):
    picture().save(path, "GIF", save_all=True, append_images=[picture().rotate(90)])


UNUSABLE = {
    "missing": (lambda path: None, ["does not exist", "correct"]),
    "truncated": (truncated, ["is truncated or damaged", "copy it again"]),
    "zero_byte": (empty, ["is empty (0 bytes)", "copy it again"]),
    "animated": (animated, ["is animated (2 frames)", "give a still image"]),
}


@pytest.mark.parametrize(("make", "phrases"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_unusable_photograph_is_named_and_the_samples_are_kept(after_good_run, make, phrases):
    before = after_good_run.artifacts()
    photo = after_good_run.path("photo.jpg")
    make(photo)

    sample_inputs(after_good_run, photo, SAMPLES, "results/tiny/samples.json").refused("photo.jpg", *phrases)

    assert after_good_run.artifacts() == before
    assert not after_good_run.partial_files()


def sample_inputs(place, photo, output, record):
    """Run sample_inputs with a photograph in a workplace."""
    return place.program_here(
        "sample_inputs",
        *("--image", photo, "--resize", 72, "--crop", CROP, "--interpolation", "bilinear"),
        *("--mean", 0.485, 0.456, 0.406, "--std", 0.229, 0.224, 0.225),
        *("--output", output, "--record", record),
    )


def reference_input(good_run, folder, photo):
    """Return the input that sample_inputs derives from a photograph."""
    output = folder / f"{photo.name}.npz"
    sample_inputs(good_run, photo, output, folder / f"{photo.name}.json").succeeded()
    return read_samples(output)[0]["input"]


def upright(path):
    picture().save(path, "PNG")


def rotated_with_exif(path):
    exif = Image.Exif()
    exif[ORIENTATION] = ROTATE_270_CW_TO_SHOW
    picture().transpose(Image.Transpose.ROTATE_270).save(path, "PNG", exif=exif)


def cmyk(path):
    picture().convert("CMYK").save(path, "TIFF")


def grey(path):
    picture().convert("L").save(path, "PNG")


def grey_of_16_bits(path):
    samples = np.asarray(picture().convert("L"), dtype=np.uint16) * 257
    Image.fromarray(samples).save(path, "PNG")


@pytest.mark.parametrize(
    ("plain", "odd"),
    [(upright, rotated_with_exif), (upright, cmyk), (grey, grey_of_16_bits)],
    ids=["exif_rotated", "cmyk", "16_bit"],
)
def test_odd_photograph_gives_the_input_of_the_plain_one(good_run, tmp_path, plain, odd):
    plain(tmp_path / "plain.png")
    odd(tmp_path / "odd.png")
    with Image.open(tmp_path / "plain.png") as one, Image.open(tmp_path / "odd.png") as other:
        assert (one.mode, one.size) != (other.mode, other.size), "the odd picture is not odd"

    expected = plain_input(tmp_path / "plain.png")

    found = reference_input(good_run, tmp_path, tmp_path / "odd.png")
    assert found.shape == (1, 3, CROP, CROP)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-5)


def plain_input(photo):
    """Return the input of a plain 8-bit picture as torchvision's own preset derives it."""
    from torchvision.transforms._presets import ImageClassification
    from torchvision.transforms.functional import InterpolationMode

    preset = ImageClassification(crop_size=CROP, resize_size=72, interpolation=InterpolationMode.BILINEAR)
    with Image.open(photo) as image:
        return preset(image.convert("RGB")).numpy()
