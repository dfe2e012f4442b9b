"""Training, in small: it runs, what it computes is the model's own, and an interruption changes nothing."""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.demo.batches import Batch, Seen, clip_batch, draw_clips, draw_pictures, picture_batch, see_pictures
from pipelines.demo.clip_parts import about_span
from pipelines.demo.course import Amounts, Course, Lesson
from pipelines.demo.dialogues import change_batch, part_batch, region_batch, zoom_batch
from pipelines.demo.drawers import Drawers, lessons_of
from pipelines.demo.export import export
from pipelines.demo.forward import read, see
from pipelines.demo.learner import Learner
from pipelines.demo.model import new_model, take_weights
from pipelines.demo.pairs import draw_pair
from pipelines.demo.plan import Plan
from pipelines.demo.runs import CPU, CURVE, Run, Way
from pipelines.demo.sequences import Mix
from pipelines.demo.sheets import Sheet, lay_out
from pipelines.demo.specks import draw_speck
from pipelines.demo.tokenizer import Encoder, build_tokenizer
from pipelines.demo.train import estimate_drawn_s, estimate_s

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
    plan = replace(plan_in(tmp_path), steps=(2, 1, 0))
    for estimates in (estimate_s(plan, rank=0), estimate_drawn_s(replace(plan, shares=2), CPU)):
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
    first = Plan(steps=(1, 0, 0), out=tmp_path / "first", amounts=SMALL)
    Run(first).go()
    export(first.state_file, tmp_path / "model")
    run = Run(Plan(steps=(2, 0, 0), out=tmp_path / "run", start=tmp_path / "model", amounts=SMALL))
    run.go()
    shipped = Qwen3_5ForConditionalGeneration.from_pretrained(tmp_path / "model", dtype=torch.float32)
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
    if source == "region":
        return region_batch(ENCODER, rng, draw_pictures(rng, 2, (96, 128), 3), (64, 96), MIX)
    if source == "span":
        clips = draw_clips(rng, 2, (64, 96), 4)
        return part_batch(ENCODER, rng, clips, [about_span(rng, clip) for clip in clips], (64, 64), MIX)
    if source == "pair":
        return change_batch(ENCODER, rng, [draw_pair(rng, (96, 96)) for _ in range(2)], MIX)
    return zoom_batch(ENCODER, rng, [draw_speck(rng, (96, 128)) for _ in range(2)], (64, 96), MIX)


SOURCES = ("picture", "clip", "pair", "zoom", "region", "span")


@pytest.mark.parametrize("source", SOURCES)
def test_the_faster_forward_pass_is_that_of_transformers(source: str) -> None:
    batch = example_batch(source, random.Random(1))
    model = new_model(ENCODER, seed=3)
    sheet = lay_out(ENCODER, [Lesson(batch, 1.0, 0.2)])
    with torch.no_grad():
        fast = model.lm_head(read(model, sheet, see(model, sheet)))
        assert torch.allclose(fast, logits(model, batch), atol=1e-4)


