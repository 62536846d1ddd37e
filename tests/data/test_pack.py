"""Packing: what is stored, what is refused, and that no fault leaves a cache that looks whole and is not."""

import hashlib
import io
import json
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFile

from seran_lib.data import pack as pack_module
from seran_lib.data import pictures
from seran_lib.data.manifest import read_manifest
from seran_lib.data.pack import PackedImages, pack
from seran_lib.errors import DataError

SIZE = 64
SIDE = 73


def photograph(width, height, seed=0):
    """A smooth random picture, so that resizing and JPEG change it little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def stripes(width, height, *, along_x):
    """Brightness rises from 0 to 255 along one axis, so that a window tells where it was cut."""
    ramp = np.linspace(0, 255, width if along_x else height).astype(np.uint8)
    grey = np.broadcast_to(ramp if along_x else ramp[:, None], (height, width))
    return Image.fromarray(np.repeat(grey[..., None], 3, axis=2))


def write_set(folder, pictures, **columns):
    """Write a data set from {file name: image or bytes}."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if isinstance(picture, bytes):
            (folder / name).write_bytes(picture)
        else:
            picture.save(folder / name, **({"quality": 95} if name.endswith("jpg") else {}))
    table = pd.DataFrame({"image_id": list(pictures), "file": list(pictures), "label": "bee", **columns})
    table.to_csv(folder / "manifest.csv", index=False)
    return read_manifest(folder)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def packed_set(folder, pictures):
    return pack(folder, write_set(folder, pictures), size=SIZE, cache=folder / "cache")


def everything(packed):
    return packed.fetch(np.arange(len(packed)), np.full(len(packed), 0.5))


def refused(folder, manifest, cache):
    """The problems for which the set is not packed, by file."""
    with pytest.raises(DataError, match=r"delete their rows in manifest\.csv") as raised:
        pack(folder, manifest, size=SIZE, cache=cache)
    return dict(problem.split(": ", 1) for problem in raised.value.problems)


def stored_bytes(cache):
    (pixels,) = cache.glob("*/pixels.bin")
    return pixels.read_bytes()


def leftovers(cache):
    """What lies in the cache folder besides one whole cache and the lock."""
    names = sorted(path.name for path in cache.iterdir() if path.name != "pack.lock")
    return [name for name in names if len(name) != 64]


@pytest.fixture
def small_set(tmp_path):
    pictures = {f"{number}.jpg": photograph(96 + 8 * number, 80, seed=number) for number in range(6)}
    return tmp_path / "set", write_set(tmp_path / "set", pictures), tmp_path / "cache"


@pytest.fixture
def small(small_set):
    """Six pictures, packed."""
    folder, manifest, cache = small_set
    return pack(folder, manifest, size=SIZE, cache=cache)


# What is stored


