"""Events that wait in the queue of a page: no address takes all of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import gradio as gr
from gradio.data_classes import PredictBodyInternal
from starlette.requests import Request

from pipelines.host import PRIVATE_HOST, PUBLIC_HOST, Policy
from pipelines.host.gate import MAX_BODY_BYTES
from pipelines.page.waiting import BUSY, share_queue


def test_one_address_cannot_fill_the_queue() -> None:
    """One did, with events that are no questions, and nobody else was let in."""
    addresses = ["9.9.9.9"] * 5 + ["8.8.8.8"]
    assert asyncio.run(refusals(PUBLIC_HOST, 3, addresses)) == [None, None, None, BUSY, BUSY, None]


def test_behind_a_proxy_visitors_have_shares_of_their_own() -> None:
    behind = [f"10.0.0.1 for {visitor}" for visitor in ("6.6.6.6", "7.7.7.7", "7.7.7.7")]
    assert asyncio.run(refusals(PUBLIC_HOST, 1, behind)) == [None, BUSY, BUSY]
    assert asyncio.run(refusals(replace(PRIVATE_HOST, trusts_proxy=True), 1, behind)) == [None, None, BUSY]


def test_one_address_cannot_fill_the_memory_with_what_waits() -> None:
    told = asyncio.run(refusals(PUBLIC_HOST, 64, ["9.9.9.9"] * 5 + ["8.8.8.8"], str(MAX_BODY_BYTES)))
    assert told == [None, None, None, None, BUSY, None]
    assert asyncio.run(refusals(PUBLIC_HOST, 64, ["9.9.9.9"] * 5, "")) == [None, None, None, None, BUSY]


async def refusals(policy: Policy, max_of_address: int, senders: list[str], length: str = "100") -> list[str | None]:
    """What the events of senders are refused with, one after the other; None where one waits from then on."""
    with gr.Blocks() as page:
        gr.Button().click(lambda: None)
    page.queue(max_size=10)
    share_queue(page, lambda: policy, max_of_address)
    told = []
    for sender in senders:
        address, _, visitor = sender.partition(" for ")
        headers = [(b"x-forwarded-for", visitor.encode()), (b"content-length", length.encode())]
        request = Request({"type": "http", "headers": headers, "client": (address, 1)})
        body = PredictBodyInternal(session_hash="a", data=[], fn_index=0)
        is_taken, why, _ = await page._queue.push(body=body, request=request, username=None)
        told.append(None if is_taken else str(why))
    return told
