"""Examples in docstrings run."""

import doctest

import pytest

from subliminal import study


@pytest.mark.parametrize("module", [study])
def test_examples_in_docstrings_run(module):
    done = doctest.testmod(module, globs=vars(module) | {"pd": __import__("pandas")})
    assert done.attempted > 0
    assert done.failed == 0
