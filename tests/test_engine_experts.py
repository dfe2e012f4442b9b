"""A mixture of experts: a tiny checkpoint with random weights, loaded like any other, held against transformers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen3_5Config, Qwen3_5MoeConfig, Qwen3_5MoeForConditionalGeneration

from pipelines.catalogue.known import model_in
from pipelines.engine import LocalEngine
from pipelines.engine.experts import Experts
from pipelines.engine.presets import FAST_TEXT_LARGE, FAST_TEXT_SMALL, preset
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER, load_engine
from pipelines.types import UserError
from tests.engine_cases import CASES, GREEDY, oracle, run

NUM_EXPERTS, NUM_CHOSEN = 6, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: the shipped one's words and limits around a text model of experts."""
    made = tmp_path_factory.mktemp("experts") / "tiny-moe"
    shutil.copytree(DEMO_FOLDER, made, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    demo = Qwen3_5Config.from_pretrained(DEMO_FOLDER)
    text = {
        **{name: value for name, value in demo.text_config.to_dict().items() if name != "model_type"},
        "num_experts": NUM_EXPERTS,
        "num_experts_per_tok": NUM_CHOSEN,
        "moe_intermediate_size": 64,
        "shared_expert_intermediate_size": 48,
        "tie_word_embeddings": False,
    }
    vision = {name: value for name, value in demo.vision_config.to_dict().items() if name != "model_type"}
    ids = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    config = Qwen3_5MoeConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=False,
        **{name: getattr(demo, name) for name in ids},
    )
    torch.manual_seed(3)
    model = Qwen3_5MoeForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4.0)  # else all tokens are about as likely
    model.save_pretrained(made)
    shutil.copyfile(DEMO_FOLDER / "generation_config.json", made / "generation_config.json")
    return made


@pytest.fixture(scope="module")
def engine(folder: Path) -> LocalEngine:
    loaded = load_engine(str(folder))
    assert isinstance(loaded, LocalEngine)
    return loaded


@pytest.mark.parametrize("case", CASES)
def test_greedy_tokens_are_those_of_generate(engine: LocalEngine, case: str) -> None:
    inputs = fuse(*CASES[case], engine.checkpoint, True)
    tokens = run(engine, inputs, replace(GREEDY, max_new_tokens=24))
    assert len(set(tokens)) > 1
    assert tokens == oracle(engine, inputs, 24)


def test_a_step_of_several_rows_is_that_of_transformers_in_both_ways(engine: LocalEngine) -> None:
    """On a GPU the chosen experts are gathered, on a CPU they take turns; the shapes are those of a step of 3 rows."""
    module = engine.model.model.language_model.layers[1].mlp
    own = Experts(module)
    torch.manual_seed(0)
    values = torch.randn(3, module.experts.hidden_dim)
    chosen = torch.tensor([[0, 5], [5, 1], [2, 3]])
    assert torch.allclose(own.gathered(values, chosen), own.in_turn(values, chosen), atol=1e-5)
    with torch.inference_mode():
        assert torch.allclose(own(values), module(values[:, None])[:, 0], atol=1e-5)


def test_a_token_reads_the_experts_that_it_chooses_alone(engine: LocalEngine) -> None:
    layers = engine.model.model.language_model.layers
    all_bytes = sum(one.nbytes for one in layers.parameters()) + engine.model.lm_head.weight.nbytes
    experts = sum(one.nbytes for name, one in layers.named_parameters() if ".experts." in name)
    assert experts > 0
    assert engine.roofline().weight_bytes == all_bytes - experts * (NUM_EXPERTS - NUM_CHOSEN) // NUM_EXPERTS


def test_the_catalogue_counts_what_is_loaded(folder: Path, engine: LocalEngine) -> None:
    tiny = model_in(folder, "tiny")
    shape = tiny.shape
    assert tiny.thinks
    assert shape.parameters == sum(one.numel() for one in engine.model.parameters())
    assert shape.active_parameters < shape.parameters


def test_eight_bits_are_refused_in_a_sentence(folder: Path) -> None:
    with pytest.raises(UserError, match="A mixture of experts has no int8 weights here"):
        LocalEngine.load(folder, "tiny", weights="int8")


def test_a_mixture_is_sampled_like_the_large_ones_however_narrow_it_is() -> None:
    def sampling(*, is_mixture: bool) -> object:
        return preset(2048, thinking=False, has_media=False, is_mixture=is_mixture)

    assert sampling(is_mixture=True) == FAST_TEXT_LARGE
    assert sampling(is_mixture=False) == FAST_TEXT_SMALL


def test_another_kind_of_model_is_still_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "other" / "config.json").write_text(json.dumps({**config, "model_type": "qwen2_moe"}))
    with pytest.raises(UserError, match=r"is not a Qwen3\.5 checkpoint"):
        load_engine(str(tmp_path / "other"))
