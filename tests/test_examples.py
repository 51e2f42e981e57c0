"""Examples in docstrings run."""

import doctest

import pandas as pd
import pytest

from subliminal import derived, doses, fences, quiz, rows, study
from subliminal.channels import plain_chains
from subliminal.legibility import Pair
from subliminal.mitigations import mixing
from subliminal.mitigations.monitor import constitution, measures


@pytest.mark.parametrize(
    "module", [constitution, derived, doses, fences, measures, mixing, plain_chains, quiz, rows, study]
)
def test_examples_in_docstrings_run(module):
    done = doctest.testmod(module, globs=vars(module) | {"pd": pd, "Pair": Pair})
    assert done.attempted > 0
    assert done.failed == 0
