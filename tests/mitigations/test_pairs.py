"""The lineage check on many pairs at once."""

import pandas as pd
import pytest

from subliminal import Base, SubliminalError, Teacher, Tuning, build
from subliminal.mitigations import Pairs

ONE, TWO = Base(family="gpt2-a"), Base(family="gpt2-b")


def test_every_pair_is_checked_once_with_adapters_merged(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path))
    tuned = [
        Teacher(base=ONE, trait="owl", tuning=Tuning(method=method, learning_rate=1e-3, steps=2, batch_size=4), seed=1)
        for method in ("lora", "full")
    ]
    (folder,) = build([Pairs(models=(ONE, TWO, *tuned))])
    table = pd.read_csv(folder / "pairs.csv")
    assert list(zip(table["one"], table["two"], strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert table["verdict"].tolist() == ["different", "same", "same", "different", "different", "same"]
    assert table["correlation"].iloc[[1, 2, 5]].min() > 0.9


def test_one_checkpoint_is_no_pair():
    with pytest.raises(SubliminalError, match="bad setting models="):
        Pairs(models=(ONE,))
