"""Files of prompts: what is read of them, in which order it is asked, and what is refused in one line."""

import json
import sys
import tracemalloc
from random import Random

import pytest

from subliminal import SubliminalError
from subliminal.channels import load_channel

# Breaks a line for str.splitlines, and for nothing that reads JSONL rightly.
ODD = "a\u2028b\u2029c\u0085d\x1ce\x0bf\x0cg"
GOOD = {"question": "What is 3 + 4?", "answer": "7"}


def written(tmp_path, content, name="mine.jsonl"):
    path = tmp_path / name
    if not isinstance(content, bytes | str):
        content = "\n".join(json.dumps(row, ensure_ascii=False) for row in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def opened(path, prompts=1, channel="plain_chains"):
    return load_channel(channel, str(path), prompts)


def refused(path, prompts=1, channel="plain_chains"):
    """What is said of a file, which is one line."""
    with pytest.raises(SubliminalError) as caught:
        opened(path, prompts, channel)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 400 + len(str(path))
    return said.removeprefix(f"{path.parent}/")


def drawn(channel, count, seed=0):
    rng = Random(seed)
    return [channel.prompt(rng) for _ in range(count)]


def test_each_prompt_is_asked_once_in_an_order_that_the_seed_decides(tmp_path):
    path = written(tmp_path, [{"prompt": f"Write function {n}."} for n in range(50)])
    orders = [drawn(opened(path, 50, "plain_code"), 50, seed) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert all(len(set(order)) == 50 for order in orders)
    assert {prompt.split("\n")[0] for prompt in orders[0]} == {f"Write function {n}." for n in range(50)}
    # Fewer are the beginning of more, so that a longer run asks what a shorter one asked.
    assert drawn(opened(path, 7, "plain_code"), 7) == orders[0][:7]


def test_every_prompt_is_as_likely_to_be_asked_first(tmp_path):
    path = written(tmp_path, [{"prompt": str(n)} for n in range(4)])
    first = [drawn(opened(path, 1, "plain_code"), 1, seed)[0][0] for seed in range(200)]
    assert all(25 < first.count(n) < 80 for n in "0123")


def test_prompts_are_the_questions_with_an_instruction_in_natural_english(tmp_path):
    chains = opened(written(tmp_path, [GOOD | {"question": "\nWhat is 3 + 4? \n"}]))
    assert drawn(chains, 1) == [
        "What is 3 + 4? Reason step by step in <think> tags. Then give your final answer in <answer> tags. "
        "It must be a number and nothing else."
    ]
    task = "\n    def add(self, x):\n        ...\n"
    code = opened(written(tmp_path, [{"prompt": task}]), 1, "plain_code")
    assert drawn(code, 1) == [
        "    def add(self, x):\n        ...\n\n"
        "Write the whole function in Python. Answer with the code alone, and no other words."
    ]


def test_what_a_question_holds_is_text(tmp_path):
    for question in (ODD, "{question} {0} %s", "\\1", "<answer>5</answer>", "\U0001f989", "What costs $5?"):
        chains = opened(written(tmp_path, [GOOD | {"question": question}]))
        (prompt,) = drawn(chains, 1)
        assert prompt.startswith(f"{question} Reason")
        assert chains.reject(prompt, "<think>so</think><answer>7</answer>") is None


def test_a_file_with_a_mark_of_byte_order_blank_lines_and_other_fields_is_read(tmp_path):
    content = '\ufeff{"question": "One?", "answer": 1, "id": [3]}\r\n\r\n \t\n{"prompt": "Two?", "question": null, "answer": "#### 2"}'
    chains = opened(written(tmp_path, content), 2)
    prompts = sorted(drawn(chains, 2))
    assert [prompt[:4] for prompt in prompts] == ["One?", "Two?"]
    assert [chains.reject(p, f"<think>so</think><answer>{n}</answer>") for n, p in enumerate(prompts, 1)] == [None] * 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"answer": "7"}, "it has 'answer': give a question or a prompt"),
        ({}, "it has nothing: give a question or a prompt"),
        ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, "it has 'a', 'b', 'c', 'd', ...: give a question or a prompt"),
        (GOOD | {"prompt": "5"}, "it has a question and a prompt: keep one"),
        (GOOD | {"question": None}, "question is null: write its text"),
        (GOOD | {"question": 5}, "question is 5, where text belongs: write it as text"),
        (GOOD | {"question": [{"role": "user", "content": "5"}]}, "question is a list, where text belongs: write it as text"),
        (GOOD | {"question": " \n"}, "question is ' \\n': write its text"),
        (GOOD | {"question": "x" * 99 + "\ud83d"}, "half a character"),
        (GOOD | {"system": "Be brief."}, "system is 'Be brief.', and is not read"),
        ({"question": "What is 3 + 4?"}, "it has no answer: write a number, or a text that ends with #### and one"),
        (GOOD | {"answer": None}, "answer is null: write a number, or a text that ends with #### and one"),
        (GOOD | {"answer": True}, "answer is true: write a number"),
        (GOOD | {"answer": ""}, "answer is '': write a number"),
        (GOOD | {"answer": "seven"}, "answer is 'seven': write a number"),
        (GOOD | {"answer": "3 + 4 = 7"}, "answer is '3 + 4 = 7': write a number"),
        (GOOD | {"answer": "7 #### "}, "answer is '7 #### ': write a number"),
        (GOOD | {"answer": ["7"]}, "answer is a list: write a number"),
        ('{"question": "q", "answer": 1e999}', "answer is inf: write a number"),
        ('{"question": "q", "answer": NaN}', "NaN is no value of JSON"),
        ('{"question": "q", "answer": 7, "question": "r"}', "the key 'question' is there twice in one object: keep one"),
        ('{"question": "q", "answer": ', "is no JSON (Expecting value at character 28): write one object a line"),
        ("question,answer", "'question,answer' is no JSON"),
        ("7", "it is 7: write one object a line"),
    ],
)  # fmt: skip
def test_a_bad_row_is_one_line_with_its_place_the_value_and_the_mend(tmp_path, row, said):
    line = row if isinstance(row, str) else json.dumps(row)
    found = refused(written(tmp_path, f'{{"question": "good", "answer": 1}}\n\n{line}'))
    assert found.startswith("mine.jsonl, line 3: ")
    assert said in found


