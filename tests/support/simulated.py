"""Runs that nobody trained: a results folder of known truth, to test what is concluded from one."""

from dataclasses import fields

import numpy as np
import pandas as pd
from rows import some_row

from seran_lib.train.ledger import Row
from seran_lib.train.profiles import PROFILES
from seran_lib.train.settings import choose

LABELS = ("lativitta", "malleti", "notabilis", "plesseni", "cyrbia", "venus")


def row_of(run, **values):
    """A row of the ledger for a run with these settings."""
    names = {field.name for field in fields(Row)} & {*vars(run), "run_id"}
    return some_row(**{name: getattr(run, name) for name in names} | {"data": run.data_name} | values)


def add_runs(
    results, rates, *, profile="laptop", data="heliconius", seeds=(0, 1, 2), n=600, epochs=0, images=0, noise=0.05,
    seed=1, labels=LABELS, look_alike_share=0.3, **changes,
):  # fmt: skip
    """Ledger rows, predictions and curves of models with the error shares `rates`, moved by `noise` from run to run.

    Images differ in how hard they are, alike for all models, as photographs do.
    """
    rng = np.random.default_rng(seed)
    epochs = epochs or PROFILES[profile].epochs
    rows = []
    for run_seed in seeds:
        hard = rng.uniform(0.2, 1.8, size=n)
        label = rng.choice(labels, size=n)
        for model, rate in rates.items():
            share = rate * np.exp(noise * rng.normal())
            wrong = rng.random(n) < np.clip(hard * share, 0, 1)
            within = wrong & (rng.random(n) < look_alike_share) & (np.isin(label, LABELS[:4]))
            partner = dict(zip(LABELS[:4], (LABELS[1], LABELS[0], LABELS[3], LABELS[2]), strict=True))
            predicted = np.where(wrong, np.where(label == labels[-1], labels[-2], labels[-1]), label)
            predicted = np.where(within, [partner.get(name, name) for name in label], predicted)
            probability = np.clip(1 - hard * rng.random(n) / 2, 0.2, 1)
            chosen = {name: changes[name] for name in ("wiring", "init", "lr", "recipe") if name in changes}
            run = choose(
                profile, data=data, model=model, seed=run_seed, epochs=epochs, images_per_class=images, **chosen
            )
            row = {
                "utc": "2026-01-01T00:00:00Z", "git_commit": "c0ffee", "dirty": False,
                "classes": len(set(labels)), "train": 4 * n, "valid": n, "test": n,
                "valid_top1_error": 100 * share, "test_top1_error": round(100 * wrong.mean(), 4),
                "test_top5_error": round(30 * wrong.mean(), 4), "test_macro_error": round(110 * wrong.mean(), 4),
                "temperature": 1.3, "parameters": 3_000_000, "seconds": 200.0,
                "images_per_second": 24.0, "device": "CPU", "data_fingerprint": "f",
            }  # fmt: skip
            rows.append(row_of(run, **row | changes))
            table = pd.DataFrame({
                "image_id": [f"{k:05}" for k in range(n)], "group": [f"{k // 2:05}" for k in range(n)],
                "label": label, "predicted": predicted,
                "probability": probability, "calibrated": probability**1.3, "label_probability": 0.5, "label_rank": 1,
            })  # fmt: skip
            results.save("predictions", run.run_id, table)
            epoch = np.arange(1, epochs + 1)
            loss = 2 * np.exp(-epoch / 6) + (0.02 * np.maximum(epoch - 20, 0) if "no_attention" in model else 0)
            curve = pd.DataFrame({"epoch": epoch, "train_loss": 2 * np.exp(-epoch / 5), "valid_loss": loss,
                                  "valid_top1_error": 100 * np.exp(-epoch / 9)})  # fmt: skip
            results.save("curves", run.run_id, curve)
    for row in rows:
        results.append(row)
