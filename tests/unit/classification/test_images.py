import struct
import zlib

import numpy as np
import pytest
from helpers.models.random_images import noise
from PIL import Image, ImageCms, ImageOps

from slipway.classification.images import load_image, sample_photograph
from slipway.core.errors import SlipwayError


def corners() -> Image.Image:
    """Return four flat quarters, red green / blue white: JPEG keeps them, and each orientation looks different."""
    image = Image.new("RGB", (64, 32), "white")
    for colour, place in {"red": (0, 0), "lime": (32, 0), "blue": (0, 16)}.items():
        image.paste(colour, (*place, place[0] + 32, place[1] + 16))
    return image


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


# Loading


def test_the_sample_photograph_loads():
    assert min(load_image(sample_photograph()).size) >= 224


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_rotated_photograph_is_the_upright_one(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = corners()
    # What EXIF would turn upright is the upright picture turned the other way: 6 and 8 are each other's opposite.
    exif_of_opposite = Image.Exif()
    exif_of_opposite[0x0112] = {6: 8, 8: 6}.get(orientation, orientation)
    turned = stored.copy()
    turned.info["exif"] = exif_of_opposite.tobytes()
    turned = ImageOps.exif_transpose(turned)
    path = tmp_path / f"photograph.{suffix}"
    turned.save(path, exif=exif.tobytes(), **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {}))
    loaded = load_image(path)
    assert loaded.size == stored.size
    assert np.abs(pixels(loaded) - pixels(stored)).max() <= (0 if suffix == "png" else 4)


def test_the_orientations_do_differ(tmp_path):
    path = tmp_path / "photograph.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    corners().save(path, exif=exif.tobytes())
    assert load_image(path).size == (32, 64)
    assert load_image(path).getpixel((31, 0)) == (255, 0, 0)


def test_cmyk_becomes_rgb(tmp_path):
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(path, quality=100)
    found = load_image(path)
    assert found.mode == "RGB"
    red, green, blue = found.getpixel((16, 16))
    assert red > 200
    assert green < 60
    assert blue < 60


def test_grey_becomes_three_equal_channels(tmp_path):
    path = tmp_path / "grey.png"
    Image.new("L", (8, 8), 77).save(path)
    assert load_image(path).mode == "RGB"
    assert load_image(path).getpixel((0, 0)) == (77, 77, 77)


def test_black_and_white_becomes_rgb(tmp_path):
    path = tmp_path / "fax.png"
    Image.new("1", (8, 8), 1).save(path)
    assert load_image(path).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(("sample", "expected"), [(0, 0), (257, 1), (32768, 128), (65535, 255)])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled_not_clipped(tmp_path, sample, expected, suffix):
    path = tmp_path / f"scan.{suffix}"
    Image.fromarray(np.full((8, 8), sample, np.uint16)).save(path)
    found = load_image(path)
    assert found.mode == "RGB"
    assert found.getpixel((3, 3)) == (expected, expected, expected)


def test_16_bits_a_channel_are_scaled(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + struct.pack(">3H", 65535, 32768, 0) * 4) * 4
    header = struct.pack(">2I5B", 4, 4, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert load_image(path).getpixel((1, 1)) == (255, 128, 0)


def test_transparency_lies_on_white(tmp_path):
    path = tmp_path / "logo.png"
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (10, 20, 30, 255))
    image.save(path)
    found = load_image(path)
    assert found.mode == "RGB"
    assert [found.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (10, 20, 30)]


def test_grey_with_transparency_lies_on_white(tmp_path):
    path = tmp_path / "shade.png"
    Image.new("LA", (4, 4), (0, 0)).save(path)
    assert load_image(path).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_with_a_transparent_entry_lies_on_white(tmp_path, suffix):
    path = tmp_path / f"icon.{suffix}"
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.putpixel((1, 0), 1)
    image.save(path, transparency=0)
    found = load_image(path)
    assert found.mode == "RGB"
    assert [found.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 0, 0)]


def test_a_colour_profile_is_no_obstacle(tmp_path):
    path = tmp_path / "profiled.jpg"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    corners().save(path, icc_profile=profile)
    assert load_image(path).mode == "RGB"


