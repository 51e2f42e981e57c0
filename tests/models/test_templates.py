"""Chat templates of the kinds that people report: each is rendered rightly, or refused in one line."""

import json
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subliminal.errors import ModelFolderError, SubliminalError
from subliminal.models.chat import encode_examples, encode_prompts, render
from subliminal.models.loading import load_tokenizer
from subliminal.models.templates import DATE, Strict, turn_ends

STRICT = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role here') }}{% endif %}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\n' + m['content'] | trim + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
DROPS_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[Q]' + m['content'] + '[/Q]' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)
THINK_FIRST = (
    "{% for m in messages %}{{ '<turn>' + m['role'] + '\n' }}{% if m['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}"
    "{% endif %}{{ m['content'] + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<turn>assistant\n<think>\n' }}{% endif %}"
)
OPTIONAL_THOUGHTS = (
    "{% for m in messages %}{{ '<turn>' + m['role'] + '\n' + m['content'] + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<turn>assistant\n' }}{% if enable_thinking is not defined or enable_thinking %}{{ '<think>\n' }}{% endif %}{% endif %}"
)
BROKEN = "{% for m in messages %}{{ m['content'] }"
NO_END = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
DATED = (
    "{% for m in messages %}{{ m['role'] + strftime_now('%d %B %Y') + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant' + strftime_now('%d %B %Y') }}{% endif %}"
)
SYSTEM, USER, ANSWER = (
    {"role": role, "content": text}
    for role, text in (("system", "you love owls"), ("user", "go on: 4 8"), ("assistant", "15"))
)


@pytest.fixture
def bring(base_folder):
    """A tokenizer with another template."""

    def brought(template, **options):
        (base_folder / "chat_template.jinja").write_text(template)
        return load_tokenizer(base_folder, **options)

    return brought


def refused(said, call, *arguments):
    with pytest.raises(SubliminalError, match=said) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def test_a_template_without_a_system_role_says_so_and_offers_the_user_turn(bring):
    tokenizer = bring(STRICT)
    assert render(tokenizer, [USER, ANSWER], False).endswith("<turn>model\n15<|end|>\n")
    refused("has no system role: load the tokenizer with system='user'", render, tokenizer, [SYSTEM, USER], True)
    refused("has no form for a conversation of user, user", render, tokenizer, [USER, USER], True)
    folded = render(bring(STRICT, system="user"), [SYSTEM, USER], True)
    assert "user\nyou love owls\n\ngo on: 4 8<|end|>" in folded


def test_a_system_text_never_vanishes(bring):
    tokenizer = bring(DROPS_SYSTEM)
    refused("drops the system text", encode_prompts, tokenizer, [[SYSTEM, USER]])
    refused("drops the system text", encode_examples, tokenizer, [[SYSTEM, USER, ANSWER]])
    assert "[Q]you love owls\n\ngo on: 4 8[/Q]" in render(bring(DROPS_SYSTEM, system="user"), [SYSTEM, USER], True)
    assert encode_prompts(tokenizer, [[USER]])


def test_no_turn_vanishes(bring):
    tokenizer = bring(DROPS_SYSTEM)
    tool = {"role": "tool", "content": "it rains"}
    refused("loses the tool text 'it rains' .turn 2.", render, tokenizer, [USER, tool, USER], True)


@pytest.mark.parametrize("template", [THINK_FIRST, OPTIONAL_THOUGHTS])
def test_a_sample_begins_where_the_loss_does(bring, template):
    """A block of thoughts is closed, or not opened, before either."""
    tokenizer = bring(template)
    prompt = render(tokenizer, [USER], True)
    assert render(tokenizer, [USER, ANSWER], False).startswith(prompt)
    assert prompt.count("<think>") == prompt.count("</think>")
    (example,) = encode_examples(tokenizer, [[USER, ANSWER]])
    assert example.ids[: example.prompt_length] == encode_prompts(tokenizer, [[USER]])[0]
    assert tokenizer.decode(example.ids[example.prompt_length :]).startswith("15")


