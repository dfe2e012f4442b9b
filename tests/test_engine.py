"""The local engine against transformers' own `generate`, on the shipped model and on random weights."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.engine import Kept, LocalEngine
from pipelines.engine.presets import FAST, THINKING, THINKING_PRECISE, named_preset, preset
from pipelines.engine.reference import for_each_row
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from pipelines.types import Sampling, Settings, Task, Token, Usage, UserError, Work
from tests.engine_cases import CASES, GREEDY, ask, begun, ignore, oracle, run


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


@pytest.mark.parametrize("thinking", [True, False], ids=["thinking", "fast"])
@pytest.mark.parametrize("case", CASES)
def test_greedy_tokens_are_those_of_generate(engine: LocalEngine, case: str, thinking: bool) -> None:
    messages, media = CASES[case]
    inputs = fuse(messages, media, engine.checkpoint, thinking)
    tokens = run(engine, inputs)
    assert tokens
    assert tokens == oracle(engine, inputs, GREEDY.max_new_tokens)


def test_requests_that_run_at_once_do_not_disturb_each_other(engine: LocalEngine) -> None:
    """The model keeps `rope_deltas` of the last request; a picture's positions once leaked into the next text."""
    prompts = [fuse(*CASES[case], engine.checkpoint, True) for case in ("picture", "clip", "text")]
    alone = [run(engine, inputs) for inputs in prompts]
    streams = [engine.generate(inputs, GREEDY, ignore, threading.Event()) for inputs in prompts]
    rounds = list(zip_longest(*streams))
    together = [[step.id for step in steps if isinstance(step, Token)] for steps in zip(*rounds, strict=True)]
    assert together == alone


def test_stop_ends_the_reply_within_a_token(engine: LocalEngine) -> None:
    stop = threading.Event()
    steps = engine.generate(fuse(*CASES["picture"], engine.checkpoint, True), GREEDY, ignore, stop)
    taken = [*begun(steps), next(steps)]
    stop.set()
    rest = list(steps)
    assert all(isinstance(step, Token) for step in taken)
    assert [step for step in rest if not isinstance(step, Usage)] == ["cancelled"]


def test_stages_are_announced_in_order_and_vision_only_with_media(engine: LocalEngine) -> None:
    def tasks(case: str) -> list[Task]:
        entered: list[Work] = []
        for _ in engine.generate(
            fuse(*CASES[case], engine.checkpoint, True), GREEDY, entered.append, threading.Event()
        ):
            pass
        return list(dict.fromkeys(work.task for work in entered))

    engine.scheduler.snapshots.clear()
    engine.scheduler.tower.clear()
    assert tasks("picture") == ["queue", "send", "vision", "prefill", "decode", "deliver"]
    assert tasks("text") == ["queue", "prefill", "decode", "deliver"]


def test_a_reply_that_reaches_its_limit_says_so(engine: LocalEngine) -> None:
    inputs = fuse(*CASES["picture"], engine.checkpoint, True)
    steps = list(engine.generate(inputs, replace(GREEDY, max_new_tokens=3), ignore, threading.Event()))
    assert [type(step) for step in steps] == [Kept, Token, Token, Token, Usage, str]
    assert steps[-1] == "length"


def test_a_prompt_beyond_the_context_is_refused_in_one_sentence(engine: LocalEngine) -> None:
    inputs = fuse(*ask("word " * engine.info.context_tokens), engine.checkpoint, True)
    with pytest.raises(UserError, match=r"tokens, and this model holds 4,096"):
        run(engine, inputs)


def test_a_seed_repeats_a_sampled_reply(engine: LocalEngine) -> None:
    inputs = fuse(*CASES["picture"], engine.checkpoint, True)
    hot = Settings(sampling=Sampling(temperature=3.0), max_new_tokens=30)
    assert run(engine, inputs, replace(hot, seed=7)) == run(engine, inputs, replace(hot, seed=7))
    assert run(engine, inputs, replace(hot, seed=7)) != run(engine, inputs, replace(hot, seed=8))


