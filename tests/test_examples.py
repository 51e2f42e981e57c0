"""Examples in docstrings run."""

import doctest

import pandas as pd
import pytest

from subliminal import derived, doses, quiz, rows, study
from subliminal.legibility import Pair
from subliminal.mitigations import mixing
from subliminal.mitigations.monitor import constitution, measures


@pytest.mark.parametrize("module", [constitution, derived, doses, measures, mixing, quiz, rows, study])
def test_examples_in_docstrings_run(module):
    done = doctest.testmod(module, globs=vars(module) | {"pd": pd, "Pair": Pair})
    assert done.attempted > 0
    assert done.failed == 0
