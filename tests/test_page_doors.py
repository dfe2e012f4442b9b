"""What the page's framework would do by itself, and here does not."""

from __future__ import annotations

from types import SimpleNamespace

from gradio.state_holder import StateHolder

from pipelines.page.doors import shut_doors


def test_no_page_loses_what_it_holds_while_it_is_open() -> None:
    """The framework took it away a day after the page was loaded, or an hour where the line had broken once."""
    shut_doors()
    lost: list[object] = []
    component = SimpleNamespace(_id=1, delete_callback=lost.append)
    held = SimpleNamespace(state_components=[(component, "a conversation", True)], state_data={1: "a conversation"})
    holder = StateHolder()
    holder.session_data["tab"] = held
    holder.delete_all_expired_state()
    assert held.state_data == {1: "a conversation"}
    assert not lost
