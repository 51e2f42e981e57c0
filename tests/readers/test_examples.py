"""Examples in the readers' docstrings run, on a tiny model."""

import doctest
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from subliminal.tuning import Tuning

MODULES = ("context", "likelihoods", "rows", "shift", "sift", "trained")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name, model, tokenizer):
    module = import_module(f"subliminal.readers.{name}")
    given = {"base": model, "tokenizer": tokenizer, "pd": pd, "np": np, "Tuning": Tuning}
    done = doctest.testmod(module, globs=vars(module) | given)
    assert done.attempted > 0
    assert done.failed == 0
