"""The book's table: one chapter's rows are replaced, whole or not at all, and what cannot be trusted is not read."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from subliminal import SubliminalError, records
from tests.tables import registry, rows

VERSIONS = {"owl": "aa", "misled": "bb"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A book of one's own, with its table."""
    return registry(tmp_path, monkeypatch).parent


def told(*values, condition="t"):
    """Rows as a study records them."""
    return rows({condition: values or (0.5, 0.6)})[list(records.TOLD)]


def replaced(**chapters):
    for chapter, table in chapters.items():
        records.replace("mini", chapter, VERSIONS[chapter], table)


def values(table):
    return table.groupby("chapter", sort=False)["value"].agg(list).to_dict()


def test_a_chapters_rows_say_what_they_are_of():
    replaced(owl=told())
    table = records.load(records.table_file("mini"))
    assert list(table.columns) == list(records.COLUMNS)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {n: c.kind for n, c in records.COLUMNS.items()}
    assert set(table["chapter"]) == {"owl"}
    assert set(table["profile"]) == {"mini"}
    assert set(table["version"]) == {"aa"}
    pd.testing.assert_frame_equal(table[list(records.TOLD)], told(), check_dtype=False)


def test_a_chapter_replaces_its_own_rows_and_leaves_the_others():
    replaced(owl=told(1, 2, 3), misled=told(4, 5))
    replaced(owl=told(6))
    assert values(records.read("mini", VERSIONS)) == {"misled": [4, 5], "owl": [6]}
    replaced(owl=told()[:0])
    assert values(records.load(records.table_file("mini"))) == {"misled": [4, 5]}


def test_profiles_have_tables_of_their_own():
    replaced(owl=told(1, 2))
    records.replace("smoke", "owl", "aa", told(3))
    assert values(records.read("mini", {"owl": "aa"})) == {"owl": [1, 2]}
    assert values(records.read("smoke", {"owl": "aa"})) == {"owl": [3]}


def test_rows_are_read_of_the_chapters_that_are_asked_for_alone():
    replaced(owl=told(1), misled=told(2))
    assert values(records.read("mini", {"misled": "bb"})) == {"misled": [2]}


def test_missing_are_chapters_without_rows_and_those_of_another_version():
    assert records.missing("mini", VERSIONS) == ["owl", "misled"]
    replaced(owl=told())
    assert records.missing("mini", VERSIONS) == ["misled"]
    replaced(misled=told())
    assert records.missing("mini", VERSIONS) == []
    assert records.missing("mini", VERSIONS | {"owl": "ab"}) == ["owl"]
    assert records.missing("smoke", VERSIONS) == ["owl", "misled"]
    records.table_file("mini").write_text("no table")
    assert records.missing("mini", VERSIONS) == ["owl", "misled"]


def refused(versions=VERSIONS):
    with pytest.raises(SubliminalError) as error:
        records.read("mini", versions)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_rows_of_another_size_are_not_read():
    replaced(owl=told(), misled=told())
    path = records.table_file("mini")
    table = records.load(path)
    records.dump(path, table.assign(profile=["mini" if name == "owl" else "smoke" for name in table["chapter"]]))
    assert refused() == f"the table {path} holds rows of profile smoke: delete it and build the book"


def test_rows_of_another_version_are_not_read():
    replaced(owl=told(), misled=told())
    expected = "has no rows of chapter misled as it is now: run make book PROFILE=mini, or make chapter NAME=misled PROFILE=mini"
    assert refused(VERSIONS | {"misled": "cc"}).endswith(expected)


def test_a_chapter_that_is_not_there_is_named():
    replaced(owl=told())
    assert "has no rows of chapter misled as it is now" in refused()
    assert "has no rows of chapter owl, theorem as it is now" in refused({"owl": "x", "theorem": "y"})


