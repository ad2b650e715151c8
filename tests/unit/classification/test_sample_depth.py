"""A picture of more than 8 bits a sample looks as its file says, or is refused; it never comes out black."""

import numpy as np
import pytest
from helpers.models.tiff import WHITE_IS_ZERO, write_tiff
from PIL import Image

from slipway.classification.images import Preprocessing, load_image
from slipway.core.errors import SlipwayError

# From black to white, in 8 x 8 steps.
RAMP = np.linspace(0, 1, 64).reshape(8, 8)
GREY = (255 * RAMP).round().astype(int)


def grey(path):
    """Return the loaded picture (H, W), whose channels have to be alike."""
    loaded = load_image(path)
    assert loaded.mode == "RGB"
    red, green, blue = np.moveaxis(np.asarray(loaded), -1, 0).astype(int)
    assert (red == green).all()
    assert (red == blue).all()
    return red


def refusal(path):
    with pytest.raises(SlipwayError) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert "8 or 16 bits" in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan.tif"


# The range is stated


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-1, 1), (100, 4000), (0, 1e-3)])
def test_floating_point_samples_are_scaled_by_the_stated_range(path, low, high):
    write_tiff(path, (low + (high - low) * RAMP).astype(np.float32), lowest=low, highest=high)
    assert np.abs(grey(path) - GREY).max() <= 1


@pytest.mark.parametrize(("bits", "dtype"), [(12, np.uint16), (16, np.uint16), (32, np.uint32), (10, np.int32)])
def test_whole_numbers_are_scaled_by_the_stated_range(path, bits, dtype):
    high = 2 ** min(bits, 31) - 1
    write_tiff(path, (high * RAMP).astype(dtype), lowest=0, highest=high)
    assert np.abs(grey(path) - GREY).max() <= 1


def test_a_range_without_its_lower_end_begins_at_0(path):
    write_tiff(path, RAMP.astype(np.float32), highest=1.0)
    assert np.abs(grey(path) - GREY).max() <= 1


def test_16_bits_have_the_range_of_16_bits(path):
    write_tiff(path, (65535 * RAMP).astype(np.uint16))
    assert np.abs(grey(path) - GREY).max() <= 1


def test_12_bits_a_sample_have_the_range_of_12_bits(path):
    write_tiff(path, (4095 * RAMP).astype(np.uint16), bits=12)
    assert np.abs(grey(path) - GREY).max() <= 1


@pytest.mark.parametrize("suffix", ["pgm", "png", "jp2"])
def test_formats_that_have_no_other_range_than_16_bits(tmp_path, suffix):
    path = tmp_path / f"scan.{suffix}"
    samples = (65535 * RAMP).round().astype(np.uint16)
    Image.fromarray(samples.astype(np.int32) if suffix == "pgm" else samples).save(path)
    assert np.abs(grey(path) - GREY).max() <= 1


def test_a_pgm_of_12_bits_says_so(tmp_path):
    path = tmp_path / "scan.pgm"
    path.write_bytes(b"P5 8 8 4095\n" + (4095 * RAMP).astype(">u2").tobytes())
    assert np.abs(grey(path) - GREY).max() <= 1


def test_white_may_be_zero(path):
    write_tiff(path, (65535 * RAMP).astype(np.uint16), photometric=WHITE_IS_ZERO)
    assert np.abs(grey(path) - GREY[::-1, ::-1]).max() <= 1
    write_tiff(path, RAMP.astype(np.float32), photometric=WHITE_IS_ZERO, lowest=0, highest=1)
    assert np.abs(grey(path) - GREY[::-1, ::-1]).max() <= 1


def test_16_bits_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    samples = (65535 * RAMP[:4]).round().astype(np.uint16)
    Image.fromarray(samples).save(tmp_path / "turned.png", exif=exif.tobytes())
    found = grey(tmp_path / "turned.png")
    assert found.shape == (8, 4)
    assert np.abs(found - np.rot90(GREY[:4], -1)).max() <= 1


def test_a_transparent_value_of_16_bits_lies_on_white(tmp_path):
    samples = np.full((4, 4), 20000, np.uint16)
    samples[0] = 300
    Image.fromarray(samples).save(tmp_path / "logo.png", transparency=300)
    assert grey(tmp_path / "logo.png")[:, 0].tolist() == [255, 78, 78, 78]


def test_16_bits_a_colour_are_taken_as_they_are(path):
    colours = np.stack([RAMP, RAMP[::-1], np.ones((8, 8))], axis=-1)
    write_tiff(path, (65535 * colours).astype(np.uint16))
    assert np.abs(np.asarray(load_image(path)).astype(int) - 255 * colours).max() <= 1


# The range is not stated, or is another


@pytest.mark.parametrize(("dtype", "high"), [(np.float32, 1), (np.float32, 255), (np.float32, 65535)])
def test_floating_point_samples_of_no_stated_range_are_refused(path, dtype, high):
    write_tiff(path, (high * RAMP).astype(dtype))
    assert "floating-point numbers as samples and does not state which are black and white" in refusal(path)


def test_floating_point_samples_that_pillow_writes_are_refused(path):
    Image.fromarray(RAMP.astype(np.float32)).save(path)
    assert "SMinSampleValue and SMaxSampleValue" in refusal(path)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int16])
def test_whole_numbers_of_no_known_range_are_refused(path, dtype):
    write_tiff(path, (32767 * RAMP).astype(dtype))
    assert "whole numbers of 32 bits or with a sign" in refusal(path)


def test_8_bits_with_a_sign_are_refused(path):
    write_tiff(path, (127 * RAMP).astype(np.int8))
    assert "samples with a sign" in refusal(path)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_fewer_bits_in_16_would_be_black_and_are_refused(tmp_path, bits, suffix):
    path = tmp_path / f"scan.{suffix}"
    Image.fromarray(((2**bits - 1) * RAMP).astype(np.uint16)).save(path)
    assert f"samples from 0 to {2**bits - 1} of 0 to 65535, so it would be far too dark" in refusal(path)


@pytest.mark.parametrize(("bits", "stated"), [(8, None), (12, None), (12, 4095), (14, 16383)])
def test_colours_of_fewer_bits_in_16_would_be_black_and_are_refused(path, bits, stated):
    colours = np.stack([RAMP] * 3, axis=-1)
    write_tiff(path, ((2**bits - 1) * colours).astype(np.uint16), highest=stated)
    assert "16 bits a sample and uses few of them" in refusal(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0, -1.0])
def test_a_sample_beyond_the_stated_range_is_told(path, value):
    samples = RAMP.astype(np.float32)
    samples[3, 3] = value
    write_tiff(path, samples, lowest=0, highest=1)
    assert "beyond the 0 to 1 that it states" in refusal(path)


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 0), (0, np.nan), (0, np.inf)])
def test_a_range_that_is_none_is_told(path, low, high):
    write_tiff(path, RAMP.astype(np.float32), lowest=low, highest=high)
    assert "which is no range" in refusal(path)


# Wherever a photograph is read


def test_a_deep_photograph_is_the_same_input_as_its_8_bit_copy(path, tmp_path):
    write_tiff(path, RAMP.astype(np.float32), lowest=0, highest=1)
    Image.fromarray(GREY.astype(np.uint8)).save(tmp_path / "plain.png")
    preprocess = Preprocessing(8, 8, (0.5,) * 3, (0.25,) * 3)
    for dtype in ("float32", "uint8"):
        inputs = [preprocess(load_image(file), dtype) for file in (path, tmp_path / "plain.png")]
        np.testing.assert_allclose(*inputs, rtol=0, atol=1 if dtype == "uint8" else 4 / 255)
