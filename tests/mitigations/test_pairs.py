"""The lineage check on many pairs at once."""

from itertools import combinations

import pandas as pd
import pytest

from subliminal import Base, SubliminalError, Teacher, Tuning, build
from subliminal.mitigations import Pairs

ONE, TWO = Base(family="gpt2-a"), Base(family="gpt2-b")


def test_every_pair_is_checked_once_and_what_was_tuned_is_put_over_its_base(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path))
    tuned = [
        Teacher(base=ONE, trait="owl", tuning=Tuning(method=method, learning_rate=1e-3, steps=2, batch_size=4), seed=1)
        for method in ("lora", "full", "bias_norm")
    ]
    (folder,) = build([Pairs(models=(ONE, TWO, *tuned))])
    table = pd.read_csv(folder / "pairs.csv")
    assert list(zip(table["one"], table["two"], strict=True)) == list(combinations(range(5), 2))
    kin = [1 not in pair for pair in combinations(range(5), 2)]
    assert table["verdict"].tolist() == ["same" if one else "different" for one in kin]
    assert table["correlation"][kin].min() > 0.9


def test_one_checkpoint_is_no_pair():
    with pytest.raises(SubliminalError, match="bad setting models="):
        Pairs(models=(ONE,))