def test_images_keep_their_order_proportions_and_looks(tmp_path):
    sizes = {"wide.png": (200, 100), "tall.png": (90, 120), "square.png": (64, 64)}
    pictures = {name: photograph(*size) for name, size in sizes.items()}
    packed = packed_set(tmp_path, pictures)
    assert packed.side == SIDE == round(1.14 * SIZE)
    assert len(packed) == 3
    assert packed.shapes.tolist() == [[73, 146], [97, 73], [73, 73]]
    windows = everything(packed)
    assert windows.shape == (3, SIDE, SIDE, 3) and windows.dtype == np.uint8
    square = np.asarray(pictures["square.png"].resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(windows[2], square)


def test_large_jpegs_are_shrunk_to_the_same_picture(tmp_path):
    picture = photograph(1600, 1200)
    packed = packed_set(tmp_path, {"a.jpg": picture})
    assert packed.shapes.tolist() == [[73, 97]]
    expected = np.asarray(picture.resize((97, 73), Image.Resampling.BICUBIC))[:, 12:85]
    assert np.abs(everything(packed)[0].astype(int) - expected).mean() < 2


@pytest.mark.parametrize("along_x", [True, False])
def test_position_slides_the_window_along_the_longer_side(tmp_path, along_x):
    packed = packed_set(tmp_path, {"a.png": stripes(*((240, 80) if along_x else (80, 240)), along_x=along_x)})
    windows = packed.fetch(np.zeros(3, dtype=int), np.array([0.0, 0.5, 1.0]))
    first, middle, last = windows[..., 0] if along_x else windows[..., 0].transpose(0, 2, 1)
    assert first[0, 0] <= 2 and last[0, -1] >= 253
    assert abs(int(middle[0, SIDE // 2]) - 127) <= 3
    assert (np.diff(middle[0].astype(int)) >= 0).all()


def test_very_long_pictures_are_cut_around_the_centre(tmp_path):
    packed = packed_set(tmp_path, {"a.png": stripes(1000, 50, along_x=True)})
    assert packed.shapes.tolist() == [[SIDE, 3 * SIDE]]
    ends = packed.fetch(np.zeros(2, dtype=int), np.array([0.0, 1.0]))
    kept = 150 / 1000 * 255
    assert abs(ends[0, 0, 0, 0] - (127.5 - kept / 2)) <= 2
    assert abs(ends[1, 0, -1, 0] - (127.5 + kept / 2)) <= 2


@pytest.mark.parametrize("kind", ["jpg", "png", "transparent png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, kind, orientation):
    upright = photograph(120, 80, seed=3)
    back = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90"}
    back |= {7: "TRANSVERSE", 8: "ROTATE_270"}
    held = upright.transpose(Image.Transpose[back[orientation]]) if orientation > 1 else upright
    held, kind = (held.convert("RGBA"), "png") if kind == "transparent png" else (held, kind)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(held, {"jpg": "JPEG", "png": "PNG"}[kind], exif=exif, quality=95)
    packed = packed_set(tmp_path, {f"a.{kind}": content})
    assert packed.shapes.tolist() == [[73, 110]]
    expected = np.asarray(upright.resize((110, 73), Image.Resampling.BICUBIC))[:, 18:91]
    assert np.abs(everything(packed)[0].astype(int) - expected).mean() < 3


def test_pictures_of_any_mode_become_rgb(tmp_path):
    grey = photograph(80, 80).convert("L")
    clear = Image.new("RGBA", (80, 80), (200, 0, 0, 0))
    clear.paste((0, 0, 200, 255), (0, 0, 80, 40))
    palette = Image.new("P", (80, 80), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    first, preview = photograph(80, 80, 1), photograph(80, 80, 2)
    pictures = {
        "grey.png": grey,
        "clear.png": clear,
        "palette.gif": encoded(palette, "GIF"),
        "see-through.gif": encoded(palette, "GIF", transparency=1),
        "phone.jpg": encoded(first, "MPO", save_all=True, append_images=[preview], quality=95),
        "damaged-exif.jpg": encoded(first, "JPEG", exif=b"Exif\0\0not a TIFF header", quality=95),
        "print.jpg": encoded(first.convert("CMYK"), "JPEG", quality=95),
        "grey-clear.png": clear.convert("LA"),
        "lines.png": Image.new("1", (80, 80), 1),
    }
    stored = dict(zip(pictures, everything(packed_set(tmp_path, pictures)).astype(int), strict=True))
    for name in ("grey.png", "grey-clear.png"):
        assert (stored[name].max(axis=2) == stored[name].min(axis=2)).all()
    assert stored["clear.png"][10, 10].tolist() == [0, 0, 200]
    assert (stored["clear.png"][70, 10] == 255).all() and (stored["grey-clear.png"][70, 10] == 255).all()
    assert (stored["palette.gif"] == [10, 200, 30]).all()
    assert (stored["see-through.gif"] == 255).all() and (stored["lines.png"] == 255).all()
    expected = np.asarray(first.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(int)
    for name in ("phone.jpg", "damaged-exif.jpg", "print.jpg"):  # Pillow needs no colour profile for CMYK
        assert np.abs(stored[name] - expected).mean() < 3


def test_fetch_refuses_what_lies_outside(small):
    with pytest.raises(IndexError):
        small.fetch(np.array([6]), np.array([0.5]))
    for position in (-0.01, 1.01, np.nan):
        with pytest.raises(ValueError, match="position"):
            small.fetch(np.array([0]), np.array([position]))
    with pytest.raises(ValueError, match="one length"):
        small.fetch(np.array([0, 1]), np.array([0.5]))


def test_a_worker_process_gets_the_file_and_not_its_content(small):
    message = pickle.dumps(small)
    assert len(message) < 1000
    np.testing.assert_array_equal(everything(pickle.loads(message)), everything(small))


# What is refused


def bomb():
    """A PNG of a few bytes that claims 20,000 x 10,001 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 10_001, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return start + struct.pack(">I", 1000) + b"IDAT"


def test_all_unfit_pictures_are_named_with_reason_and_cure(tmp_path):
    jpeg, png = encoded(photograph(200, 150), "JPEG"), encoded(photograph(200, 150), "PNG")
    flicker = [photograph(80, 80, seed) for seed in (1, 2)]
    pictures = {
        "good.jpg": photograph(80, 80),
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "cut.png": png[: len(png) // 2],
        "empty.jpg": b"",
        "page.jpg": b"<html>404</html>",
        "drawing.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n",
        "moving.gif": encoded(flicker[0], "GIF", save_all=True, append_images=flicker[1:]),
        "deep.png": encoded(Image.fromarray(np.zeros((80, 80), dtype=np.uint16)), "PNG"),
        "dot.png": photograph(2, 200),
        "bomb.png": bomb(),
        "last.jpg": jpeg[:-400],
    }
    manifest = write_set(tmp_path, pictures)
    (tmp_path / "good.jpg").rename(tmp_path / "gone.jpg")
    found = refused(tmp_path, manifest, tmp_path / "cache")
    reasons = dict.fromkeys(pictures, "truncated")
    reasons |= dict.fromkeys(["empty.jpg", "page.jpg", "drawing.jpg"], "not an image of a known format")
    reasons |= {"good.jpg": "cannot be read (No such file or directory)", "moving.gif": "animated"}
    reasons |= {"deep.png": "colour mode I;16: convert to RGB", "dot.png": "only 2 x 200 pixels"}
    reasons |= {"bomb.png": "larger than 200 megapixels"}
    assert list(found) == list(reasons)
    for name, reason in reasons.items():
        assert reason in found[name], found[name]
    assert os.listdir(tmp_path / "cache") == ["pack.lock"]


def test_large_pictures_within_the_limit_are_packed_without_a_warning(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 10_000)
    manifest = write_set(tmp_path, {"most.png": photograph(100, 100), "more.png": photograph(101, 100)})
    assert list(refused(tmp_path, manifest, tmp_path / "cache")) == ["more.png"]
    assert len(recwarn) == 0


def test_pillow_settings_of_the_caller_neither_matter_nor_change(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    jpeg = encoded(photograph(200, 150), "JPEG")
    manifest = write_set(tmp_path, {"a.jpg": jpeg, "cut.jpg": jpeg[: len(jpeg) // 2]})
    assert list(refused(tmp_path, manifest, tmp_path / "cache")) == ["cut.jpg"]
    assert (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) == (True, 10)


def test_content_must_be_what_the_manifest_says(tmp_path):
    good, other = encoded(photograph(80, 80, 1), "JPEG"), encoded(photograph(80, 80, 2), "JPEG")
    stated = [hashlib.sha256(good).hexdigest().upper(), hashlib.sha256(good).hexdigest(), ""]
    pictures = {"good.jpg": good, "other.jpg": other, "page.jpg": b"404"}
    manifest = write_set(tmp_path, pictures, sha256=stated)
    cache = tmp_path / "cache"
    found = refused(tmp_path, manifest, cache)
    assert list(found) == ["other.jpg", "page.jpg"]
    assert found["other.jpg"].startswith("its content is not that of the sha256")
    # A cache made when the manifest named no checksum does not hide the difference.
    two = manifest.iloc[:2]
    pack(tmp_path, two.assign(sha256=""), size=SIZE, cache=cache)
    assert refused(tmp_path, two, cache)["other.jpg"].startswith("its content")
    assert leftovers(cache) == []


def test_no_images(small_set):
    folder, manifest, cache = small_set
    with pytest.raises(DataError, match="no images"):
        pack(folder, manifest.iloc[:0], size=SIZE, cache=cache)


# What is reused and what is written again


def count_decodes(monkeypatch):
    calls = []
    decode = pack_module._decode
    monkeypatch.setattr(pack_module, "_decode", lambda *args: calls.append(args[0]) or decode(*args))
    return calls


def test_a_cache_is_reused_until_the_data_change(small_set, monkeypatch):
    folder, manifest, cache = small_set
    calls = count_decodes(monkeypatch)
    before = everything(pack(folder, manifest, size=SIZE, cache=cache))
    assert len(calls) == 6
    np.testing.assert_array_equal(everything(pack(folder, manifest, size=SIZE, cache=cache)), before)
    assert len(calls) == 6, "the second call decodes nothing"
    backwards = pack(folder, manifest.iloc[::-1], size=SIZE, cache=cache)
    np.testing.assert_array_equal(everything(backwards), before[::-1])
    assert pack(folder, manifest, size=32, cache=cache).side == 36
    assert len(pack(folder, manifest.iloc[:2], size=SIZE, cache=cache)) == 2
    assert len(calls) == 6 + 6 + 6 + 2


def test_a_changed_picture_is_seen_even_with_its_old_size_and_date(small_set, small):
    folder, manifest, cache = small_set
    before = everything(small)
    path = folder / "0.jpg"
    status, content = path.stat(), path.read_bytes()
    new = encoded(photograph(96, 80, seed=99), "JPEG", quality=70)
    path.write_bytes(new + b"\0" * (len(content) - len(new)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size and path.stat().st_mtime_ns == status.st_mtime_ns
    after = everything(pack(folder, manifest, size=SIZE, cache=cache))
    assert (after[0] != before[0]).any()
    np.testing.assert_array_equal(after[1:], before[1:])


@pytest.mark.parametrize(
    "damage", ["pixels cut", "pixels longer", "pixels gone", "shapes cut", "shapes gone", "shapes other"]
)
def test_a_damaged_cache_is_built_again(small_set, small, damage):
    folder, manifest, cache = small_set
    before = everything(small).copy()
    (target,) = (path for path in cache.iterdir() if path.is_dir())
    which, how = damage.split()
    path = target / {"pixels": "pixels.bin", "shapes": "shapes.npy"}[which]
    if how == "gone":
        path.unlink()
    elif how == "other":
        np.save(path, np.load(path)[:-1])
    else:
        os.truncate(path, path.stat().st_size + {"cut": -1, "longer": 1}[how])
    with pytest.raises((DataError, OSError, ValueError)):
        PackedImages(target)
    np.testing.assert_array_equal(everything(pack(folder, manifest, size=SIZE, cache=cache)), before)
    assert leftovers(cache) == []


def test_a_picture_replaced_during_packing_is_not_stored_under_the_old_key(small_set, monkeypatch):
    folder, manifest, cache = small_set
    hashed = pack_module._content_sha256

    def hash_then_replace(path):
        content = hashed(path)
        if path.endswith("3.jpg"):
            photograph(96, 80, seed=50).save(path)
        return content

    monkeypatch.setattr(pack_module, "_content_sha256", hash_then_replace)
    assert refused(folder, manifest, cache) == {"3.jpg": "changed while it was being packed"}
    assert os.listdir(cache) == ["pack.lock"]


# Faults from outside. The child processes pack slowly, so that they can be hit in the middle.

CHILD = """
import json, sys, time
from pathlib import Path
from seran_lib.data import pack as module
from seran_lib.data.manifest import DataError, read_manifest

folder, cache, pause, limit = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
decoded, decode = [], module._decode
def slowly(*args):
    time.sleep(pause)
    decoded.append(1)
    return decode(*args)
module._decode, module.WORKERS, module.CHUNK = slowly, 2, 4
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
manifest = read_manifest(folder)
print("ready", flush=True)
try:
    module.pack(folder, manifest, size=64, cache=cache)
except DataError as error:
    print(json.dumps(str(error)))
else:
    print(json.dumps(len(decoded)))
"""


def child(folder, cache, pause=0.0, limit=0):
    command = [sys.executable, "-c", CHILD, str(folder), str(cache), str(pause), str(limit)]
    root = Path(pack_module.__file__).parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def outcome(process):
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


@pytest.fixture
def larger_set(tmp_path):
    pictures = {f"{number}.jpg": photograph(96, 80, seed=number) for number in range(40)}
    return tmp_path / "set", write_set(tmp_path / "set", pictures), tmp_path / "cache"


def part_pixels(cache):
    return sum(path.stat().st_size for path in cache.glob(".*.part/pixels.bin"))


def child_in_the_middle(folder, cache):
    process = child(folder, cache, pause=0.1)
    while process.poll() is None and not part_pixels(cache):
        time.sleep(0.01)
    assert process.poll() is None
    return process


def test_killed_while_packing_then_packed_again(larger_set, tmp_path):
    folder, manifest, cache = larger_set
    pack(folder, manifest, size=SIZE, cache=tmp_path / "whole")
    process = child_in_the_middle(folder, cache)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    whole = stored_bytes(tmp_path / "whole")
    assert 0 < part_pixels(cache) < len(whole), "it was hit in the middle"
    packed = pack(folder, manifest, size=SIZE, cache=cache)
    assert stored_bytes(cache) == whole
    assert len(packed) == 40
    assert leftovers(cache) == []


def test_two_processes_at_once_share_one_packing(larger_set):
    folder, manifest, cache = larger_set
    first, second = child(folder, cache, pause=0.05), child(folder, cache, pause=0.05)
    assert sorted([outcome(first), outcome(second)]) == [0, 40]
    assert len(pack(folder, manifest, size=SIZE, cache=cache)) == 40
    assert leftovers(cache) == []


def test_a_live_packing_is_not_taken_for_a_stale_one(larger_set):
    folder, manifest, cache = larger_set
    process = child_in_the_middle(folder, cache)
    assert len(pack(folder, manifest.iloc[:3], size=SIZE, cache=cache)) == 3
    assert outcome(process) == 40
    assert leftovers(cache) == []


def test_a_write_that_fails_for_want_of_room(larger_set):
    folder, manifest, cache = larger_set
    message = outcome(child(folder, cache, limit=200_000))
    needed = 40 * SIDE * SIDE * 3 / 1e6
    assert f"at least {int(np.ceil(needed))} MB are needed in {cache}" in message
    assert os.listdir(cache) == ["pack.lock"]
    assert len(pack(folder, manifest, size=SIZE, cache=cache)) == 40


def test_a_disk_that_is_too_small_is_seen_before_any_work(larger_set, monkeypatch):
    folder, manifest, cache = larger_set
    calls = count_decodes(monkeypatch)
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=500_000))
    with pytest.raises(DataError, match=r"at least 1 MB are needed in .*cache, 0 MB are free"):
        pack(folder, manifest, size=SIZE, cache=cache)
    assert calls == []
    assert leftovers(cache) == []


def test_an_interrupt_leaves_nothing_behind(small_set, monkeypatch):
    folder, manifest, cache = small_set
    monkeypatch.setattr(np, "save", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pack(folder, manifest, size=SIZE, cache=cache)
    assert os.listdir(cache) == ["pack.lock"]


NOTEBOOK, SHELL = SimpleNamespace(kernel="a notebook's"), SimpleNamespace()


@pytest.mark.parametrize(
    ("terminal", "shell", "asked", "drawn"),
    [(True, None, True, True), (False, NOTEBOOK, True, True), (False, SHELL, True, False), (True, None, False, False)],
)
def test_progress_is_drawn_only_on_a_terminal_or_in_a_notebook(small_set, monkeypatch, terminal, shell, asked, drawn):
    folder, manifest, cache = small_set
    screen = io.StringIO()
    screen.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    pack(folder, manifest, size=SIZE, cache=cache, progress=asked)
    assert "packing" in screen.getvalue() if drawn else screen.getvalue() == ""
