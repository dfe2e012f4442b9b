"""What is cleared away after visitors: work for nobody, old uploads, sessions that nobody comes back to."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.conversation import Draft, Reply, Round
from pipelines.host import PUBLIC_HOST, Audience, Listening
from pipelines.host.audience import MAX_KNOWN, UNHEARD_S, Stream, stream_of
from pipelines.host.policy import policy_of
from pipelines.host.sweeping import Sweep
from pipelines.page.sessions import LOOSE_S, MAX_SESSIONS, Sessions
from pipelines.present.examples import load_examples
from pipelines.serving.session import Session

ROOT = Path(__file__).resolve().parent.parent

HOUR_S = 3600.0


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audience(clock: Clock) -> Audience:
    return Audience(clock)


@pytest.mark.parametrize(
    ("path", "query", "stream"),
    [
        ("/gradio_api/heartbeat/abc", b"", Stream("abc", is_page=True)),
        ("/gradio_api/queue/data", b"session_hash=abc", Stream("abc", is_page=False)),
        ("/gradio_api/queue/data", b"", None),
        ("/gradio_api/call/ask/abc", b"", Stream("abc", is_page=False)),
        ("/gradio_api/call/v2/ask/abc", b"", Stream("abc", is_page=False)),
        ("/gradio_api/upload", b"", None),
        ("/", b"", None),
    ],
)
def test_a_stream_is_known_by_its_session_or_event(path: str, query: bytes, stream: Stream | None) -> None:
    assert stream_of({"type": "http", "method": "GET", "path": path, "query_string": query}) == stream
    assert stream_of({"type": "http", "method": "POST", "path": path, "query_string": query}) is None


def test_a_stream_that_breaks_is_no_longer_open(audience: Audience) -> None:
    async def broken(*_: object) -> None:
        assert audience.hears("abc")
        raise ConnectionResetError

    scope = {"type": "http", "method": "GET", "path": "/gradio_api/heartbeat/abc"}
    with pytest.raises(ConnectionResetError):
        asyncio.run(Listening(broken, audience)(scope, None, None))  # type: ignore[arg-type]
    assert not audience.hears("abc")
    assert audience.left_s("abc") == 0.0
    assert audience.left_s("never came") is None


def test_of_too_many_names_those_are_forgotten_whose_stream_was_closed_longest_ago(
    audience: Audience, clock: Clock
) -> None:
    """One that had been closed before kept its old place: it went first, though it was closed again just now."""
    for name in ["mine", *map(str, range(MAX_KNOWN - 1)), "mine", "one more"]:
        with audience.listening(page_of(name)):
            clock.now_s += 1
    assert audience.left_s("mine") == 1.0
    assert audience.left_s("0") is None


def ticking(clock: Clock, ended: list[bool]) -> Iterator[int]:
    """An answer that goes on for a long time, a second an update."""
    try:
        for number in range(1000):
            yield number
            clock.now_s += 1
    finally:
        ended.append(True)


def test_an_answer_that_nobody_listens_to_is_ended(audience: Audience, clock: Clock) -> None:
    """It used to run to its end for a program that asked and never read."""
    ended: list[bool] = []
    assert len(list(audience.heard(ticking(clock, ended), "session", "event"))) == UNHEARD_S + 1
    assert ended == [True]


@pytest.mark.parametrize("name", ["session", "event"])
def test_an_answer_is_heard_by_the_session_or_the_event(name: str, audience: Audience, clock: Clock) -> None:
    ended: list[bool] = []
    updates = audience.heard(ticking(clock, ended), "session", "event")
    with audience.listening(Stream(name, is_page=True)), audience.listening(Stream(name, is_page=False)):
        assert audience.num_waiting == 1
        assert [next(updates) for _ in range(500)] == list(range(500))
    assert len(list(updates)) == UNHEARD_S
    assert ended == [True]


def test_who_stops_to_follow_ends_the_answer(audience: Audience, clock: Clock) -> None:
    ended: list[bool] = []
    updates = audience.heard(ticking(clock, ended), "session")
    next(updates)
    updates.close()  # type: ignore[attr-defined]
    assert ended == [True]


def made(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_on_a_public_host_uploads_are_gone_within_the_hour(tmp_path: Path, clock: Clock) -> None:
    sweep = Sweep(tmp_path, PUBLIC_HOST.keep_uploads_s, clock_s=clock)
    begun_s, upload = clock(), made(tmp_path / "0a1b" / "photo.jpg")
    while upload.exists():
        clock.now_s += sweep.every_s
        sweep()
        assert clock() - begun_s <= HOUR_S
    assert clock() - begun_s > HOUR_S / 2
    assert not upload.parent.exists()


def test_a_clock_that_is_set_back_or_forth_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    """The age of a file used to be that of the clock on the wall, which a host may set by hours."""
    wall = Clock(2e9)
    sweep = Sweep(tmp_path, HOUR_S, clock_s=clock, wall_s=wall)
    upload = made(tmp_path / "0a1b" / "photo.jpg")
    sweep()
    for jump_s in (-10 * HOUR_S, 30 * HOUR_S):
        wall.now_s += jump_s
        clock.now_s += HOUR_S / 4
        sweep()
        assert upload.exists()
    clock.now_s += HOUR_S / 2
    sweep()
    assert not upload.exists()


def test_what_an_earlier_run_left_counts_from_when_it_was_made(tmp_path: Path, clock: Clock) -> None:
    upload = made(tmp_path / "0a1b" / "photo.jpg")
    changed_s = upload.stat().st_ctime
    fresh = Sweep(tmp_path, HOUR_S, clock_s=clock, wall_s=Clock(changed_s + 10))
    fresh()
    assert upload.exists()
    unset = Sweep(tmp_path, HOUR_S, clock_s=clock, wall_s=Clock(changed_s - 1e9))
    unset()
    assert upload.exists()
    old = Sweep(tmp_path, HOUR_S, clock_s=clock, wall_s=Clock(changed_s + HOUR_S))
    assert old() == 1
    assert not upload.exists()


def test_what_is_handed_out_again_and_what_the_page_shows_stays(tmp_path: Path, clock: Clock) -> None:
    again, shown, other = (made(tmp_path / name) for name in ("again.png", "shown.png", "other.png"))
    sweep = Sweep(tmp_path, HOUR_S, lambda: {str(shown)}, clock_s=clock)
    sweep()
    clock.now_s += HOUR_S / 2
    os.utime(again)
    while again.stat().st_ctime_ns == other.stat().st_ctime_ns:
        os.utime(again)
    sweep()
    clock.now_s += HOUR_S / 2
    assert sweep() == 1
    assert (again.exists(), shown.exists(), other.exists()) == (True, True, False)


def test_the_pictures_of_the_examples_stay_for_the_page_and_for_others_of_this_machine(tmp_path: Path) -> None:
    """After an hour a public page showed none, nor did any page once another one of the same user had ended."""
    program = (
        "import app; from gradio.route_utils import delete_files_created_by_app as end; "
        "from pipelines.page.sessions import spared; end(app.demo, age=None); print(*spared(app.demo), sep=chr(10))"
    )
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    kept = [Path(line) for line in run.stdout.splitlines()]
    examples = load_examples(ROOT / "assets" / "examples")
    assert {file.name for file in kept} == {example.path.name for example in examples}
    assert all(file.exists() for file in kept)


def test_a_folder_that_is_not_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    assert Sweep(tmp_path / "none", HOUR_S)() == 0


@pytest.mark.parametrize(
    ("is_public", "minutes", "kept_s"),
    [(True, None, (3600, 1800)), (False, None, (86_400, 3600)), (True, 5.0, (300, 300)), (True, 999.0, (3600, 1800))],
)
def test_a_host_may_hold_uploads_for_less_long(is_public: bool, minutes: float | None, kept_s: tuple[int, int]) -> None:
    policy = policy_of(is_public, [], {}, keep_minutes=minutes)
    assert (policy.keep_uploads_s, policy.keep_left_s) == kept_s


class Held:
    """As the page's framework holds sessions, as far as they are looked at."""

    def __init__(self) -> None:
        self.left: list[object] = []
        self.state_holder = SimpleNamespace(session_data={}, time_last_used={})
        self._queue = SimpleNamespace(pending_event_ids_session={}, pending_messages_per_session={})

    def use(self, name: str, session: Session | None = None) -> None:
        """Something is done in a session."""
        component = SimpleNamespace(delete_callback=self.left.append)
        value = session or Session()
        self.state_holder.session_data[name] = SimpleNamespace(
            state_data={1: value}, state_components=[(component, value, False)]
        )
        last = self.state_holder.time_last_used.get(name, datetime(2026, 1, 1))
        self.state_holder.time_last_used[name] = last - timedelta(hours=1)  # whatever the clock on the wall says
        self._queue.pending_event_ids_session[name] = {"event"}

    @property
    def names(self) -> set[str]:
        return set(self.state_holder.session_data)