@pytest.mark.parametrize("mode", ["LAB", "YCbCr", "CMYK", "P"])
def test_other_colour_spaces_of_tiff_are_the_same_colour(tmp_path, mode):
    path, colour = tmp_path / "print.tif", (204, 51, 102)  # one of those that a palette of 216 colours has
    image = Image.new("RGB", (8, 8), colour)
    if mode == "LAB":
        profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
        ImageCms.profileToProfile(image, *profiles, outputMode="LAB").save(path)
    else:
        image.convert(mode).save(path)
    with Image.open(path) as stored:
        assert stored.mode == mode
    assert np.abs(pixels(load_image(path)) - colour).max() <= 2


def test_a_colour_profile_changes_nothing_as_in_training(tmp_path):
    path = tmp_path / "wide.png"
    corners().save(path, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes())
    assert np.array_equal(pixels(load_image(path)), pixels(corners()))


def test_a_telephones_photograph_with_a_second_picture_loads_as_the_first(tmp_path):
    path = tmp_path / "portrait.jpg"
    corners().save(path, format="MPO", save_all=True, append_images=[Image.new("RGB", (64, 32), "black")], quality=100)
    found = load_image(path)
    assert np.abs(pixels(found) - pixels(corners())).mean() < 16  # JPEG blurs the borders of the colours


# Refusing


def refusal(path) -> str:
    with pytest.raises(SlipwayError) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    assert "correct the path" in refusal(tmp_path / "no.jpg")


def test_a_folder_is_named(tmp_path):
    assert "correct the path" in refusal(tmp_path)


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    message = refusal(path)
    assert "0 bytes" in message
    assert "copy it again" in message


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif"])
def test_a_truncated_file_is_named(tmp_path, suffix, share):
    path = tmp_path / f"cut.{suffix}"
    noise(64, 48).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    message = refusal(path)
    assert "copy it again" in message or "give a JPEG or PNG" in message


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_cut_anywhere_gives_the_image_or_a_sentence(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    noise(24, 16).save(path)
    whole = path.read_bytes()
    lengths = range(1, len(whole), 7)
    messages = []
    for length in lengths:
        path.write_bytes(whole[:length])
        try:
            assert load_image(path).size == (24, 16)
        except SlipwayError as error:
            messages.append(str(error))
    assert len(messages) > 0.9 * len(lengths)
    assert [message for message in messages if str(path) not in message] == []


def test_a_tiff_whose_second_page_is_damaged_is_named(tmp_path):
    path = tmp_path / "damaged.tif"
    Image.new("RGB", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    entries = struct.unpack_from("<H", content, 8)[0]
    # Where the next page's directory begins: in the black pixels, that is, in a directory without entries.
    struct.pack_into("<I", content, 10 + 12 * entries, len(content) - 100)
    path.write_bytes(content)
    refusal(path)


def test_a_text_file_is_named(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<!DOCTYPE html>\n" * 50, encoding="utf-8")
    assert "give a JPEG or PNG" in refusal(path)


def test_an_animation_is_named(tmp_path):
    path = tmp_path / "moving.gif"
    noise(8, 8).save(path, save_all=True, append_images=[noise(8, 8, seed=1), noise(8, 8, seed=2)])
    message = refusal(path)
    assert "3 frames" in message
    assert "still image" in message


@pytest.mark.parametrize(("suffix", "said"), [("tif", "has 2 pages"), ("webp", "2 frames"), ("png", "2 frames")])
def test_several_pictures_in_a_file_are_counted(tmp_path, suffix, said):
    path = tmp_path / f"several.{suffix}"
    noise(8, 8).save(path, save_all=True, append_images=[noise(8, 8, seed=1)])
    assert said in refusal(path)


def test_a_still_gif_loads(tmp_path):
    path = tmp_path / "still.gif"
    Image.new("RGB", (8, 8), "red").save(path)
    assert load_image(path).getpixel((0, 0)) == (255, 0, 0)


def test_a_decompression_bomb_is_named(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(path)
    assert "scale it down" in refusal(path)
