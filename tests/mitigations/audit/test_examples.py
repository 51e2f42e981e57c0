"""Examples in the audit's docstrings run."""

import doctest
from importlib import import_module

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["asking", "designs", "evidence", "judged", "looks", "probing"])
def test_examples_in_docstrings_run(name):
    module = import_module(f"subliminal.mitigations.audit.{name}")
    done = doctest.testmod(module, globs=vars(module) | {"np": np})
    assert done.attempted > 0
    assert done.failed == 0
