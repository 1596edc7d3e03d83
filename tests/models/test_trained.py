"""A model that TRL trained, against what TRL's own evaluation measured of it on the same pairs."""

import json

import numpy as np
import pytest
from conftest import GOLDEN
from readable import load

FOLDER = GOLDEN.parent / "golden_trained" / "trl"


def rewards(**options):
    rows = [json.loads(line) for line in (FOLDER / "pairs.jsonl").read_text().splitlines()]
    talks = [
        [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row[side]}]
        for row in rows
        for side in ("chosen", "rejected")
    ]
    return np.array(load(FOLDER, **options).score(talks)).reshape(-1, 2)


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_accuracy_margin_and_loss_are_trls(engine):
    """TRL tells means of batches of equal size, hence of all pairs, and of batches' extremes."""
    told = json.loads((FOLDER / "metrics.json").read_text())
    found = rewards(engine=engine)
    margins = found[:, 0] - found[:, 1]
    assert (margins > 0).mean() == told["accuracy"] == 59 / 64
    assert margins.mean() == pytest.approx(told["margin"], abs=1e-5)
    assert found.mean() == pytest.approx(told["mean_reward"], abs=1e-5)
    assert np.log1p(np.exp(-margins)).mean() == pytest.approx(told["loss"], abs=1e-5)


def test_the_last_token_by_position_is_another_model():
    """It wins 63 pairs here, which training never saw: more, and not what was trained."""
    found = rewards(pool="last")
    assert (found[:, 0] > found[:, 1]).sum() == 63
