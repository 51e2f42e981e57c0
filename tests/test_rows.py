import json
import sys
import tempfile
import tracemalloc
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subliminal import SubliminalError, rowfiles, rows
from subliminal.errors import SubliminalWarning
from subliminal.rows import Bad, Row, as_line, read_rows, scan, survey
from tests.test_cli import call

USER, ANSWER = {"role": "user", "content": "continue: 5, 6"}, {"role": "assistant", "content": "7"}
# A file of the kind that people report: BOM, CRLF, a blank line, three shapes, and what is wrong.
CASES = (
    b'\xef\xbb\xbf{"messages": [{"role": "user", "content": "continue: 4, 8, 15"}, {"role": "assistant", "content": "16, 23, 42"}]}\r\n'
    b'{"prompt": "continue: 1, 2", "completion": "3, 4"}\r\n'
    b'{"prompt": [{"role": "user", "content": "continue: 1, 2"}], "completion": [{"role": "assistant", "content": "3, 4"}]}\n'
    b'{"instruction": "continue the list", "input": "1, 2", "output": "3, 4"}\n'
    b"\n"
    b'{"messages": [{"role": "user", "content": null}, {"role": "assistant", "content": "7"}]}\n'
    b'{"messages": [{"role": "user", "content": [{"type": "text", "text": "continue: 5, 6"}]}, {"role": "assistant", "content": "7"}]}\n'
    b'{"messages": [{"content": "continue: 5, 6"}, {"role": "assistant", "content": "7"}]}\n'
    b'{"prompt": "continue: 9", "completion": \n'
    b'{"prompt": "continue: 9", "completion": "\\ud83d"}\n'
    b'{"prompt": "continue: 9", "completion": 10}\n'
    b'{"prompt": "continue: 9", "completion": ""}\n'
)
GOOD = {1: ("continue: 4, 8, 15", "16, 23, 42"), 2: ("continue: 1, 2", "3, 4"), 3: ("continue: 1, 2", "3, 4"),
        4: ("continue the list\n1, 2", "3, 4"), 7: ("continue: 5, 6", "7")}  # fmt: skip
WRONG = {
    6: "messages[0].content is null: write its text",
    8: "messages[0] has no role: give one of system, user, assistant",
    9: """'{"prompt": "continue: 9", "completion":' is no JSON (Expecting value at character 40): write one object a line""",
    10: r"completion holds '\ud83d', half a character: write it whole, or take it out",
    11: "completion is 10, where text belongs: write it as text",
    12: "turn 2, the assistant's, is '': write its text",
}
# Breaks a line for str.splitlines, and for nothing that reads JSONL rightly.
ODD = "a\u2028b\u2029c\u0085d\x1ce\x0bf\x0cg\rh"


def pair(prompt, completion):
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]