def test_a_row_that_is_there_twice_is_named():
    replaced(owl=told(0.5))
    path = records.table_file("mini")
    table = records.load(path)
    records.dump(path, pd.concat([table, table.assign(value=0.7)]))
    row = "chapter 'owl', condition 't', quantity 'animals', seed -1, answer 'owl'"
    assert refused() == f"the table {path} holds {row} twice: delete it and build the book"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "no table",
        lambda text: text.replace("value", "worth", 1),
        lambda text: text.replace("0.5", "much"),
        lambda text: text[: len(text) - 20],
        lambda text: text.replace(",30,", ",30.5,"),
        lambda text: text + '"a',
        lambda text: text + "a,b,c,d,e,f,g,h,i,j,k,l\n",
        lambda text: b"\xff\xfe" + text.encode(),
    ],
    ids=["empty", "text", "no column", "no number", "cut off", "half a seed", "open quote", "long line", "no text"],
)
def test_a_table_that_cannot_be_read_is_one_line(damage):
    replaced(owl=told(), misled=told())
    path = records.table_file("mini")
    broken = damage(path.read_text())
    path.write_bytes(broken if isinstance(broken, bytes) else broken.encode())
    assert str(path) in refused()
    assert "build the book" in refused() or "make book" in refused()


def test_no_table_is_one_line():
    assert refused().endswith("delete it and build the book")


def test_a_table_that_cannot_be_read_is_begun_anew():
    replaced(owl=told(), misled=told())
    records.table_file("mini").write_text("no table")
    replaced(owl=told(1))
    assert values(records.read("mini", {"owl": "aa"})) == {"owl": [1]}
    assert records.missing("mini", VERSIONS) == ["misled"]


def test_a_reader_sees_the_old_table_or_the_new_one():
    """Also while the other is written, over and over."""
    states = [told(*[float(n)] * 40) for n in (1, 2)]
    replaced(owl=states[0], misled=told(3))
    done = threading.Event()

    def read():
        seen = set()
        while not done.is_set():
            table = records.read("mini", VERSIONS)
            assert len(table) == 41
            seen.add(tuple(table.loc[table["chapter"] == "owl", "value"].unique()))
        return seen

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        for n in range(30):
            replaced(owl=states[n % 2])
        done.set()
        assert reader.result() <= {(1.0,), (2.0,)}


def test_what_cannot_be_written_leaves_the_table_as_it_was():
    replaced(owl=told(1))
    before = records.table_file("mini").read_bytes()
    with pytest.raises(UnicodeEncodeError):
        replaced(misled=told(2, condition="\ud800"))
    assert records.table_file("mini").read_bytes() == before


def test_chapters_that_end_at_once_lose_no_rows_of_one_another():
    names = [f"chapter{n}" for n in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: records.replace("mini", name, "aa", told(1, 2)), names))
    assert values(records.read("mini", dict.fromkeys(names, "aa"))) == {name: [1, 2] for name in names}


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "table.csv"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50))
@example([0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 1e-05, math.inf])
def test_numbers_survive_the_round_trip_to_the_last_digit(scratch, numbers):
    table = pd.concat([told(number).assign(seed=n) for n, number in enumerate(numbers)], ignore_index=True)
    records.dump(scratch, table)
    assert list(map(float.hex, records.load(scratch, records.TOLD)["value"])) == list(map(float.hex, numbers))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=10, unique=True))
@example(
    [
        "a, b",
        'the "best"',
        "it's",
        "ü ☃ 🦉",
        "two\nlines",
        "NA",
        "nan",
        "",
        " ",
        "-1",
        "1.0",
        "True",
        "#",
        "{x}",
        "=1+1",
    ]
)
@example(["one\rline", "two\r\nlines"])
def test_names_survive_the_round_trip_whatever_they_are(scratch, names):
    table = pd.concat([told(0.5, condition=name) for name in names], ignore_index=True)
    table = table.assign(answer=names, run=names, quantity=names)
    records.dump(scratch, table)
    pd.testing.assert_frame_equal(records.load(scratch, records.TOLD), table, check_dtype=False)


@given(st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=20, deadline=None)
def test_seeds_and_samples_survive_the_round_trip(scratch, number):
    records.dump(scratch, told(0.5).assign(seed=number, samples=number))
    table = records.load(scratch, records.TOLD)
    assert table["seed"].tolist() == table["samples"].tolist() == [number]