def page_of(name: str) -> Stream:
    """The stream of an open page."""
    return Stream(name, is_page=True)


def forget(sessions: Sessions) -> None:
    for callback in sessions.forget():
        callback()


def sessions_of(held: Held, audience: Audience, clock: Clock) -> Sessions:
    page: Any = held
    return Sessions(page, audience, HOUR_S, clock)


def test_a_conversation_is_kept_for_a_while_after_the_page_was_closed(audience: Audience, clock: Clock) -> None:
    held = Held()
    sessions = sessions_of(held, audience, clock)
    session = Session(rounds=[Round(Draft("What is it?"), Reply("A circle."))])
    held.use("a", session)
    with audience.listening(page_of("a")):
        clock.now_s += 100 * HOUR_S
        forget(sessions)
    clock.now_s += HOUR_S
    forget(sessions)
    assert held.names == {"a"}
    clock.now_s += 1
    forget(sessions)
    assert held.names == set()
    assert held.left == [session]
    assert held._queue.pending_event_ids_session == {}


def test_a_program_and_a_page_that_was_only_looked_at_leave_nothing(audience: Audience, clock: Clock) -> None:
    held = Held()
    sessions = sessions_of(held, audience, clock)
    held.use("looked")
    with audience.listening(page_of("looked")):
        held.use("program")
        forget(sessions)
        clock.now_s += LOOSE_S
        forget(sessions)
        held.use("busy")
        clock.now_s += 1
        forget(sessions)
        assert held.names == {"looked", "busy"}
    clock.now_s += LOOSE_S + 1
    forget(sessions)
    assert held.names == set()


def test_of_too_many_sessions_those_go_that_were_away_longest(audience: Audience, clock: Clock) -> None:
    """A flood of sessions that are made up pushes out none whose page is open."""
    held = Held()
    sessions = sessions_of(held, audience, clock)
    held.use("mine")
    with audience.listening(page_of("mine")):
        for number in range(MAX_SESSIONS + 5):
            held.use(f"forged{number}")
            if number == 3:
                forget(sessions)
                clock.now_s += 1
        forget(sessions)
    assert len(held.names) == MAX_SESSIONS
    assert "mine" in held.names
    assert not {f"forged{number}" for number in range(4)} & held.names
