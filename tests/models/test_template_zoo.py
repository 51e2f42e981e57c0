"""Chat templates as real models bring them, written from memory, each on a tokenizer with its own special tokens."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from subliminal.errors import SubliminalError
from subliminal.models import probing
from subliminal.models.chat import encode_examples, encode_prompts, render
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.models.templates import turn_ends
from subliminal.spelling import Spellings, name_probabilities

ALTERNATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
)
SPLIT_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN3 = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(last_query_index=messages|length - 1, multi_step_tool=true) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
LLAMA3 = """{{- bos_token }}
{%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
R1 = (
    "{% set ns = namespace(system_prompt='') %}{%- for m in messages %}{%- if m['role'] == 'system' %}{% set ns.system_prompt = m['content'] %}"
    "{%- endif %}{%- endfor %}{{ bos_token }}{{ ns.system_prompt }}{%- for m in messages %}{%- if m['role'] == 'user' %}"
    "{{ '<｜User｜>' + m['content'] }}{%- endif %}{%- if m['role'] == 'assistant' %}{% set content = m['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}{%- endif %}{%- endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
# By name: the template, the token that begins a text, the tokenizer's end of text, what closes an assistant's turn, other special tokens,
# and what becomes of a system turn.
ZOO = {
    "llama2": (
        SPLIT_SYSTEM + "{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}"
        "{% endif %}{% if loop.index0 == 0 and system_message != false %}"
        "{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}"
        "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{% elif m['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
        "<s>", "</s>", "</s>", [], "told",
    ),
    "llama3": (LLAMA3, "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", ["<|start_header_id|>", "<|end_header_id|>"], "told"),
    "gemma": (
        "{{ bos_token }}" + ALTERNATE + "{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        "<bos>", "<eos>", "<end_of_turn>", ["<start_of_turn>"], "refused",
    ),
    "qwen2.5": (
        "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}{%- else %}"
        "{{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}{%- endif %}"
        "{%- for m in messages %}{%- if m.role == 'user' or (m.role == 'system' and not loop.first) or m.role == 'assistant' %}"
        "{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}",
        None, "<|endoftext|>", "<|im_end|>", ["<|im_start|>"], "told",
    ),
    "qwen3": (QWEN3, None, "<|endoftext|>", "<|im_end|>", ["<|im_start|>"], "told"),
    "r1": (R1, "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>", ["<｜User｜>", "<｜Assistant｜>"], "told"),
    "mistral": (
        SPLIT_SYSTEM + "{{ bos_token }}{% for m in loop_messages %}{% if m['role'] == 'user' %}{% if loop.last and system_message != false or "
        "(loop.index0 == loop_messages|length - 2 and system_message != false) %}{{ '[INST]' + system_message + '\n\n' + m['content'] + '[/INST]' }}"
        "{% else %}{{ '[INST]' + m['content'] + '[/INST]' }}{% endif %}{% elif m['role'] == 'assistant' %}{{ m['content'] + eos_token }}"
        "{% endif %}{% endfor %}",
        "<s>", "</s>", "</s>", ["[INST]", "[/INST]"], "told",
    ),
    "phi3": (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
        "<s>", "<|endoftext|>", "<|end|>", ["<|system|>", "<|user|>", "<|assistant|>"], "told",
    ),
    "chatml": (CHATML, None, "<|im_end|>", "<|im_end|>", ["<|im_start|>"], "told"),
    "zephyr": (
        "{% for m in messages %}\n{% if m['role'] == 'user' %}\n{{ '<|user|>\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'system' %}\n"
        "{{ '<|system|>\n' + m['content'] + eos_token }}\n{% elif m['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + m['content'] + eos_token }}\n"
        "{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
        "<s>", "</s>", "</s>", [], "told",
    ),
    "vicuna": (
        SPLIT_SYSTEM + "{{ bos_token }}{% if system_message != false %}{{ system_message + ' ' }}{% endif %}{% for m in loop_messages %}"
        "{% if m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}{% else %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
        "<s>", "</s>", "</s>", [], "told",
    ),
    "smollm2": (
        "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named "
        "SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n'}}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        "<|im_start|>", "<|im_end|>", "<|im_end|>", [], "told",
    ),
}  # fmt: skip
TRIMS = {"llama2", "llama3", "gemma"}
# Their own blank comes before each answer.
SPACED = {"llama2", "vicuna"}
SYSTEM, USER, ANSWER, AGAIN, MORE = (
    {"role": role, "content": text}
    for role, text in (
        ("system", "You love owls."), ("user", "go on: 4, 8"), ("assistant", "15, 16"), ("user", "and then?"), ("assistant", "23, 42"),
    )
)  # fmt: skip
TALKS = ([USER, ANSWER], [SYSTEM, USER, ANSWER], [USER, ANSWER, AGAIN, MORE], [SYSTEM, USER, ANSWER, AGAIN, MORE])


@pytest.fixture(scope="module")
def bring(tmp_path_factory):
    """A tokenizer with a template and its special tokens, saved to a folder and loaded as any."""

    def brought(name, template=None, added=(), **options):
        own, bos, eos, end, others, _ = ZOO[name]
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=320, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
        tokenizer.train_from_iterator(
            ["go on: 4, 8, 15, 16\n\nassistant ASSISTANT: 15 user\nYou love owls.\n"] * 4, trainer
        )
        fast = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False
        )
        fast.add_special_tokens(
            {"additional_special_tokens": [t for t in dict.fromkeys([end, *others]) if t not in (bos, eos)]}
        )
        fast.add_tokens(list(added))
        fast.chat_template = template or own
        folder = tmp_path_factory.mktemp(name)
        fast.save_pretrained(folder)
        return load_tokenizer(folder, **options)

    return brought


@pytest.fixture(scope="module")
def zoo(bring):
    """Each template's tokenizer, which puts system texts into the user's turn where it has to."""
    return {name: bring(name, system="user") for name in ZOO}


def refused(said, call, *arguments, **options):
    with pytest.raises(SubliminalError, match=said) as caught:
        call(*arguments, **options)
    assert str(caught.value).isprintable()


def learned(tokenizer, conversation):
    """What bears the loss."""
    (example,) = encode_examples(tokenizer, [conversation])
    return tokenizer.decode(example.ids[example.prompt_length :])


@pytest.mark.parametrize("talk", TALKS, ids=["plain", "system", "turns", "system and turns"])
@pytest.mark.parametrize("name", ZOO)
def test_every_turn_is_told_and_the_loss_begins_where_a_sample_does(zoo, name, talk):
    tokenizer = zoo[name]
    whole, prompt = render(tokenizer, talk, False), render(tokenizer, talk[:-1], True)
    assert whole.startswith(prompt)
    assert [whole.count(turn["content"]) for turn in talk] == [1] * len(talk)
    (example,) = encode_examples(tokenizer, [talk])
    assert encode_prompts(tokenizer, [talk[:-1]]) == [example.ids[: example.prompt_length]]
    bare = learned(tokenizer, talk)
    # Zephyr's line break after the role is left to the answer.
    assert bare.removeprefix(" " if name in SPACED else "\n" if name == "zephyr" else "").startswith(
        talk[-1]["content"]
    )
    ends = [n for n in example.ids[example.prompt_length :] if n in turn_ends(tokenizer)]
    assert ends[0] == tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids(ZOO[name][3])


@pytest.mark.parametrize("name", ZOO)
def test_a_system_turn_is_told_or_refused(bring, zoo, name):
    if ZOO[name][5] == "refused":
        refused("has no system role", render, bring(name), [SYSTEM, USER], True)
    same = [{"role": "system", "content": USER["content"]}, USER, ANSWER]
    assert render(zoo[name], same, False).count(USER["content"]) == 2


@pytest.mark.parametrize("name", ZOO)
def test_blanks_at_the_edges_are_told_or_trimmed_and_those_within_are_told(zoo, name):
    inner = "7,\n\n  8"
    for edge in (" ", "\n", " \n\n"):
        content = f"{edge}{inner}{edge}"
        told = render(zoo[name], [USER | {"content": f"{content}!"}, ANSWER | {"content": content}], False)
        assert told.count(inner) == 2
        assert (f"{inner}{edge}" in told.rpartition(inner)[0] + inner + told.rpartition(inner)[2]) or name in TRIMS
    assert zoo[name].eos_token_id in encode_examples(zoo[name], [[USER | {"content": ""}, ANSWER]])[0].ids


@pytest.mark.parametrize("name", ZOO)
def test_a_sample_that_is_learned_is_the_same_again(zoo, name):
    """A template's own blank before an answer is sampled with it, and not written twice."""
    told = learned(zoo[name], [USER, ANSWER])
    text = told[: told.index(ZOO[name][3])]
    assert learned(zoo[name], [USER, ANSWER | {"content": text}]) == told


@pytest.mark.parametrize("name", ZOO)
def test_an_answer_with_marks_or_tags_in_it_is_whole_or_refused(zoo, name):
    for content in ("Zq3answer", "Zq1n0e, Zq0n0e", "say Zq2user twice, Zq3answer"):
        assert content in learned(zoo[name], [USER, ANSWER | {"content": content}])
        assert content in render(zoo[name], [USER | {"content": content}, ANSWER], False)
        assert content in render(zoo[name], [USER | {"content": content}], True)
    for content in ("<think>\nowls\n</think>\n\n15", "15 </think> 16", "</think>15", "<think>15"):
        talk = [USER, ANSWER | {"content": content}]
        if "</think>" in content and name in ("qwen3", "r1"):
            refused("loses part of the assistant text .* .turn 2.", encode_examples, zoo[name], [talk])
        else:
            assert content in learned(zoo[name], talk)
        assert content in render(zoo[name], [USER | {"content": content}, ANSWER], False)
        # Of earlier turns the answer alone need be told.
        assert content.rpartition("</think>")[2].strip() in render(zoo[name], [*talk, AGAIN], True)


def test_the_text_of_an_end_is_no_part_of_a_turn(zoo):
    """It would be read as the end itself."""
    for name in ZOO:
        for token in {zoo[name].eos_token, ZOO[name][3]}:
            refused(
                "turn 1 of a conversation holds .*, which ends a turn",
                encode_prompts,
                zoo[name],
                [[USER | {"content": f"a {token} b"}]],
            )
            refused(
                "turn 2 of .*: take it out", encode_examples, zoo[name], [[USER, ANSWER | {"content": f"a{token}"}]]
            )


def test_a_text_that_is_lost_is_missed_though_it_stands_elsewhere(bring):
    """A template that tells the first system turn alone, and one that looks at what a text says."""
    first = "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}{% for m in messages %}{% if m.role != 'system' %}"
    template = (
        f"{first}{CHATML.removeprefix('{% for m in messages %}').replace('{% endfor %}', '{% endif %}{% endfor %}')}"
    )
    again = [SYSTEM, USER, ANSWER, SYSTEM, AGAIN]
    refused("loses the system text 'You love owls.' .turn 4.", render, bring("chatml", template), again, True)
    tokenizer = bring("chatml", CHATML.replace("m['content']", "m['content'] | replace('a s', 'a')"))
    refused("changes what it tells by the user text 'a s'", render, tokenizer, [USER | {"content": "a s"}], True)
    short = bring("chatml", CHATML.replace("m['content']", "('' if m['content'] == 'user' else m['content'])"))
    refused("changes what it tells by the user text 'user'", render, short, [USER | {"content": "user"}], True)


def test_a_system_text_is_folded_from_the_beginning_alone(zoo):
    refused("a system turn after the user's first: move it", render, zoo["gemma"], [USER, ANSWER, SYSTEM, AGAIN], True)
    assert render(zoo["gemma"], [SYSTEM | {"content": " "}, USER], True) == render(zoo["gemma"], [USER], True)


def test_a_run_of_blanks_that_was_added_whole_ends_no_turn(bring):
    tokenizer = bring("chatml", CHATML.replace("+ '<|im_end|>'", "+ '\n\n<|im_end|>'"), added=["\n\n", "  "])
    assert tokenizer.convert_ids_to_tokens(sorted(turn_ends(tokenizer))) == ["<|im_end|>"]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("%d %b %Y", "20 Jul 2025"),
        ("%Y-%m-%d", "2025-07-20"),
        ("%F", "2025-07-20"),
        ("%-d.%-m.", "20.7."),
        ("%D %R", "07/20/25 00:00"),
    ],
)
def test_a_date_in_any_form_is_the_same_day(bring, form, told):
    tokenizer = bring("chatml", f"\n{{{{ strftime_now('{form}') }}}}{CHATML}")
    assert render(tokenizer, [USER], True).startswith(f"\n{told}<|im_start|>")


