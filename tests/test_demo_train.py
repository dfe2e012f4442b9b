"""Training, in small: it runs, what it computes is the model's own, and an interruption changes nothing."""

from __future__ import annotations

import json
import multiprocessing
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.demo.batches import Batch, clip_batch, draw_clips, draw_pictures, picture_batch
from pipelines.demo.course import Amounts
from pipelines.demo.dialogues import change_batch, zoom_batch
from pipelines.demo.export import FOLDER, export
from pipelines.demo.learner import Learner
from pipelines.demo.model import new_model, take_weights
from pipelines.demo.pairs import draw_pair
from pipelines.demo.plan import Plan
from pipelines.demo.sequences import Mix
from pipelines.demo.specks import draw_speck
from pipelines.demo.tokenizer import Encoder, build_tokenizer
from pipelines.demo.train import CURVE, Run, estimate_s

ENCODER = Encoder(build_tokenizer())
SMALL = Amounts(see=4, read=2, pictures=2, clips=1, specials=1, lists=2, talks=1)
MIX = Mix(thinking=0.5, single=1.0, max_text_tokens=80)


def plan_in(folder: Path) -> Plan:
    return Plan(steps=(2, 1, 3), seed=5, out=folder, amounts=SMALL)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    plan = replace(plan_in(tmp_path / "killed"), save_every_s=0.0)
    victim = multiprocessing.get_context("spawn").Process(target=_run, args=(plan,))
    victim.start()
    while victim.is_alive() and not plan.state_file.exists():
        victim.join(timeout=0.02)
    victim.kill()
    victim.join()
    resumed = Run(plan)
    assert resumed.step > 0
    resumed.go()
    whole = Run(plan_in(tmp_path / "whole"))
    whole.go()
    for name, weight in whole.learner.model.state_dict().items():
        assert torch.equal(weight, resumed.learner.model.state_dict()[name]), name


def _run(plan: Plan) -> None:
    Run(plan).go()


def test_it_is_said_beforehand_how_long_each_stage_takes(tmp_path: Path) -> None:
    estimates = estimate_s(replace(plan_in(tmp_path), steps=(2, 1, 0)), rank=0)
    assert list(estimates) == ["see", "read"]
    assert all(seconds > 0 for seconds in estimates.values())


def test_a_run_can_be_exported(tmp_path: Path) -> None:
    plan = Plan(steps=(1, 0, 0), out=tmp_path / "run", amounts=SMALL)
    Run(plan).go()
    assert (tmp_path / "run" / CURVE).stat().st_size > 0
    export(plan.state_file, tmp_path / "model")
    model = Qwen3_5ForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16


def test_a_run_can_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    """New heads know nothing: their first steps must not lead a trained vision tower astray."""
    run = Run(Plan(steps=(2, 0, 0), out=tmp_path / "run", start=FOLDER, amounts=SMALL))
    run.go()
    shipped = Qwen3_5ForConditionalGeneration.from_pretrained(FOLDER, dtype=torch.float32)
    for name, weight in shipped.state_dict().items():
        assert torch.equal(weight, run.learner.model.state_dict()[name]), name


def test_embeddings_follow_their_token(tmp_path: Path) -> None:
    export_of = new_model(ENCODER, seed=1)
    export_of.save_pretrained(tmp_path)
    vocabulary = json.loads(ENCODER.tokenizer.to_str())
    vocabulary["added_tokens"][0]["content"], vocabulary["added_tokens"][1]["content"] = "<|im_start|>", "<|endoftext|>"
    (tmp_path / "tokenizer.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    model = new_model(ENCODER, seed=2)
    take_weights(model, ENCODER, tmp_path)
    taken, given = (one.model.language_model.embed_tokens.weight for one in (model, export_of))
    end, start = ENCODER.id("<|endoftext|>"), ENCODER.id("<|im_start|>")
    assert torch.equal(taken[[end, start]], given[[start, end]])
    assert torch.equal(taken[:end], given[:end])


def example_batch(source: str, rng: random.Random) -> Batch:
    if source == "picture":
        return picture_batch(ENCODER, rng, draw_pictures(rng, 2, (96, 128), 3), MIX)
    if source == "clip":
        return clip_batch(ENCODER, rng, draw_clips(rng, 2, (64, 96), 4), MIX)
    if source == "pair":
        return change_batch(ENCODER, rng, [draw_pair(rng, (96, 96)) for _ in range(2)], MIX)
    return zoom_batch(ENCODER, rng, [draw_speck(rng, (96, 128)) for _ in range(2)], (64, 96), MIX)


@pytest.mark.parametrize("source", ["picture", "clip", "pair", "zoom"])
def test_the_faster_forward_pass_is_that_of_transformers(source: str) -> None:
    batch = example_batch(source, random.Random(1))
    learner, plain = Learner(ENCODER, seed=3), new_model(ENCODER, seed=3)
    with torch.no_grad():
        visual = [learner.model.model.visual(v.patches, grid_thw=v.grids).pooler_output for v in batch.views]
        fast = learner.model.lm_head(learner.hidden(batch, visual))
        assert torch.allclose(fast, logits(plain, batch), atol=1e-4)


def logits(model: Qwen3_5ForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """What transformers computes from the same prompt and the same patches."""
    config, count = model.config, len(batch.ids)
    views = [view.patches.view(count, -1, view.patches.shape[1]) for view in batch.views]
    patches = torch.cat(views, dim=1).flatten(0, 1)
    grids = torch.stack([view.grids for view in batch.views], dim=1).flatten(0, 1)
    if batch.source == "picture":
        is_visual, kind = batch.ids == config.image_token_id, 1
        seen = {"pixel_values": patches, "image_grid_thw": grids}
    else:
        is_visual, kind = batch.ids == config.video_token_id, 2
        seen = {"pixel_values_videos": patches, "video_grid_thw": grids}
    output = model(input_ids=batch.ids, mm_token_type_ids=is_visual.int() * kind, **seen)
    found: torch.Tensor = output.logits
    return found


def test_the_rate_falls_to_almost_nothing() -> None:
    plan = Plan(steps=(100, 100, 1000))
    assert plan.rate(0) < plan.rate(20)
    assert plan.rate(1199) < 0.05 * plan.rate(400)
    with pytest.raises(ValueError, match="over"):
        plan.rate(1200)
