"""A run folder as `spectm evaluate` writes it, with scores that a test chooses."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCORES = [
    "r2",
    "rmse",
    "mae",
    "bias",
    "mdsa",
    "sspb",
    "r2_detected",
    "skill_climatology",
    "skill_persistence",
]

# Model, context, R2 and skill, each with its interval; ridge without context is worse than the calendar.
MODELS = [
    ("mean", "none", (0.0, -0.2, 0.0), (-1.5, -2.0, -1.0)),
    ("ridge", "none", (0.31, 0.12, 0.45), (-0.42, -0.7, -0.1)),
    ("spectm", "none", (0.55, 0.35, 0.7), (0.05, -0.15, 0.2)),
    ("climatology", "season", (0.52, 0.3, 0.66), (0.0, 0.0, 0.0)),
    ("gp", "season", (0.61, 0.4, 0.74), (0.19, 0.03, 0.33)),
    ("spectm", "season", (0.58, 0.38, 0.72), (0.12, -0.02, 0.25)),
    ("persistence", "season+lab", (0.4, 0.1, 0.6), (-0.25, -0.5, -0.05)),
    ("spectm", "season+lab", (0.67, 0.5, 0.8), (0.31, 0.15, 0.45)),
]


def score_line(task, split, model, context, seed, r2, skill):
    line = {"task": task, "split": split, "model": model, "context": context, "seed": seed}
    line |= {"n": 12, "n_censored": 4}
    for name in SCORES:
        value = {"r2": r2, "skill_climatology": skill}.get(name, (0.4, 0.3, 0.5))
        line |= dict(zip((name, f"{name}_low", f"{name}_high"), value, strict=True))
    for above, positives in (("0.3", 7), ("1", 5), ("1.6", 3)):
        exceedance = {"positives": positives, "brier": 0.11, "brier_skill": 0.2, "recall": 0.8}
        exceedance |= {"precision": np.nan, "roc_auc": 0.9, "pr_auc": 0.85}
        line |= {f"{name}_{above}": value for name, value in exceedance.items()}
        line |= {f"brier_skill_{above}_low": -0.1, f"brier_skill_{above}_high": 0.4}
    return line | {"r2_spread": 0.03}


def prediction_lines(keys):
    """Twelve samples of three stations on four days, a third below detection, all a factor 1.5 too high."""
    n = len(keys)
    observed = np.array([0.1, 0.4, 1.2, 0.1, 0.6, 2.5, 0.1, 0.9, 9.0, 0.1, 0.3, 1.7])
    day = np.repeat(["2024-06-03", "2024-06-10", "2024-06-17", "2024-06-24"], 3)
    named = np.repeat(np.array([key[:5] for key in keys]), 12, axis=0)
    lines = pd.DataFrame(named, columns=["task", "split", "model", "context", "seed"])
    lines["station"] = np.tile(["WE2", "WE4", "NA"], 4 * n)
    lines["sample_time"] = np.tile(np.char.add(day, "T14:30:00Z"), n)
    lines["overpass_time"] = np.tile(np.char.add(day, "T18:00:00Z"), n)
    lines["observed"] = np.tile(observed, n)
    lines["predicted"] = 1.5 * lines["observed"]
    lines["spread_log10"] = 0.3
    lines["below_detection"] = lines["observed"] == 0.1
    lines["fold"] = np.where(lines["split"] == "leave-date-out", np.tile(day, n), "0")
    return lines.assign(repeat=0)


def reconstruction_tables(ratio):
    """Windows 615-640 and 660-680 nm; the spline is everywhere, `ratio` that of spectm with its interval."""
    table = [
        (guard, window, method, 12, 8, 0.999, 0.99, 2e-4, *(ratio if method == "spectm" else (1.0, 1.0, 1.0)))
        for guard in (0.0, 5.0)
        for window in ("615-640 nm", "interior", "all")
        for method in ("spectm", "ridge", "pca", "spline")
    ]
    columns = ["guard_nm", "window", "method", "n_spectra", "n_bands", "r", "r_band", "rmse"]
    scores = pd.DataFrame(table, columns=[*columns, "rmse_ratio", "rmse_ratio_low", "rmse_ratio_high"])
    wavelength = np.arange(500.0, 721.0, 5.0)
    scored = ((wavelength >= 615) & (wavelength <= 640)) | ((wavelength >= 660) & (wavelength <= 680))
    observed = 0.01 * np.exp(-(((wavelength - 560) / 60) ** 2))
    parts = []
    for guard in (0.0, 5.0):
        hidden = scored | (np.isin(wavelength, [610.0, 645.0, 655.0, 685.0]) & (guard > 0))
        inferred = np.where(scored, observed + 1e-4, np.nan)
        methods = {"spectm": inferred, "ridge": inferred, "pca": inferred, "spline": np.full(45, np.nan)}
        part = {"guard_nm": guard, "example": 0, "date": "2024-06-03", "wavelength": wavelength}
        parts.append(
            pd.DataFrame({**part, "observed": observed, **methods, "hidden": hidden, "scored": scored})
        )
    return scores, pd.concat(parts)


def curve_table():
    steps = np.arange(1, 11)
    lines = {"step": steps, "loss": 3.0 / steps, "learning_rate": 1e-3, "reconstruction": 1.0 / steps}
    lines |= {"indices": 1.0, "temporal": np.nan, "validation": np.where(steps % 5 == 0, 2.0 / steps, np.nan)}
    runs = [
        pd.DataFrame(
            {"scope": f"block {block}", "split": "leave-date-out", "model": "spectm", "seed": s} | lines
        )
        for block in range(2)
        for s in range(2)
    ]
    return pd.concat(runs)


def worst_spectra(tasks):
    """Two samples off by -0.6 and 0.5, each with a spectrum as bright as its rank."""
    wavelength = np.arange(550.0, 721.0, 10.0)
    named = {"station": "NA", "typical": 0.004, "wavelength": wavelength}
    return pd.concat(
        [
            pd.DataFrame({"task": task, "rank": rank, "sample_time": moment, "Rrs": 0.001 * rank, **named})
            for task in tasks
            for rank, moment in ((1, "2024-06-17T14:30:00Z"), (2, "2024-06-03T14:30:00Z"))
        ]
    )


@pytest.fixture
def make_run_folder(tmp_path):
    """Writes a folder: all files, or those asked for, with the scores, splits and seeds asked for."""

    def make(
        *,
        models=MODELS,
        tasks=("current", "ahead"),
        splits=("leave-date-out", "random-5"),
        seeds=2,
        optional=True,
        ratio=(1.8, 1.4, 2.2),
        pair=(-0.03, -0.12, 0.08),
        record=None,
    ) -> Path:
        folder = tmp_path / "run"
        folder.mkdir()
        keys = [
            (task, split, model, context, seed, r2, skill)
            for task in tasks
            for split in splits
            for model, context, r2, skill in models
            for seed in (*(map(str, range(seeds)) if model.startswith("spectm") else ["0"]), "ensemble")
        ]
        pd.DataFrame([score_line(*key) for key in keys]).to_csv(folder / "scores.csv", index=False)
        prediction_lines(keys).to_csv(folder / "predictions.csv", index=False)
        if not optional:
            return folder
        pairs = [
            (task, "leave-date-out", context, "spectm", model, *pair)
            for task in tasks
            for model, context, *_ in models
            if model != "spectm"
        ]
        columns = ["task", "split", "context", "model", "against", "r2_difference", "low", "high"]
        pd.DataFrame(pairs, columns=columns).to_csv(folder / "pairs.csv", index=False)
        scores, examples = reconstruction_tables(ratio)
        scores.to_csv(folder / "reconstruction.csv", index=False)
        examples.to_csv(folder / "reconstruction_examples.csv", index=False)
        worst_spectra(tasks).to_csv(folder / "worst_spectra.csv", index=False)
        curve_table().to_csv(folder / "curves.csv", index=False)
        (folder / "run.json").write_text(json.dumps(run_record() | (record or {})), encoding="utf-8")
        return folder

    return make


def run_record():
    file = {"sha256": "ab" * 32, "source": "x", "n_patches": 30, "first": "2024-06-03", "last": "2024-06-24"}
    return {
        "format": "spectm-evaluation",
        "format_version": 1,
        "spectm_version": "0.1.0",
        "written": "2026-01-02T03:04:05+00:00",
        "seconds": 61,
        "files": [{"file": "patches.nc", **file}, {"file": "more pixels.nc", **file}],
        "labels": "glerl",
        "labels_summary": "36 samples",
        "mask": "masking targeted: 8 of 32 tokens",
        "n_parameters": 12345,
        "counts": {"current": {"mean_hours_apart": -3.5, "mean_absolute_hours_apart": 3.5}},
        "settings": {"masking": {"guard_nm": 0.0}, "evaluation": {"tasks": ["current", "ahead"]}},
    }