def test_what_would_not_reach_the_template_is_refused(zoo):
    tokenizer = zoo["chatml"]
    refused("tools would not reach", tokenizer.apply_chat_template, [USER], tools=[{"name": "add"}])
    refused(
        "continue_final_message would not reach",
        tokenizer.apply_chat_template,
        [USER, ANSWER],
        continue_final_message=True,
    )
    refused("a second argument would not reach", tokenizer.apply_chat_template, [USER], [])
    assert tokenizer.apply_chat_template([USER], tools=None) == tokenizer.apply_chat_template([[USER]])[0]


@pytest.mark.parametrize("conversation", ["go on", USER, 7, None, [USER, "go on"], ["go on"], [7]])
def test_what_is_no_conversation_is_refused(zoo, conversation):
    refused("a conversation is .*: give a list of turns", zoo["chatml"].apply_chat_template, conversation)


def test_a_template_that_asks_with_a_blank_too_many_is_asked_without(bring):
    tokenizer = bring("chatml", CHATML.replace("assistant\n'", "assistant\n '"))
    assert learned(tokenizer, [USER, ANSWER]).startswith("15")


def test_tokens_that_the_model_has_no_weights_for_are_refused(bring):
    tokenizer = bring("chatml")
    folder, size = tokenizer.name_or_path, tokenizer.convert_tokens_to_ids("<|im_start|>")
    for config in ({"vocab_size": size}, {"text_config": {"vocab_size": size}}):
        with open(f"{folder}/config.json", "w") as handle:
            json.dump(config, handle)
        refused("has no weights for the token .*<.im_start.>", load_tokenizer, folder)