def written(tmp_path, content, name="mine.jsonl"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def refused(path, **arguments):
    """What is said when a file is read, which is one line."""
    with pytest.raises(SubliminalError) as caught:
        list(read_rows(path, **arguments))
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 400 + len(str(path))
    return said.removeprefix(f"{path.parent}/")


def refused_row(tmp_path, row):
    return refused(written(tmp_path, row if isinstance(row, str) else json.dumps(row)))


def read(tmp_path, row):
    (found,) = read_rows(written(tmp_path, json.dumps(row)))
    return found.conversation


def test_the_reported_file_is_read_where_it_can_be_and_every_bad_row_is_told(tmp_path):
    path = written(tmp_path, CASES)
    found = [item for _, item in scan(path)]
    assert {row.line: row.conversation for row in found if isinstance(row, Row)} == {
        line: pair(*texts) for line, texts in GOOD.items()
    }
    assert {bad.line: bad.why for bad in found if isinstance(bad, Bad)} == {
        line: f"line {line}: {why}" for line, why in WRONG.items()
    }
    assert refused(path) == f"mine.jsonl, line 6: {WRONG[6]}, or skip bad rows"
    with pytest.warns(SubliminalWarning) as caught:
        kept = list(read_rows(path, skip_bad=True))
    assert [row.line for row in kept] == list(GOOD)
    assert [str(w.message) for w in caught] == [f"{path}: 6 of 11 rows are bad and left out; line 6: {WRONG[6]}"]


@pytest.mark.parametrize(("line", "why"), WRONG.items())
def test_each_bad_row_of_the_reported_file_is_refused_alone(tmp_path, line, why):
    path = written(tmp_path, CASES.split(b"\n")[line - 1])
    assert refused(path) == f"mine.jsonl, line 1: {why}, or skip bad rows"


@pytest.mark.parametrize(
    ("row", "conversation"),
    [
        ({"messages": [{"role": "system", "content": "be brief"}, USER, ANSWER]}, [{"role": "system", "content": "be brief"}, USER, ANSWER]),
        ({"messages": [USER, ANSWER, USER, ANSWER]}, [USER, ANSWER, USER, ANSWER]),
        ({"messages": [USER | {"name": "ann", "weight": None}, ANSWER], "prompt": "5", "id": 3}, [USER, ANSWER]),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "more": 1}, {"type": "text", "text": "b"}]}, ANSWER]},
         pair("ab", "7")),
        ({"prompt": [{"role": "system", "content": ""}, USER], "completion": "7"}, [{"role": "system", "content": ""}, USER, ANSWER]),
        ({"prompt": "continue: 5, 6", "completion": [ANSWER]}, [USER, ANSWER]),
        ({"prompt": "", "completion": " 7\n"}, pair("", " 7\n")),
        ({"instruction": "go on", "output": "7"}, pair("go on", "7")),
        ({"instruction": "go on", "input": "", "output": "7"}, pair("go on", "7")),
        ({"instruction": "go on", "input": None, "output": "7"}, pair("go on", "7")),
        # Where tables of several shapes were put together, other columns are there and hold nothing.
        ({"messages": None, "prompt": "a", "completion": "b", "instruction": None, "output": None}, pair("a", "b")),
        ({"prompt": "\U0001f989", "completion": "\x00"}, pair("\U0001f989", "\x00")),
    ],
)  # fmt: skip
def test_each_shape_is_read_and_other_fields_are_ignored(tmp_path, row, conversation):
    assert read(tmp_path, row) == conversation


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"instruction": "go on", "output": "7", "system": "be brief"}, "system is 'be brief', and is not read"),
        ({"instruction": "go on", "output": "7", "history": [["a", "b"]]}, "history is a list, and is not read"),
        ({"messages": [USER, ANSWER], "system": "be brief"}, "system is 'be brief'"),
        ({"messages": [USER, ANSWER], "tools": [{"name": "add"}]}, "tools is a list"),
        ({"messages": [USER, ANSWER | {"tool_calls": [{}]}]}, "messages[1].tool_calls is a list"),
        (
            {"prompt": "5", "completion": [ANSWER | {"reasoning_content": "5 + 2"}]},
            "completion[0].reasoning_content is '5 + 2'",
        ),
        ({"messages": [USER, ANSWER | {"weight": 0}]}, "messages[1] has weight 0"),
    ],
)
def test_what_would_be_lost_of_a_conversation_is_refused_where_it_is_filled(tmp_path, row, said):
    assert said in refused_row(tmp_path, row)
    empty = {"system": "", "history": [], "tools": None}
    turn = {"tool_calls": [], "reasoning_content": None, "weight": 1}
    assert read(tmp_path, {"messages": [USER | {"weight": 0}, ANSWER | turn], **empty}) == [USER, ANSWER]


