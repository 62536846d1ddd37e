"""Photographs of every kind get an answer or a reason, the same one as in training, and nothing is lost on the way."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from seran_lib import cli
from seran_lib.commands import predict as command
from seran_lib.data.pack import pack
from seran_lib.paths import ROOT
from seran_lib.predict import load, predict
from seran_lib.predict.answer import window
from seran_lib.train.dataset import open_dataset

FIRST = "file top1 probability answer level expected_accuracy accuracy_low accuracy_high top2".split()


@pytest.fixture
def photographs(atlas, tmp_path):
    """Six of the drawn insects in a folder of folders."""
    for number, path in enumerate(sorted((atlas / "images").glob("*.jpg"))[:6]):
        folder = tmp_path / "trip" / ("day 1" if number < 3 else "day #2, wet")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    return tmp_path / "trip"


def seran(*words):
    return cli.main(["predict", *map(str, words)])


def rows_of(path):
    return list(csv.DictReader(path.open(newline="", **command.NAMES)))


def test_test_images_get_the_answers_that_the_ledger_has(exported, trained, atlas):
    settings, row = trained
    kept = settings.results.predictions(row["run_id"]).set_index("image_id")
    manifest = open_dataset(settings).manifest.set_index("image_id")
    answers = list(predict(load(exported), [atlas / manifest["file"][name] for name in kept.index]))
    assert len(answers) == row["test"]
    for answer, (_, own) in zip(answers, kept.iterrows(), strict=True):
        (first, share), (_, second), *_ = answer.top
        if share - second > 0.02:  # half precision may tip what is nearly even
            assert first == own["predicted"]
        assert share == pytest.approx(own["calibrated"], abs=0.03)


@pytest.mark.parametrize("size", [(48, 48), (100, 60), (61, 100), (300, 20)])
def test_a_window_is_the_one_that_training_shows(size, tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    import pandas as pd

    manifest = pd.DataFrame({"image_id": ["one"], "file": ["one.png"]})
    packed = pack(tmp_path, manifest, size=64, cache=tmp_path / "cache")
    expected = packed.fetch(np.array([0]), np.array([0.5]))[0]
    assert (window((tmp_path / "one.png").read_bytes(), packed.side) == expected).all()


def test_a_folder_becomes_a_table_and_a_few_are_shown(exported, photographs, tmp_path, capsys):
    out = tmp_path / "trip.csv"
    assert seran(photographs, "--model", exported, "--out", out, "--risk", "0.3") == 0
    rows = rows_of(out)
    assert list(rows[0])[: len(FIRST)] == FIRST and "why" in rows[0] and len(rows) == 6
    assert [row["file"] for row in rows] == sorted(str(path) for path in photographs.rglob("*.jpg"))
    said = capsys.readouterr().out
    assert f"{out}: 6 pictures, 0 of them could not be read" in said and rows[0]["top1"] in said
    for row in rows:
        assert row["level"] == "species" or row["why"]


def test_json_has_the_same_rows(exported, photographs, tmp_path):
    seran(photographs, "--model", exported, "--out", tmp_path / "a.csv")
    seran(photographs, "--model", exported, "--out", tmp_path / "a.json")
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [{name: str(value) for name, value in row.items()} for row in rows] == rows_of(tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", ["csv", "json"])
@pytest.mark.parametrize("cut", [0, 1, 0.3, 0.5, 0.99, "unfinished"])
def test_a_half_written_table_is_finished(cut, suffix, exported, photographs, tmp_path):
    out = tmp_path / f"out.{suffix}"
    seran(photographs, "--model", exported, "--out", out)
    whole = out.read_bytes()
    kept = len(whole) - 2 if cut == "unfinished" else cut if cut == 1 else int(cut * len(whole))
    out.write_bytes(whole[:kept])
    if suffix == "json" and cut == 1:
        out.write_bytes(b"[\n")
    elif cut == 1:
        out.write_bytes(whole[: whole.index(b"\n") + 1])
    assert seran(photographs, "--model", exported, "--out", out) == 0
    assert out.read_bytes() == whole
    assert seran(photographs, "--model", exported, "--out", out) == 0
    assert out.read_bytes() == whole


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_ctrl_c_keeps_what_was_done(suffix, exported, photographs, tmp_path, monkeypatch, capsys):
    out, answers = tmp_path / f"out.{suffix}", command.answers

    def interrupted(*given, **named):
        for number, answer in enumerate(answers(*given, **named)):
            if number == 4:
                raise KeyboardInterrupt
            yield answer

    monkeypatch.setattr(command, "answers", interrupted)
    assert seran(photographs, "--model", exported, "--out", out) == 130
    kept = json.loads(out.read_text()) if suffix == "json" else rows_of(out)
    assert len(kept) == 4
    monkeypatch.setattr(command, "answers", answers)
    assert seran(photographs, "--model", exported, "--out", out) == 0
    assert f"4 of 6 are in {out} already" in capsys.readouterr().out


def test_a_table_of_something_else_is_left_alone(exported, photographs, tmp_path, capsys):
    for name, content in (("mine.csv", "a,b\n1,2\n"), ("mine.json", '{"a": 1}\n'), ("list.json", "[1]\n")):
        (tmp_path / name).write_text(content)
        assert seran(photographs, "--model", exported, "--out", tmp_path / name) == 1
        assert "no table of answers" in capsys.readouterr().err
        assert (tmp_path / name).read_text() == content
    seran(photographs, "--model", exported, "--out", tmp_path / "a.csv")
    before = (tmp_path / "a.csv").read_bytes()
    assert seran(photographs, "--model", exported, "--out", tmp_path / "a.csv", "--risk", "0.2") == 1
    assert "another network or at another risk" in capsys.readouterr().err
    assert (tmp_path / "a.csv").read_bytes() == before


def odd_pictures(folder):
    """Name -> whether it can be read."""
    folder.mkdir()
    colours = Image.effect_noise((80, 60), 60).convert("RGB")
    colours.convert("CMYK").save(folder / "cmyk.jpg")
    colours.convert("P").save(folder / "palette.png")
    colours.convert("RGBA").save(folder / "transparent.png")
    colours.convert("L").save(folder / "grey.jpg")
    colours.save(folder / "tagged.tiff")
    colours.save(folder / "web.webp")
    turned = Image.Exif()
    turned[0x0112] = 6
    colours.save(folder / "turned.jpg", exif=turned)
    colours.save(folder / "dash,comma 'quote' #$&=.JPG", format="JPEG")
    Image.fromarray(np.zeros((60, 80), dtype=np.uint16)).save(folder / "sixteen.png")
    colours.save(folder / "moving.gif", save_all=True, append_images=[colours.transpose(0)])
    colours.resize((8, 8)).save(folder / "tiny.png")
    (folder / "cut.jpg").write_bytes((folder / "grey.jpg").read_bytes()[:400])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    colours.save(folder / os.fsdecode(b"no \xff UTF-8.jpg"))
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    return folder


def test_odd_pictures_are_answered_or_named(exported, tmp_path):
    folder, out = odd_pictures(tmp_path / "odd"), tmp_path / "odd.csv"
    assert seran(folder, "--model", exported, "--out", out) == 0
    rows = {os.path.basename(row["file"]): row for row in rows_of(out)}
    assert rows.keys() == set(os.listdir(folder))
    for name in ("cmyk.jpg", "palette.png", "transparent.png", "grey.jpg", "tagged.tiff", "web.webp", "turned.jpg"):
        assert rows[name]["level"] != "unreadable" and rows[name]["top1"]
    for name in ("cut.jpg", "empty.jpg", "text.png", "phone.heic", "tiny.png"):
        assert rows[name]["level"] == "unreadable" and rows[name]["why"] and not rows[name]["top1"]
    assert all(row["answer"] or row["why"] for row in rows.values())
    before = out.read_bytes()
    assert seran(folder, "--model", exported, "--out", out) == 0
    assert out.read_bytes() == before


def test_a_picture_turned_by_exif_is_seen_upright():
    colours = Image.effect_noise((60, 90), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown turned to the right
    upright, lying = io.BytesIO(), io.BytesIO()
    colours.save(upright, "PNG")
    colours.transpose(Image.Transpose.ROTATE_90).save(lying, "PNG", exif=exif)
    near = window(upright.getvalue(), 73).astype(int) - window(lying.getvalue(), 73)
    assert np.abs(near).mean() < 2  # noise from pixel to pixel, which resizing first down or first across rounds apart


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere.jpg"], 2, "neither a file nor a folder"),
        (["."], 1, "holds no photographs"),
        (["ROOT/README.md", "--risk", "0.001"], 2, "has thresholds for 0.01 or more"),
        (["ROOT/README.md", "--risk", "nan"], 2, "has thresholds for 0.01 or more"),
        (["ROOT/README.md", "--out", "a.txt"], 2, "ends in .csv or .json"),
        (["ROOT/README.md", "--model", "nowhere"], 1, "no whole bundle"),
    ],
)
def test_a_wrong_question_gets_a_line(words, code, message, exported, tmp_path, monkeypatch, capsys):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert seran("--model", exported, *(word.replace("ROOT", str(ROOT)) for word in words)) == code
    assert message in capsys.readouterr().err


def test_it_starts_without_torch(exported, photographs):
    picture = next(photographs.rglob("*.jpg"))
    asked = [sys.executable, "-X", "importtime", "-m", "seran_lib", "predict", picture, "--model", exported]
    told = subprocess.run(asked, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert told.returncode == 0 and picture.name in told.stdout
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in told.stderr.splitlines() if "|" in line}
    assert {"onnxruntime", "numpy", "PIL"} <= imported
    assert not imported & {"torch", "fastai", "pandas", "scipy", "sklearn", "timm", "matplotlib", "statsmodels"}
