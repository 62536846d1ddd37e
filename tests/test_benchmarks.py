"""The scripts of benchmarks/ time what they say and keep it where the README and the figure look for it."""

import multiprocessing
import runpy
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = [path.stem for path in sorted(BENCHMARKS.glob("*.py")) if "__main__" in path.read_text(encoding="utf-8")]
MEGABYTE = 1_000_000


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch, tmp_path):
    """The scripts import each other as neighbours, and nothing they report here is kept."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import report

    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks/some.py"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_explains_itself(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCHMARKS / f"{script}.py"), run_name="__main__")
    assert ended.value.code == 0
    assert f"usage: {script}.py" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_benchmark_says_so_and_keeps_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCHMARKS / "gpu.py"), run_name="__main__")
    assert ended.value.code == 1 and "no CUDA GPU" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_row_names_its_device_and_replaces_the_older_one_where_that_was(tmp_path, monkeypatch):
    from report import report

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "some card")
    report("training a", "plain", "images/s", 10, 5, torch.device("cuda", 0))
    assert pd.read_csv(tmp_path / "results.csv")["machine"].tolist() == ["some card"]
    report("training b", "plain", "images/s", 10, 5)
    report("training a", "another's", "images/s", 10, 20)
    report("training a", "plain", "images/s", 30, 5)
    rows = pd.read_csv(tmp_path / "results.csv")
    kept = [["training a", "plain", 6.0], ["training b", "plain", 2.0], ["training a", "another's", 0.5]]
    assert rows[["what", "instead_of", "ratio"]].to_numpy().tolist() == kept
    assert set(rows["benchmark"]) == {"some"}
    assert rows["machine"].str.startswith("CPU, ").all() and rows["utc"].str.endswith("Z").all()


@pytest.mark.parametrize("unit", ["MB", "ms"])
def test_a_ratio_above_one_is_better_where_less_is_better(unit, tmp_path):
    from report import report

    report("memory or time", "plain", unit, 100, 250)
    assert pd.read_csv(tmp_path / "results.csv")["ratio"].tolist() == [2.5]


def test_median_of_actions_that_take_turns_after_a_warm_up(monkeypatch):
    import steps

    clock, calls = [0.0], []
    monkeypatch.setattr(steps.time, "perf_counter", lambda: clock[0])

    def action(name, seconds):
        durations = iter(seconds)

        def act():
            calls.append(name)
            clock[0] += next(durations)

        return act

    assert steps.medians(action("a", [90, 1, 2, 30]), action("b", [80, 5, 4, 3]), rounds=3, warm_up=1) == [2, 4]
    assert "".join(calls) == "abababab"


@pytest.mark.parametrize("ours", [True, False])
def test_a_training_step_is_taken_in_the_precision_and_layout_it_is_reported_for(ours, monkeypatch):
    import steps
    import torch

    monkeypatch.setattr("seran_lib.train.device.precision", lambda *_: "bf16")
    model = steps.network("seran_d", width=1 / 8, classes=3, ours=ours)
    before = model.classifier.weight.clone()
    seen = []
    model.register_forward_hook(lambda module, images, scores: seen.append(scores.dtype))
    steps.training_step(model, batch=2, size=64, classes=3, ours=ours)()
    assert seen == [torch.bfloat16 if ours else torch.float32]
    weight = next(p for p in model.parameters() if p.ndim == 4 and min(p.shape) > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last) == ours
    assert not torch.equal(model.classifier.weight, before)


@pytest.mark.parametrize("name", ["attention92", "senet154"])
def test_rivals_are_the_same_network(name):
    import rivals
    import torch

    from seran_lib.nets import create_model
    from seran_lib.nets.description import count_parameters

    with torch.device("meta"):
        ours = count_parameters(create_model(name, 123))
        theirs = [count_parameters(create(num_classes=123)) for create in rivals.RIVALS[name].values()]
    assert theirs and set(theirs) == {ours}


def test_scores_of_both_ways_of_inference_agree(monkeypatch):
    import inference
    import steps
    import torch

    monkeypatch.setattr(
        "seran_lib.train.device.precision", lambda *_: "bf16"
    )  # CPUs that only emulate it would not take it
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    ours, plain = (
        inference.answers(steps.network("resnet101", width=1 / 8, ours=ours), images, ours)() for ours in (True, False)
    )
    assert ours.dtype == torch.float32 and ours.is_inference() and not torch.equal(ours, plain)
    torch.testing.assert_close(ours, plain, rtol=0.1, atol=0.1 * plain.abs().max().item())


def hold(megabytes):
    held = bytearray(b"x") * (megabytes * MEGABYTE)
    time.sleep(0.2)
    del held


def hold_in_another_process(megabytes):
    process = multiprocessing.Process(target=hold, args=(megabytes,))
    process.start()
    process.join()


def fail():
    raise ValueError("on purpose")


def start_method(expected):
    assert multiprocessing.get_start_method() == expected


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured on Linux only")


@needs_linux
@pytest.mark.parametrize("task", [hold, hold_in_another_process])
def test_peak_memory_sees_what_a_task_and_its_processes_hold_and_give_back(task):
    from peak import peak_memory

    assert peak_memory(task, 200) == pytest.approx(200, abs=15)


@needs_linux
def test_peak_memory_of_a_task_that_starts_processes_as_usual():
    """Loaders fork on Linux; spawned ones would each hold their own imports."""
    from peak import peak_memory

    peak_memory(start_method, multiprocessing.get_context().get_start_method())


@needs_linux
def test_peak_memory_of_a_task_that_fails_is_an_error():
    from peak import peak_memory

    with pytest.raises(RuntimeError, match=r"fail.* failed"):
        peak_memory(fail)


def test_memory_is_left_out_in_words_where_the_system_does_not_tell(tmp_path, monkeypatch, capsys):
    import memory
    import peak

    monkeypatch.setattr(peak, "PROC", tmp_path)
    monkeypatch.setattr(sys, "argv", ["memory.py"])
    memory.main()
    assert "not measured" in capsys.readouterr().out and not (tmp_path / "results.csv").exists()


def test_growth_is_kept_by_number_with_its_exponent(tmp_path, monkeypatch, capsys):
    import growth

    monkeypatch.setattr(growth, "IMAGES", (800, 1600))
    growth.with_images(rounds=1)
    rows = pd.read_csv(tmp_path / "growth.csv")
    assert rows["x"].tolist() == [800, 1600] * 2 and (rows["value"] > 0).all()
    assert capsys.readouterr().out.count("to the power of") == 2


def test_exponent_of_a_power_law():
    from report import exponent

    assert exponent([1, 10, 100], [2, 200, 20_000]) == pytest.approx(2)


def results(*rows):
    return pd.DataFrame(rows, columns=["benchmark", "what", "instead_of", "ratio"])


PLAIN = [
    ("train_step", "training seran, 96 px", "plain", 2.0),
    ("train_step", "training seran_d, 96 px", "plain", 4.0),
    ("data_path", "batches for a GPU, 96 px", "fastai's", 150.0),
    ("data_path", "batches on the CPU, 96 px", "fastai's", 0.5),
]
CURVE = pd.DataFrame({"by": "images", "what": "reading", "x": [10, 100], "value": [0.1, 1.0]})


def test_the_figure_is_drawn_from_both_tables_with_the_same_bytes_each_time():
    import figure

    from seran_lib.book.plots import style

    drawn = {style.svg(figure.draw(results(*PLAIN), CURVE)) for _ in range(2)}
    assert len(drawn) == 1
    ratios = figure.draw(results(*PLAIN), CURVE).subfigs[0].axes[0]
    said = [text.get_text() for text in ratios.texts]
    assert {"2 models, 96 px", "3.00", "for a GPU, 96 px", "150", "on the CPU, 96 px", "0.50"} <= set(said)
    ends = [bar.get_x() + bar.get_width() for bar in ratios.patches]
    assert ends == pytest.approx([3.0, 150.0, 0.5])


def test_the_figure_has_a_heading_for_every_row_that_was_measured():
    import figure

    measured = pd.read_csv(BENCHMARKS / "results.csv")
    assert sum(len(ratios) for bars in figure.grouped(measured).values() for ratios in bars.values()) == len(measured)
    with pytest.raises(ValueError, match="painting"):
        figure.grouped(results(*PLAIN, ("easel", "painting", "drawing", 1.0)))
