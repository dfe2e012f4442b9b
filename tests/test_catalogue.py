"""The catalogue: what each model is counted to, what fits where, and which one is taken."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from transformers import Qwen3_5MoeConfig, Qwen3_5MoeForConditionalGeneration

from benchmarks.fits import SHAPES, cache_bytes, count_parameters
from pipelines.__main__ import main
from pipelines.catalogue.choosing import choose
from pipelines.catalogue.device import Device
from pipelines.catalogue.forecast import bytes_per_s
from pipelines.catalogue.known import DEMO_FOLDER, HUB_IDS, KNOWN, KnownModel, model_in
from pipelines.catalogue.shape import shape_of
from pipelines.engine import LocalEngine, placement, roofline
from pipelines.engine.placement import SPREAD, choose_placement, must_spread
from pipelines.models import Running, load_engine, shown_name
from pipelines.page.models import is_shipped
from pipelines.present.offers import offers
from pipelines.types import UserError, WeightFormat

GB = 10**9
BY_NAME = {model.name: model for model in KNOWN}


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_are_counted_as_transformers_builds_them(name: str) -> None:
    assert BY_NAME[name].shape.parameters == count_parameters(SHAPES[name])


def test_the_shipped_model_is_counted_from_its_config() -> None:
    shape = model_in(DEMO_FOLDER, "demo").shape
    with safe_open(DEMO_FOLDER / "model.safetensors", "pt") as weights:
        counted = sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118 - no mapping
    assert shape.parameters == counted


def test_a_model_of_experts_is_counted_with_all_and_with_the_active_ones() -> None:
    text = {
        "vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "head_dim": 32,
        "num_key_value_heads": 2, "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 16,
        "linear_value_head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48,
        "shared_expert_intermediate_size": 40, "tie_word_embeddings": False,
    }  # fmt: skip
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 64}
    config = Qwen3_5MoeConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)
    with torch.device("meta"):
        model = Qwen3_5MoeForConditionalGeneration(config)
    shape = shape_of(json.loads(config.to_json_string()))
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.parameters - shape.active_parameters == 4 * 6 * 3 * 64 * 48


@pytest.mark.parametrize("name", SHAPES)
def test_memory_grows_with_visitors_and_shrinks_with_bits(name: str) -> None:
    shape = BY_NAME[name].shape
    assert shape.visitor_bytes(8192, "bf16") == pytest.approx(cache_bytes(SHAPES[name], 8192), rel=0.02)
    one, four = (shape.memory_bytes("bf16", 8192, count) for count in (1, 4))
    assert four - one == 3 * shape.visitor_bytes(8192, "bf16")
    assert shape.weight_bytes("fp32") == 2 * shape.weight_bytes("bf16") == 4 * shape.parameters
    assert shape.weight_bytes("int8") < 0.9 * shape.weight_bytes("bf16")
    assert 2 * shape.parameters < shape.download_bytes < 2.15 * shape.parameters


@pytest.mark.parametrize(
    ("free_gb", "here", "chosen"),
    [
        pytest.param(80, {"0.8B", "9B"}, ("9B", "full"), id="the largest that is here"),
        pytest.param(80, {"0.8B"}, ("0.8B", "full"), id="never one that is not here"),
        pytest.param(80, set(), ("demo", "full"), id="none is here"),
        pytest.param(16, {"0.8B", "4B", "9B"}, ("9B", "int8"), id="in eight bits"),
        pytest.param(9, {"0.8B", "4B", "9B"}, ("4B", "int8"), id="the next"),
        pytest.param(1, {"0.8B", "4B", "9B"}, ("demo", "full"), id="none fits"),
    ],
)
def test_auto_takes_the_largest_that_is_here_and_fits(free_gb: int, here: set[str], chosen: tuple[str, str]) -> None:
    def is_here(model: KnownModel) -> Path | None:
        return Path() if model.name in here else None

    assert choose(Device("GPU", free_gb * GB), is_here) == chosen


def test_the_table_tells_every_model(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that one is in had no name."""
    monkeypatch.chdir(DEMO_FOLDER)
    assert main(["models", "--tokens", "4096", "--visitors", "4", "--also", "."]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["model", "parameters", "download", "fp32"]
    assert [row.split()[0] for row in rows[:6]] == ["demo", *HUB_IDS, "demo-model"]
    assert {"tok/s", "thinks"} <= set(head.split())
    assert float(rows[1].split()[-4]) > 0
    presets = [row.strip() for row in rows if "thinking with media" in row]
    assert presets[0].startswith(
        "0.8B, 2B, demo-model: thinking with media 0.6 / 0.95 / 20 / 0; thinking 1 / 0.95 / 20 / 1.5;"
    )
    assert presets[1].startswith("4B, 9B: thinking with media 1 / 0.95 / 20 / 1.5;")
    assert "4 visitors of 4,096 tokens" in rows[-1]


def test_a_step_reads_what_the_engine_counts_of_the_loaded_model() -> None:
    shape, best = model_in(DEMO_FOLDER, "demo").shape, LocalEngine.load(DEMO_FOLDER, "demo").roofline()
    counted = best.weight_bytes + best.state_bytes + 100 * best.token_bytes
    assert shape.step_bytes("fp32", 100) == pytest.approx(counted, rel=0.01)
    large = BY_NAME["0.8B"].shape
    assert large.step_bytes("int8", 0) < 0.6 * large.step_bytes("bf16", 0) < 0.31 * large.step_bytes("fp32", 0)


@pytest.mark.parametrize("weights", ["int8", "fp8"])
def test_memory_and_speed_are_told_before_a_large_model_is_loaded(weights: WeightFormat, tmp_path: Path) -> None:
    """The folder has the config of a large one and nothing else: what is told comes before what fails."""
    shutil.copytree(DEMO_FOLDER, tmp_path / "large", ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((DEMO_FOLDER / "config.json").read_text(encoding="utf-8"))
    config["text_config"] |= {"hidden_size": 2048, "num_hidden_layers": 32, "layer_types": None}
    (tmp_path / "large" / "config.json").write_text(json.dumps(config))
    told: list[str] = []
    with pytest.raises(UserError):
        load_engine(str(tmp_path / "large"), Running(weights=weights), told.append)
    assert len(told) == 1
    assert re.match(
        rf"large in {weights} takes \d+\.\d GB with a conversation of 8,192 tokens, and gives at most ", told[0]
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [("4b", "4B"), ("Qwen/Qwen3.5-4B", "4B"), ("4B@abc", "4B@abc"), ("a/b", "a/b"), ("demo", "demo"), ("dir/x", "x")],
)
def test_a_model_has_one_name_however_it_is_called(
    name: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "4b" was offered itself as "4B", and a folder of that name took the shipped model's."""
    for folder in ("demo", "dir/x"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert shown_name(name) == told


@pytest.mark.parametrize(("present", "is_alone"), [("demo", True), ("4B", False), ("4B@abc", False), ("folder", False)])
def test_a_real_model_is_proposed_where_the_shipped_one_answers(present: str, is_alone: bool) -> None:
    """Also beside a real one that is none of those offered, there was a button that said to get one."""
    first, *_ = offers(present, Device("CPU", 100 * GB), lambda _: None)
    assert is_shipped(first) == is_alone


def test_weights_in_an_order_of_their_own_leave_the_embedding_as_it_is() -> None:
    """A head that shares its weights is held beside it."""
    shape, free = BY_NAME["0.8B"].shape, 100 * GB
    plain, packed = Device("CPU", free), Device("CPU", free, has_own_head=True)
    head_bytes = 2 * 248_320 * 1024
    assert plain.held(shape) == shape
    assert packed.held(shape).weight_bytes("bf16") - shape.weight_bytes("bf16") == head_bytes
    assert packed.held(shape).weight_bytes("int8") == shape.weight_bytes("int8")
    assert packed.held(shape).step_bytes("bf16", 100) == shape.step_bytes("bf16", 100)
    most = shape.memory_bytes("bf16", 8192, 1)
    assert Device("CPU", most).fitting(shape, 8192, 1) == "bf16"
    assert Device("CPU", most, has_own_head=True).fitting(shape, 8192, 1) == "int8"


def test_a_mixture_fits_as_it_is_or_not_at_all() -> None:
    dense = BY_NAME["4B"].shape
    mixture = replace(dense, experts=2, active_experts=1, expert_ffn=dense.ffn)
    free = dense.memory_bytes("int8", 8192, 1) + GB
    assert Device("GPU", free).fitting(dense, 8192, 1) == "int8"
    assert Device("GPU", free).fitting(mixture, 8192, 1) is None


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        pytest.param(None, "its config.json is missing or damaged", id="no config"),
        pytest.param("{", "its config.json is missing or damaged", id="damaged"),
        pytest.param("[" * 200_000, "its config.json is missing or damaged", id="nested"),
        pytest.param('{"model_type": "llama"}', "This is no Qwen3.5", id="another model"),
        pytest.param('{"model_type": "qwen3_5"}', "no usable text_config", id="no text"),
        pytest.param(
            '{"model_type": "qwen3_5", "text_config": {"num_hidden_layers": "x"}, "vision_config": {}}',
            'no usable "num_hidden_layers"',
            id="no number",
        ),
        pytest.param(
            '{"model_type": "qwen3_5", "text_config": {"num_hidden_layers": 24, "full_attention_interval": 0}, '
            '"vision_config": {}}',
            'no usable "full_attention_interval"',
            id="every none of them",
        ),
    ],
)
def test_a_folder_that_cannot_be_counted_is_told(config: str | None, sentence: str, tmp_path: Path) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=sentence):
        model_in(tmp_path, "x")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch as it speaks on a machine with two GPUs; nothing is put on them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _=None: "H")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(major=9))


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("free_gb", "weights", "is_spread"), [(8, "full", False), (4, "full", True), (4, "int8", False)]
)
def test_a_model_is_spread_where_one_gpu_does_not_hold_it(
    free_gb: int, weights: WeightFormat, is_spread: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(6 * GB)  # takes no room on the disk
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free_gb * GB, 24 * GB))
    assert must_spread(tmp_path, weights) == is_spread
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert not must_spread(tmp_path, weights)