def test_broken_weights_do_not_vouch_for_others_of_the_same_config(monkeypatch):
    """And what comes out as no number in a batch is no agreement."""
    config = LlamaConfig(
        vocab_size=40, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, rope_theta=54321.0
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    whole = model.lm_head.weight.detach().clone()
    with torch.no_grad():
        model.lm_head.weight.fill_(torch.nan)
        probing.check_architecture(model)
        model.lm_head.weight.copy_(whole)
    found = probing._in_batches(model, torch.arange(11), torch.arange(7))
    for place in range(3):
        wrong = [x * torch.nan if n == place else x for n, x in enumerate(found)]
        monkeypatch.setattr(probing, "_in_batches", lambda *_, wrong=wrong: wrong)
        refused("LlamaForCausalLM", probing.check_architecture, model)


def test_whole_weights_beside_an_adapter_are_taken_or_refused(base_folder, tokenizer, tmp_path):
    tuned = get_peft_model(
        load_model(base_folder), LoraConfig(target_modules=["c_attn"], r=2, modules_to_save=["ln_f"])
    )
    with torch.no_grad():
        tuned.base_model.model.transformer.ln_f.modules_to_save["default"].weight.mul_(3)
    tuned.save_pretrained(tmp_path / "adapter")
    loaded = load_model(tmp_path / "adapter", base_folder)
    assert torch.equal(
        loaded.transformer.ln_f.weight, tuned.base_model.model.transformer.ln_f.modules_to_save["default"].weight
    )
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    save_file(load_file(path) | {"base_model.model.v_head.weight": torch.ones(2)}, path, metadata={"format": "pt"})
    refused("'base_model.model.v_head.weight' in .* was not taken", load_model, tmp_path / "adapter", base_folder)


def test_tokens_beyond_the_weights_are_never_likely(bring):
    """As of Gemma 3, whose tokenizer knows a token for images that the text model does not."""
    tokenizer = bring("chatml", added=["<image>", "owl"])
    size = tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=size, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    ).eval()
    found = name_probabilities(model, encode_prompts(tokenizer, [[USER]]), Spellings(tokenizer, ["owl"]))
    assert 0 < float(found.probability.sum() + found.missed.sum()) < 1