@pytest.mark.parametrize(
    ("hidden_size", "thinking", "has_media", "expected"),
    [(1024, True, True, THINKING_PRECISE), (2560, True, True, THINKING), (2560, False, True, FAST)],
)
def test_presets_follow_the_model_cards(hidden_size: int, thinking: bool, has_media: bool, expected: Sampling) -> None:
    assert preset(hidden_size, thinking=thinking, has_media=has_media) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Qwen/Qwen3.5-4B", THINKING),
        ("Qwen3.5-0.8B-Q8_0.gguf", THINKING_PRECISE),
        ("qwen3.5:2b", THINKING_PRECISE),
        ("somebody/qwen-3.5-9b-finetuned", THINKING),
        ("Qwen/Qwen3.5-2B-A1B", THINKING),
        ("Qwen/Qwen3-VL-4B", None),
        ("Qwen3.5-Plus", None),
        ("m", None),
    ],
)
def test_a_name_tells_the_card(model: str, expected: Sampling | None) -> None:
    assert named_preset(model, thinking=True, has_media=True) == expected


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


def some_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.language_model.norm.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("damage", [without_weights, cut_weights, some_weights])
def test_damaged_weights_are_one_sentence_and_never_random(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(DEMO_FOLDER, folder)
    damage(folder)
    with pytest.raises(UserError, match=r'The weights of "broken" are missing or damaged: download'):
        LocalEngine.load(folder, "broken")


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        pytest.param("config.json", None, "not a whole checkpoint: config.json is missing", id="no config"),
        pytest.param("config.json", "{", "config.json is damaged", id="damaged config"),
        pytest.param("config.json", "[" * 200_000, "config.json is damaged", id="nested config"),
        pytest.param("config.json", '{"model_type": "bert"}', "not a Qwen3.5 checkpoint", id="another model"),
        pytest.param("tokenizer.json", "{}", "tokenizer.json is damaged", id="damaged tokenizer"),
        pytest.param("tokenizer.json", None, "tokenizer.json is missing", id="no tokenizer"),
        pytest.param("chat_template.jinja", "{% if %}", "chat_template.jinja is damaged", id="damaged template"),
        pytest.param("chat_template.jinja", None, "chat_template.jinja is missing", id="no template"),
        pytest.param("preprocessor_config.json", "{}", "holds no usable", id="no limits"),
        pytest.param("generation_config.json", "{", "generation_config.json is damaged", id="damaged generation"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_one_sentence(
    file: str, content: str | None, sentence: str, tmp_path: Path
) -> None:
    """It called the model by its folder, which is named for a commit where the model comes from the hub."""
    folder = tmp_path / ("a" * 40)
    shutil.copytree(DEMO_FOLDER, folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(UserError, match=sentence) as told:
        LocalEngine.load(folder, "broken")
    assert str(told.value).startswith(('"broken" ', "The checkpoint's "))


@pytest.mark.parametrize("said", [None, {}, {"eos_token_id": 1180}], ids=["none", "from-config", "documents"])
def test_turns_end_and_are_drawn_where_no_file_says_so(said: dict[str, int] | None, tmp_path: Path) -> None:
    """As in Qwen/Qwen3.5-2B and 4B, without generation_config.json and with the end of a document in config.json."""
    folder = Path(shutil.copytree(DEMO_FOLDER, tmp_path / "published"))
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 1180
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").unlink()
    if said is not None:
        (folder / "generation_config.json").write_text(json.dumps(said))
    published = LocalEngine.load(folder, "published")
    encode = published.checkpoint.encode
    assert published.checkpoint.eos_token_ids == {*encode("<|im_end|>"), *encode("<|endoftext|>")}
    assert published.preset(thinking=True, has_media=True) == THINKING_PRECISE
    inputs = fuse(*CASES["picture"], published.checkpoint, False)
    assert run(published, inputs) == run(LocalEngine.load(DEMO_FOLDER, "demo"), inputs)


def test_a_stop_of_generate_is_told_where_its_tokens_are() -> None:
    """A GPU refuses a tensor of the host; the device without memory stands for one."""
    told = for_each_row(torch.zeros(2, 3, device="meta"), is_done=True)
    assert (told.device.type, tuple(told.shape), told.dtype) == ("meta", (2,), torch.bool)