@pytest.mark.usefixtures("two_gpus")
def test_each_replica_has_its_own_gpu_and_one_model_may_have_all() -> None:
    second = choose_placement(DEMO_FOLDER, index=1)
    assert (second.device_map, second.dtype, second.is_cuda) == ("cuda:1", torch.bfloat16, True)
    spread = choose_placement(DEMO_FOLDER, is_spread=True)
    assert (spread.device_map, spread.device, spread.device_name) == (SPREAD, torch.device("cuda:0"), "2 x H")
    assert spread.is_cuda


@pytest.mark.usefixtures("two_gpus")
def test_each_of_unlike_gpus_has_its_own_number_format(monkeypatch: pytest.MonkeyPatch) -> None:
    majors = [8, 7]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(major=majors[device.index]))
    formats = [choose_placement(DEMO_FOLDER, index=index).dtype for index in (0, 1)]
    assert formats == [torch.bfloat16, torch.float16]
    assert choose_placement(DEMO_FOLDER, is_spread=True).dtype == torch.float16


def test_a_large_model_behind_a_small_one_has_all_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had the one that the small one takes: on the page, whatever was chosen in the place of the shipped model."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(GB)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    first = choose_placement(tmp_path)
    torch.set_num_threads(choose_placement(DEMO_FOLDER).num_threads)  # as loading it does
    behind = choose_placement(tmp_path)
    torch.set_num_threads(before)
    assert behind == first


def test_a_rate_is_measured_with_the_threads_of_a_large_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page offers large ones beside the shipped one, and told what they would give on the one thread of that."""
    real, counts, before = roofline.best_s, set[int](), torch.get_num_threads()

    def noted(work: Callable[[], object], device: torch.device) -> float:
        counts.add(torch.get_num_threads())
        return real(work, device)

    monkeypatch.setattr(roofline, "best_s", noted)
    monkeypatch.setattr(placement, "ALL_THREADS", 2)
    torch.set_num_threads(1)
    bytes_per_s.cache_clear()
    bytes_per_s(1)
    behind = torch.get_num_threads()
    torch.set_num_threads(before)
    assert (counts, behind) == ({2}, 1)


def test_an_apple_gpu_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    placed = choose_placement(DEMO_FOLDER)
    assert (placed.device_map, placed.dtype, placed.is_cuda) == ("mps", torch.bfloat16, False)
