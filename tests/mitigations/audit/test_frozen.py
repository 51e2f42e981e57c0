"""The chapter names the commit in which the audit was settled: its code and suite are those of that commit."""

import hashlib
import re
import subprocess

import pytest

from subliminal.paths import data_dir

ROOT = data_dir().parent
CODE = "lib/subliminal/mitigations/audit"
FILES = [f"{CODE}/{name}.py" for name in ("answering", "asking", "evidence", "looks", "suites", "table")]
FILES += ["data/audits/applications.yml", "data/audits/lists.yml"]
TOLD = re.compile(
    r"settled [^`]*in\s+commit `(?P<commit>[0-9a-f]{7,40})`.*?begins\s+with `(?P<digest>[0-9a-f]{12})`", re.DOTALL
)


def named():
    """The commit and the digest, as the chapter tells them."""
    return TOLD.search((ROOT / "chapters/audit.md").read_text(encoding="utf-8")).groups()


def digest(texts):
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).hexdigest()[:12]


def test_the_audit_is_the_one_that_the_chapter_names():
    """Whoever changes it settles it anew, before the chapter's models are audited, and says so there."""
    _, told = named()
    assert digest((ROOT / name).read_bytes() for name in FILES) == told


def test_so_it_stood_in_that_commit():
    commit, told = named()
    found = [subprocess.run(["git", "show", f"{commit}:{name}"], cwd=ROOT, capture_output=True) for name in FILES]
    if any(one.returncode for one in found):
        pytest.skip(f"commit {commit} is not in this copy's history")
    assert digest(one.stdout for one in found) == told
