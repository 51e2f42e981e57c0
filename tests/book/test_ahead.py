"""What is built beside the chapters ends with them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from subliminal import book

# Stands in for the work: tells that it goes on, and would go on for long.
WORK = """
import os, sys, time
while True:
    open(sys.argv[1], "a").write("x")
    time.sleep(0.05)
"""


def size(path):
    return path.stat().st_size if path.exists() else 0


def wait_for(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("fails", [False, True])
def test_the_work_beside_ends_with_the_block_also_where_a_chapter_fails(tmp_path, monkeypatch, fails):
    sign = tmp_path / "sign"
    monkeypatch.setattr(book, "_PREPARE", WORK)

    def block():
        with book._ahead(str(sign)):
            wait_for(lambda: size(sign) > 1)
            if fails:
                raise KeyboardInterrupt

    if fails:
        with pytest.raises(KeyboardInterrupt):
            block()
    else:
        block()
    stopped = size(sign)
    time.sleep(0.3)
    assert size(sign) == stopped


def test_the_work_beside_ends_where_the_build_is_killed(tmp_path):
    sign = tmp_path / "sign"
    work = book._PREPARE.split("from subliminal.claims")[0] + WORK
    code = f"from subliminal import book; import time\nbook._PREPARE = {work!r}\nwith book._ahead({str(sign)!r}): time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: size(sign) > 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(2)
    stopped = size(sign)
    time.sleep(0.5)
    assert size(sign) == stopped
