"""Training, in small: it runs, what it computes is the model's own, and an interruption changes nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.demo.batches import Batch, Mix, clip_batch, draw_clips, draw_pictures, picture_batch
from pipelines.demo.course import Amounts
from pipelines.demo.export import export
from pipelines.demo.learner import Learner
from pipelines.demo.model import new_model
from pipelines.demo.plan import Plan
from pipelines.demo.tokenizer import Encoder, build_tokenizer
from pipelines.demo.train import Run

ENCODER = Encoder(build_tokenizer())
SMALL = Amounts(see=2, read=2, pictures=2, clips=1, lists=2, talks=1)
MIX = Mix(thinking=0.5, single=1.0, max_text_tokens=80)


def plan_in(folder: Path) -> Plan:
    return Plan(steps=(2, 1, 3), seed=5, out=folder, amounts=SMALL)


def test_an_interrupted_run_ends_at_the_same_weights(tmp_path: Path) -> None:
    whole = Run(plan_in(tmp_path / "whole"))
    whole.go()
    Run(replace(plan_in(tmp_path / "broken"), stop_after=4)).go()
    resumed = Run(plan_in(tmp_path / "broken"))
    assert resumed.step == 4
    resumed.go()
    after = resumed.learner.model.state_dict()
    for name, weight in whole.learner.model.state_dict().items():
        assert torch.equal(weight, after[name]), name


def test_a_run_can_be_exported(tmp_path: Path) -> None:
    plan = Plan(steps=(1, 0, 0), out=tmp_path / "run", amounts=SMALL)
    Run(plan).go()
    export(plan.state_file, tmp_path / "model")
    model = Qwen3_5ForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16


@pytest.mark.parametrize("source", ["picture", "clip"])
def test_the_faster_forward_pass_is_that_of_transformers(source: str) -> None:
    rng = random.Random(1)
    batch = (
        picture_batch(ENCODER, rng, draw_pictures(rng, 2, (96, 128), 3), MIX)
        if source == "picture"
        else clip_batch(ENCODER, rng, draw_clips(rng, 2, (64, 96), 4), MIX)
    )
    learner, plain = Learner(ENCODER, seed=3), new_model(ENCODER, seed=3)
    with torch.no_grad():
        visual = learner.model.model.visual(batch.patches, grid_thw=batch.grids).pooler_output
        fast = learner.model.lm_head(learner.hidden(batch, visual))
        assert torch.allclose(fast, logits(plain, batch), atol=1e-4)


def logits(model: Qwen3_5ForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """What transformers computes from the same prompt and the same patches."""
    config = model.config
    if batch.source == "picture":
        is_visual, kind = batch.ids == config.image_token_id, 1
        seen = {"pixel_values": batch.patches, "image_grid_thw": batch.grids}
    else:
        is_visual, kind = batch.ids == config.video_token_id, 2
        seen = {"pixel_values_videos": batch.patches, "video_grid_thw": batch.grids}
    output = model(input_ids=batch.ids, mm_token_type_ids=is_visual.int() * kind, **seen)
    found: torch.Tensor = output.logits
    return found


def test_the_rate_falls_to_almost_nothing() -> None:
    plan = Plan(steps=(100, 100, 1000))
    assert plan.rate(0) < plan.rate(20)
    assert plan.rate(1199) < 0.05 * plan.rate(400)
    with pytest.raises(ValueError, match="over"):
        plan.rate(1200)
