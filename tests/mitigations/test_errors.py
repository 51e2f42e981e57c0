import math

import pandas as pd
import pytest

from subliminal.mitigations.errors import error_rates, judged
from subliminal.statistics import wilson

FAMILIES = ["gpt2-a", "gpt2-a", "gpt2-b", "llama"]
PAIRS = pd.DataFrame(
    [
        (0, 1, 0.99, "same"), (0, 2, 0.01, "different"), (0, 3, math.nan, "different"),
        (1, 2, 0.02, "same"), (1, 3, math.nan, "different"), (2, 3, math.nan, "cannot tell"),
    ],
    columns=["one", "two", "correlation", "verdict"],
)  # fmt: skip


def test_a_verdict_is_right_if_it_says_whether_the_two_share_a_start():
    found = judged(PAIRS, FAMILIES)
    assert found["kin"].tolist() == [
        "one start", "one architecture, two starts", "two architectures",
        "one architecture, two starts", "two architectures", "two architectures",
    ]  # fmt: skip
    # Of these pairs it can be told: that it cannot is an error too.
    assert found["right"].tolist() == [True, True, True, False, True, False]


def test_errors_are_counted_by_kin_with_their_interval():
    table = error_rates(judged(PAIRS, FAMILIES)).set_index("kin")
    assert table["wrong"].to_dict() == {"one start": 0, "one architecture, two starts": 1, "two architectures": 1}
    assert table.loc["two architectures", ["number", "different", "cannot tell"]].tolist() == [3, 2, 1]
    assert table.loc["one architecture, two starts", ["low", "high"]].tolist() == pytest.approx(list(wilson(1, 2)))
    assert table.loc["one architecture, two starts", ["least", "most"]].tolist() == [0.01, 0.02]
    assert math.isnan(table.loc["two architectures", "most"])