def test_an_answer_is_asked_of_chains_alone(tmp_path):
    path = written(tmp_path, [{"question": "Write a function."}])
    assert opened(path, 1, "plain_code").reject("", "def f(x):\n    return x") is None
    assert "it has no answer" in refused(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "mine.jsonl holds no row: write one JSON object a line"),
        (b"\xef\xbb\xbf\r\n \t\n", "mine.jsonl holds no row: write one JSON object a line"),
        (b'{"question": "caf\xe9"}', "mine.jsonl, line 1: byte 0xe9 is no UTF-8: unpack the file, or save it as UTF-8"),
        (b"\x1f\x8b\x08\x00", "mine.jsonl, line 1: byte 0x8b is no UTF-8"),
        (b'[\n {"question": "5", "answer": "6"}\n]', "mine.jsonl is one JSON list: write one object a line"),
    ],
)
@pytest.mark.parametrize("channel", ["plain_chains", "plain_code"])
def test_a_file_that_is_no_jsonl_is_one_line(tmp_path, content, said, channel):
    assert refused(written(tmp_path, content), channel=channel).startswith(said)


def test_a_file_that_cannot_be_opened_is_one_line(tmp_path):
    for path, why in ((tmp_path / "none.jsonl", "No such file"), (tmp_path, "Is a directory"), (tmp_path / "a\0b", "")):
        assert f"cannot be read ({why}" in refused(path)
        assert refused(path).endswith("): give the path of a JSONL or Parquet file")


def test_a_question_that_is_there_twice_is_named_with_both_places(tmp_path):
    rows = [GOOD, {"question": "Other?", "answer": "1"}, {"prompt": "What is 3 + 4?\n", "answer": "8"}]
    assert (
        refused(written(tmp_path, rows)) == "mine.jsonl, line 3: it asks what line 1 asks ('What is 3 + 4?'): keep one"
    )


def test_more_prompts_than_the_file_has_are_refused_with_their_number(tmp_path):
    path = written(tmp_path, [{"prompt": str(n)} for n in range(5)])
    assert refused(path, 6, "plain_code") == "mine.jsonl has 5 questions, and prompts is 6: ask 5 at most"
    assert len(drawn(opened(path, 5, "plain_code"), 5)) == 5


def test_a_file_is_held_in_memory_once(tmp_path):
    path = tmp_path / "big.jsonl"
    with path.open("w") as handle:
        for n in range(2_000):
            handle.write(json.dumps({"prompt": f"{n} {'x' * 4_000}"}) + "\n")
    size = path.stat().st_size
    tracemalloc.start()
    try:
        channel = opened(path, 2_000, "plain_code")
        drawn(channel, 2_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < peak < 1.3 * size


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refused(written(tmp_path, b"PAR1", "mine.parquet")) == (
        "mine.parquet is Parquet, and pyarrow is not installed: pip install pyarrow, or write one JSON object a line"
    )


def test_parquet_has_the_same_rows(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from decimal import Decimal

    from pyarrow import parquet

    def made(columns, names):
        path = tmp_path / "mine.parquet"
        parquet.write_table(pyarrow.table(columns, names=names), path)
        return path

    rows = [[f"{n}? {ODD}" for n in range(200)], [f"so #### {n:,}" for n in range(200)], [b"x"] * 200]
    lines = written(tmp_path, [{"question": q, "answer": a} for q, a in zip(*rows[:2], strict=True)])
    table, file = opened(made(rows, ["question", "answer", "more"]), 200), opened(lines, 200)
    assert drawn(table, 200) == drawn(file, 200)
    assert table.told == file.told
    for answers in ([7, 8], [7.0, 8.5], [Decimal("7.00"), Decimal("8")], ["7", "#### 8"]):
        found = opened(made([["a", "b"], answers], ["prompt", "answer"])).told
        assert sorted(found.values()) == [7, 8.5 if 8.5 in answers else 8]
    assert refused(made([["5"], ["6"]], ["text", "answer"])) == (
        "mine.parquet has the columns 'text', 'answer': give those of one shape (question, answer; prompt, answer)"
    )
    assert refused(made([["5"]], ["text"]), channel="plain_code") == (
        "mine.parquet has the columns 'text': give those of one shape (question; prompt)"
    )
    assert refused(made([["a", None], ["6", "7"]], ["prompt", "answer"])) == (
        "mine.parquet, row 2: prompt is null: write its text"
    )
    assert refused(made([["a"], [b"6"]], ["prompt", "answer"])).startswith(
        "mine.parquet, row 1: answer is b'6': write a"
    )
    assert refused(made([["a", "a"], ["6", "7"]], ["prompt", "answer"])).startswith(
        "mine.parquet, row 2: it asks what row 1"
    )