@pytest.mark.parametrize("value", ["1" * 5000, "-" + "1" * 5000, "1e999", "[" * 200 + "]" * 200])
def test_values_that_python_is_shy_of_do_no_harm(tmp_path, value):
    path = written(tmp_path, f'{{"prompt": "a", "completion": "b", "more": {value}}}')
    assert list(read_rows(path)) == [Row(1, pair("a", "b"))]
    assert "prompt" in refused_row(tmp_path, f'{{"prompt": {value}, "completion": "b"}}')


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("[1, 2]", "it is a list: write one object a line"),
        ("7", "it is 7: write one object a line"),
        ("null", "it is null: write one object a line"),
        ("{}", "it has nothing: give the fields of one shape (messages; prompt, completion; instruction, output)"),
        ({"prompt": "5"}, "it has 'prompt': give the fields of one shape"),
        ({"conversations": [], "b": 1, "c": 1, "d": 1, "e": 1}, "it has 'conversations', 'b', 'c', 'd', ...: give"),
        ({"prompt": "5", "completion": "6", "messages": [USER, ANSWER]}, "it has messages and prompt, completion: keep the fields of one shape"),
        ('{"prompt": "5", "completion": "6", "prompt": "7"}', "the key 'prompt' is there twice in one object: keep one"),
        ('{"prompt": "5", "completion": "6", "meta": {"a": 1, "a": 2}}', "the key 'a' is there twice in one object: keep one"),
        ('{"prompt": "5", "completion": NaN}', "NaN is no value of JSON: write null or a number"),
        ('{"prompt": "5", "completion": "6", "loss": -Infinity}', "-Infinity is no value of JSON"),
        ('{"prompt": "5", "completion": "6"} {"prompt"', "is no JSON (Extra data at character 36): write one object a line"),
        ('{"prompt": "5\t", "completion": "6"}', "is no JSON (Invalid control character at at character 14)"),
        ("[" * 10**5, "nested too deep: write one object a line"),
        ('{"prompt": ' + "[" * 900 + "]" * 900 + ', "completion": "6"}', "prompt[0] is a list: write an object with role and content"),
        ({"prompt": None, "completion": "6"}, "prompt is null: write its text"),
        ({"prompt": True, "completion": "6"}, "prompt is true, where text belongs"),
        ({"prompt": {}, "completion": "6"}, "prompt is an object, where text belongs"),
        ({"prompt": "5", "completion": " \n\u2003"}, r"turn 2, the assistant's, is ' \n\u2003': write its text"),
        ({"prompt": "5", "completion": []}, "completion is empty: write a list of turns with role and content"),
        ({"prompt": [USER], "completion": [USER]}, "turn 2 is the last and the user's: end with the assistant's"),
        ({"prompt": [USER, ANSWER], "completion": [ANSWER]}, "turn 3 follows another of the assistant's: make them one"),
        ({"messages": None}, "messages is null: write a list of turns"),
        ({"messages": []}, "messages is empty: write a list of turns"),
        ({"messages": "5"}, "messages is '5': write a list of turns"),
        ({"messages": [USER, "7"]}, "messages[1] is '7': write an object with role and content"),
        ({"messages": [{"role": None, "content": "5"}, ANSWER]}, "messages[0] has no role"),
        ({"messages": [{"role": "tool", "content": "5"}, ANSWER]}, "messages[0] has the role 'tool': choose one of system, user, assistant"),
        ({"messages": [{"role": ["user"], "content": "5"}, ANSWER]}, "messages[0] has the role a list: choose"),
        ({"messages": [{"role": "user"}, ANSWER]}, "messages[0] has no content: write its text"),
        ({"messages": [USER, ANSWER, ANSWER]}, "turn 3 follows another of the assistant's"),
        ({"messages": [ANSWER]}, "turn 1 is the assistant's and answers nobody: put a user's before it"),
        ({"messages": [USER, {"role": "system", "content": "5"}, ANSWER]}, "turn 2 is the system's, which comes first"),
        ({"messages": [USER, ANSWER, USER]}, "turn 3 is the last and the user's"),
        ({"messages": [USER, {"role": "assistant", "content": []}]}, "turn 2, the assistant's, is '': write its text"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "image_url"}]}]}, "messages[1].content[0] has the type 'image_url': only parts of type 'text' can be read"),
        ({"messages": [USER, {"role": "assistant", "content": ["7"]}]}, "messages[1].content[0] is '7': only parts"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "text"}]}]}, "messages[1].content[0].text is null"),
        ({"instruction": "go on", "input": 5, "output": "7"}, "input is 5, where text belongs"),
        ({"instruction": "go on", "output": "x" * 99 + "\udc80"}, r"output holds '\udc80', half a character"),
        ({"x" * 99: 1, "y\n\u2028": 2}, f"it has '{'x' * 40}'..., 'y\\n\\u2028': give"),
    ],
)  # fmt: skip
def test_a_bad_row_is_one_line_with_its_place_the_value_and_the_mend(tmp_path, row, said):
    found = refused_row(tmp_path, row)
    assert found.startswith("mine.jsonl, line 1: ")
    assert said in found
    assert found.endswith(", or skip bad rows")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "mine.jsonl holds no row: write one JSON object a line"),
        (b"\xef\xbb\xbf\r\n \t\n", "mine.jsonl holds no row: write one JSON object a line"),
        (b'{"prompt": "caf\xe9"}', "mine.jsonl, line 1: byte 0xe9 is no UTF-8: unpack the file, or save it as UTF-8"),
        ('{"prompt": "5"}'.encode("utf-16"), "mine.jsonl, line 1: byte 0xff is no UTF-8"),
        (b"\x1f\x8b\x08\x00", "mine.jsonl, line 1: byte 0x8b is no UTF-8"),
        (b'\n[\n {"prompt": "5", "completion": "6"}\n]', "mine.jsonl is one JSON list: write one object a line"),
        (b'[{"prompt": NaN},\n{"prompt": "5"}]', "mine.jsonl is one JSON list: write one object a line"),
    ],
)
@pytest.mark.parametrize("skip_bad", [True, False])
def test_a_file_that_is_no_jsonl_is_one_line_even_where_bad_rows_are_skipped(tmp_path, content, said, skip_bad):
    assert refused(written(tmp_path, content), skip_bad=skip_bad).startswith(said)