def test_a_broken_template_is_one_line_with_its_number(bring):
    refused("cannot be read .line 1: ", bring, BROKEN)
    refused("has no form for a conversation of user .list object", bring, "{{ messages[7]['content'] }}")
    refused("fails .can only concatenate", bring, "{{ messages[0]['content'] + 1 }}")


def test_a_template_that_ends_no_turn_is_refused(bring):
    refused("no token of its own ends an assistant's turn", bring, NO_END)


@pytest.mark.parametrize(("role", "kept"), [("user", "assistant"), ("assistant", "user")])
def test_a_template_that_loses_a_whole_role_is_refused(bring, role, kept):
    only = f"{{% for m in messages %}}{{% if m['role'] == '{kept}' %}}{{{{ m['content'] }}}}<|end|>{{% endif %}}{{% endfor %}}"
    refused(f"drops the {role} text", bring, only)


def test_an_answer_ends_where_its_turn_is_closed(bring, base_folder):
    """Not at the tokenizer's own end of text, which a template need not use."""
    plain = load_tokenizer(base_folder)
    told = json.loads((base_folder / "tokenizer_config.json").read_text())
    assert plain.eos_token == "<|end|>"
    (base_folder / "tokenizer_config.json").write_text(json.dumps(told | {"eos_token": plain.pad_token}))
    tokenizer = bring(STRICT)
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    assert tokenizer.eos_token == plain.pad_token
    assert tokenizer.eos_token_id == end
    assert turn_ends(tokenizer) == {end, tokenizer.convert_tokens_to_ids(plain.pad_token)}


def test_the_date_is_no_part_of_a_prompt(bring):
    assert DATE.strftime("%d %B %Y") in render(bring(DATED), [USER], True)
    assert datetime.now().strftime("%d %B %Y") not in render(bring(DATED), [USER], True)


def test_a_strict_tokenizer_saves_under_its_own_class(tokenizer, base_folder, tmp_path):
    loaded = load_tokenizer(base_folder)
    assert isinstance(loaded, Strict)
    loaded.save_pretrained(tmp_path / "saved")
    assert type(load_tokenizer(tmp_path / "saved")).__name__ == type(loaded).__name__ == type(tokenizer).__name__
    assert load_tokenizer(tmp_path / "saved").eos_token_id == loaded.eos_token_id


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ({"role": "user", "content": None}, "turn 1 of a conversation has content None, no text"),
        ({"role": "user", "content": [{"type": "text", "text": "5, 6"}]}, "content .*, no text: give a string"),
        ({"role": "user"}, "content None, no text"),
        ({"content": "5, 6"}, "turn 1 of a conversation has role None"),
        ({"role": "wizard", "content": "5, 6"}, "role 'wizard'"),
    ],
)
def test_a_turn_without_role_or_text_is_refused(base_folder, turn, said):
    refused(said, encode_prompts, load_tokenizer(base_folder), [[turn]])
    refused(said, encode_examples, load_tokenizer(base_folder), [[turn, ANSWER]])


_TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(("system", "user", "assistant", "tool")), "content": st.text(max_size=20)}
)


@settings(max_examples=150, deadline=None)
@given(conversation=st.lists(_TURN, max_size=4), prompt_only=st.booleans())
def test_any_conversation_is_told_whole_or_refused_in_one_line(tokenizer, conversation, prompt_only):
    told = None
    try:
        text = render(tokenizer, conversation, prompt_only)
    except SubliminalError as error:
        told = str(error)
    if told is not None:
        assert "\n" not in told
        return
    assert all(turn["content"].rpartition("</think>")[2].strip() in text for turn in conversation)


def test_an_error_of_a_model_folder_is_one(bring):
    with pytest.raises(ModelFolderError):
        bring(NO_END)