def test_lessons_laid_out_together_teach_what_they_teach_one_by_one() -> None:
    """Frames of several sizes and texts of several lengths are padded, and each lesson keeps its own means."""
    rng = random.Random(2)
    lessons = [Lesson(example_batch(source, rng), 0.6, 0.2) for source in SOURCES]
    lessons.append(Lesson(see_pictures(draw_pictures(rng, 2, (64, 96), 3)), 0.0, 1.0))
    one_by_one, together = Learner(ENCODER, seed=3), Learner(ENCODER, seed=3)
    first = one_by_one.learn([lay_out(ENCODER, [lesson]) for lesson in lessons], 0.0)
    second = together.learn([lay_out(ENCODER, lessons)], 0.0)
    assert torch.allclose(first.loss, second.loss, rtol=1e-5)
    for one, other in zip(one_by_one.parameters, together.parameters, strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None and other.grad is not None:
            assert torch.allclose(one.grad, other.grad, atol=1e-6)


def test_what_is_learned_stays_where_the_model_is() -> None:
    """A tensor made on the CPU, or a value asked of a GPU, would fail or wait there; here another device tells."""
    elsewhere = torch.device("meta")
    piece, layout = lay_out(ENCODER, [Lesson(example_batch("zoom", random.Random(4)), 1.0, 0.2)]).pack()
    learner = Learner(ENCODER, seed=3, device=elsewhere)
    standing = learner.learn([Sheet.unpack(piece.to(elsewhere), layout)], 0.0)
    assert standing.loss.device == elsewhere


def test_a_sheet_travels_as_one_piece() -> None:
    sheet = lay_out(ENCODER, [Lesson(example_batch("clip", random.Random(3)), 1.0, 0.2)])
    arrived = Sheet.unpack(*sheet.pack())
    for field in fields(Sheet):
        assert torch.equal(getattr(sheet, field.name), getattr(arrived, field.name)), field.name


def logits(model: Qwen3_5ForConditionalGeneration, batch: Batch) -> torch.Tensor:
    """What transformers computes from the same prompt and the same patches."""
    config = model.config
    clips = batch.views[:1] if batch.source == "clip" else ()
    pictures = batch.views[len(clips) :]
    is_picture, is_clip = batch.ids == config.image_token_id, batch.ids == config.video_token_id
    output = model(
        input_ids=batch.ids,
        mm_token_type_ids=is_picture.int() + 2 * is_clip.int(),
        **({"pixel_values": joined(pictures, batch), "image_grid_thw": grids(pictures, batch)} if pictures else {}),
        **({"pixel_values_videos": joined(clips, batch), "video_grid_thw": grids(clips, batch)} if clips else {}),
    )
    found: torch.Tensor = output.logits
    return found


def joined(views: Sequence[Seen], batch: Batch) -> torch.Tensor:
    """The patches of all conversations, one after the other, as transformers takes them."""
    parts = [view.patches.view(len(batch.ids), -1, view.patches.shape[1]) for view in views]
    return (torch.cat(parts, dim=1).flatten(0, 1).float() - 127.5) / 127.5


def grids(views: Sequence[Seen], batch: Batch) -> torch.Tensor:
    return torch.tensor([view.grid for view in views] * len(batch.ids))


def test_drawers_hand_over_what_one_process_would_draw(tmp_path: Path) -> None:
    plan = replace(plan_in(tmp_path), shares=2)
    course = Course(ENCODER, plan.seed, plan.amounts, pool_steps=1)
    drawers = Drawers(plan, 2, torch.device("cpu"), first=1)
    drawn = list(drawers.sheets())
    drawers.close()
    assert len(drawn) == plan.end - 1
    for step, sheet in enumerate(drawn, start=1):
        own = lay_out(ENCODER, lessons_of(course, plan, step, plan.progress(step)))
        assert all(torch.equal(getattr(own, f.name), getattr(sheet, f.name)) for f in fields(Sheet))


def test_a_run_by_the_clock_ends_in_time(tmp_path: Path) -> None:
    plan = replace(plan_in(tmp_path), minutes=1 / 10)
    drawers = Drawers(plan, 1, torch.device("cpu"))
    run = Run(plan, Way(drawers=drawers))
    run.go()
    drawers.close()
    assert run.step > 3
    assert 6 <= run.seconds < 60
    assert plan.rate(run.step, 0.99) < 0.1 * plan.rate(run.step, 0.1)


def test_the_rate_falls_to_almost_nothing() -> None:
    plan = Plan(steps=(100, 100, 1000))
    assert plan.rate(0) < plan.rate(20)
    assert plan.rate(1199) < 0.05 * plan.rate(400)
    assert replace(plan, answer_rate=plan.answer_rate / 2).rate(400) == plan.rate(400) / 2
    with pytest.raises(ValueError, match="over"):
        plan.rate(1200)