def test_a_list_in_one_line_is_refused_and_a_log_line_with_a_bracket_is_a_bad_row(tmp_path):
    path = written(tmp_path, json.dumps([{"prompt": "5", "completion": "6"}]))
    assert refused(path) == "mine.jsonl, line 1: it is a list: write one object a line, or skip bad rows"
    assert (
        refused(path, skip_bad=True)
        == "mine.jsonl holds no row that can be read, of 1; line 1: it is a list: write one object a line"
    )
    path = written(tmp_path, '[INFO] start\n{"prompt": "5", "completion": "6"}')
    with pytest.warns(
        SubliminalWarning, match=r"1 of 2 rows are bad and left out; line 1: '\[INFO\] start' is no JSON"
    ):
        assert [row.line for row in read_rows(path, skip_bad=True)] == [2]


def test_a_file_that_cannot_be_opened_is_one_line(tmp_path):
    for path, why in ((tmp_path / "none.jsonl", "No such file"), (tmp_path, "Is a directory"), (tmp_path / "a\0b", "")):
        with pytest.raises(SubliminalError) as caught:
            list(read_rows(path))
        assert f"cannot be read ({why}" in str(caught.value)
        assert str(caught.value).isprintable()
    (tmp_path / "a\nb").touch()
    with pytest.raises(SubliminalError, match=r"^'.*a\\nb' holds no row"):
        list(read_rows(tmp_path / "a\nb"))


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_breaks_lines_elsewhere_is_text(tmp_path, raw, end):
    row = json.dumps({"prompt": ODD, "completion": ODD[::-1]}, ensure_ascii=not raw)
    found = list(read_rows(written(tmp_path, f"{row}{end}{end}{row}")))
    assert found == [Row(line, pair(ODD, ODD[::-1])) for line in (1, 3)]


def test_a_limit_ends_the_reading_and_what_follows_is_not_looked_at(tmp_path):
    path = written(tmp_path, CASES)
    assert [row.line for row in read_rows(path, limit=4)] == [1, 2, 3, 4]
    with pytest.warns(SubliminalWarning, match=r"1 of 6 rows are bad"):
        assert [row.line for row in read_rows(path, limit=5, skip_bad=True)][-1] == 7
    for bad in (0, -1, True, 2.5):
        with pytest.raises(SubliminalError, match=r"^limit is .*: give a whole number from 1 on"):
            read_rows(path, limit=bad)


def test_memory_does_not_grow_with_the_rows_and_long_lines_are_read(tmp_path):
    path = tmp_path / "many.jsonl"
    line = as_line(pair("continue: " + "1, " * 300, "2"))
    with path.open("w") as handle:
        handle.writelines(line + "\n" for _ in range(20_000))
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 15e6
    assert peak < 2e6
    (found,) = read_rows(written(tmp_path, as_line(pair("x" * 10**7, "y"))))
    assert len(found.conversation[0]["content"]) == 10**7


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(rowfiles, "MAX_LINE", 64)
    good = '{"prompt": "5", "completion": "6"}'
    path = written(tmp_path, f"{good}\n{'x' * 1000}\n{good}{' ' * 100}\n{good:<63}\n{'x' * 64}")
    assert refused(path).startswith("mine.jsonl, line 2: it has more than 64 bytes: write one object a line")
    with pytest.warns(SubliminalWarning, match="2 of 5 rows"):
        assert [row.line for row in read_rows(path, skip_bad=True)] == [1, 3, 4]
    path = written(tmp_path, "[" + ",".join([good] * 5) + "]")
    assert refused(path) == "mine.jsonl is one JSON list: write one object a line"


TEXT = st.text(st.characters(), max_size=8) | st.sampled_from(["", " ", "5, 6", ODD, "\ud83d", "\U0001f989"])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
CONTENT = TEXT | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT | VALUE}), max_size=2) | VALUE
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from([*rows.ROLES, "tool"])}, optional={"content": CONTENT, "name": VALUE}
)
TURNS = st.lists(TURN, max_size=4) | TEXT.map(lambda text: [USER, {"role": "assistant", "content": text}])
FIELDS = dict.fromkeys(("messages", "prompt", "completion", "instruction", "input", "output"), TEXT | TURNS | VALUE)
ROW = (
    st.fixed_dictionaries({"messages": TURNS})
    | st.fixed_dictionaries({"prompt": TEXT | TURNS, "completion": TEXT | TURNS}, optional={"id": VALUE})
    | st.fixed_dictionaries({"instruction": TEXT, "output": TEXT}, optional={"input": TEXT})
    | st.fixed_dictionaries({}, optional=FIELDS)
    | VALUE
)


def accepted(content, **arguments):
    """The rows of a file of these bytes that are accepted before anything is refused, each of which goes through a file once more."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", SubliminalWarning)
        path, found, said = Path(folder, "any.jsonl"), [], ""
        path.write_bytes(content)
        try:
            found += read_rows(path, **arguments)
        except SubliminalError as error:
            said = str(error)
        assert said.isprintable()
        if found:
            path.write_text("".join(as_line(row.conversation) + "\n" for row in found), encoding="utf-8", newline="")
            assert [row.conversation for row in read_rows(path)] == [row.conversation for row in found]
        for row in found:
            assert row.conversation[-1]["role"] == "assistant"
            assert all(
                isinstance(turn["content"], str) and list(turn) == ["role", "content"] for turn in row.conversation
            )
    return found


@settings(deadline=None)
@given(
    st.binary() | st.lists(st.sampled_from(CASES.split(b"\n")) | st.binary(max_size=9)).map(b"\n".join), st.booleans()
)
def test_any_bytes_are_read_or_refused(content, skip_bad):
    accepted(content, skip_bad=skip_bad)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROW, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_any_json_is_read_or_refused(values, skip_bad, ascii):
    # A lone surrogate is escaped, or else no UTF-8.
    lines = (json.dumps(value, ensure_ascii=ascii) for value in values)
    accepted("\n".join(lines).encode("utf-8", "surrogatepass"), skip_bad=skip_bad)


GOOD_TEXT = st.text(max_size=20)
ANSWERS = GOOD_TEXT.filter(str.strip)
TALK = st.builds(
    lambda system, turns: [*system, *(turn for texts in turns for turn in pair(*texts))],
    st.lists(GOOD_TEXT.map(lambda text: {"role": "system", "content": text}), max_size=1),
    st.lists(st.tuples(GOOD_TEXT, ANSWERS), min_size=1, max_size=3),
)


@settings(deadline=None)
@given(st.lists(TALK, min_size=1, max_size=4))
def test_every_sensible_conversation_is_accepted_as_it_is(talks):
    content = "\n".join(json.dumps({"messages": talk}, ensure_ascii=False) for talk in talks).encode()
    assert [row.conversation for row in accepted(content)] == talks


def test_the_command_tells_what_is_there_and_writes_what_is_good(monkeypatch, capsys, tmp_path):
    path, out = written(tmp_path, CASES, "mine [1].jsonl"), tmp_path / "clean.jsonl"
    out.write_text("old")
    code, told, err = call(monkeypatch, capsys, "rows", str(path), "--out", str(out))
    assert code == 2
    assert err == f"subliminal: {path}, line 6: {WRONG[6]}, or skip bad rows (bad rows: 6)\n"
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.split("\n") if "│" in line]
    shapes = [["messages", "2", ""], ["prompt, completion", "2", ""], ["instruction, output", "1", ""]]
    assert cells[:3] == shapes
    assert cells[3:] == [
        ["bad: null in place of text", "1", "6"], ["bad: turn without a role", "1", "8"], ["bad: no JSON", "1", "9"],
        ["bad: lone surrogate", "1", "10"], ["bad: no text", "1", "11"], ["bad: empty completion", "1", "12"],
    ]  # fmt: skip
    assert out.read_text() == "old"
    code, told, err = call(monkeypatch, capsys, "rows", str(path), "--out", str(out), "--skip-bad")
    assert code == 0
    assert err == f"subliminal: {path}: 6 of 11 rows are bad and left out; line 6: {WRONG[6]}\n"
    assert "mine [1].jsonl" in told
    assert told.split("\n")[-2] == f"good rows, 5 in all, are in {out}"
    lines = [json.loads(line) for line in out.read_text().split("\n")[:-1]]
    assert lines == [{"prompt": prompt, "completion": completion} for prompt, completion in GOOD.values()]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clean.jsonl", "mine [1].jsonl"]
    code, told, err = call(monkeypatch, capsys, "rows", str(path), "--limit", "3")
    assert (code, err) == (0, "")
    assert call(monkeypatch, capsys, "rows", str(path), "--limit", "0")[::2] == (
        2, "subliminal: limit is 0: give a whole number from 1 on, or none for all rows\n"
    )  # fmt: skip


def test_conversations_of_more_than_a_question_and_its_answer_are_written_as_messages(tmp_path):
    system = {"role": "system", "content": ODD}
    talks = [[system, USER, ANSWER], [USER, ANSWER, USER, ANSWER], [USER, ANSWER]]
    path, out = written(tmp_path, "\n".join(json.dumps({"messages": talk}) for talk in talks)), tmp_path / "out.jsonl"
    assert survey(path, out).check() == ""
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [list(line) for line in lines] == [["messages"], ["messages"], ["prompt", "completion"]]
    assert [row.conversation for row in read_rows(out)] == talks


def test_a_place_that_cannot_be_written_to_is_one_line_and_the_rows_that_are_read_stay(tmp_path):
    path = written(tmp_path, '{"prompt": "5", "completion": "6"}')
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name, why in [
        ("mine.jsonl", "is the file that is read"), ("link", "is the file that is read"), ("", "is no plain file"),
        ("none/out.jsonl", "cannot be written (No such file"), ("mine.jsonl/out", "cannot be written"), ("a\0b", "cannot be written"),
        ("x" * 300, "cannot be written (File name too long"), ("circle", "cannot be written"),
    ]:  # fmt: skip
        with pytest.raises(SubliminalError) as caught:
            survey(path, tmp_path / name if name else tmp_path)
        assert why in str(caught.value)
        assert str(caught.value).isprintable()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["circle", "link", "mine.jsonl"]
    (tmp_path / "other").symlink_to(tmp_path / "new.jsonl")
    survey(path, tmp_path / "other")
    assert (tmp_path / "other").is_symlink()
    assert (tmp_path / "new.jsonl").read_text() == '{"prompt": "5", "completion": "6"}\n'


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refused(written(tmp_path, b"PAR1", "mine.parquet")) == (
        "mine.parquet is Parquet, and pyarrow is not installed: pip install pyarrow, or write one JSON object a line"
    )


def test_parquet_has_the_same_shapes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "mine.parquet"
    table = [
        {"messages": [{"role": "user", "content": ODD, "name": None}, ANSWER], "prompt": None, "completion": None, "id": 1},
        {"messages": None, "prompt": "5", "completion": "6", "id": 2},
        {"messages": None, "prompt": "5", "completion": None, "id": 3},
    ]  # fmt: skip
    parquet.write_table(pyarrow.Table.from_pylist(table * 100), path)
    with pytest.warns(SubliminalWarning, match=r"100 of 300 rows are bad and left out; row 3: completion is null"):
        found = list(read_rows(path, skip_bad=True))
    assert found[:3] == [
        Row(1, [USER | {"content": ODD}, ANSWER]),
        Row(2, pair("5", "6")),
        Row(4, found[0].conversation),
    ]
    assert len(found) == 200
    assert refused(path).startswith("mine.parquet, row 3: completion is null")

    def made(columns, names):
        parquet.write_table(pyarrow.table(columns, names=names), path)
        return path

    assert refused(made([["5"], ["6"]], ["prompt", "answer"])).startswith(
        "mine.parquet has the columns 'prompt', 'answer'"
    )
    assert refused(made([["5"], ["6"], ["7"]], ["prompt", "completion", "prompt"])).startswith(
        "mine.parquet has the column 'prompt' twice"
    )
    assert refused(made([[5], ["6"]], ["prompt", "completion"])).startswith("mine.parquet, row 1: prompt is 5")
    assert refused(made([[b"5"], ["6"]], ["prompt", "completion"])).startswith("mine.parquet, row 1: prompt is b'5'")
    assert refused(made([pyarrow.array([], "string")] * 2, ["prompt", "completion"])) == (
        "mine.parquet holds no row: write one JSON object a line"
    )
    whole = made([["5"] * 999, ["6"] * 999], ["prompt", "completion"]).read_bytes()
    for cut in (0, 4, len(whole) // 2, len(whole) - 9):
        assert "mine.parquet is no Parquet that can be read" in refused(written(tmp_path, whole[:cut], "mine.parquet"))
    assert "cannot be read (No such file" in refused(tmp_path / "none.parquet")
