"""A ring wakes who does the work in this very process, without the broker."""

from __future__ import annotations

from agents import dispatch
from projects.connections import ONE_PLAN, preparing


def test_a_ring_wakes_what_is_at_hand_and_nothing_after(monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "publish", lambda *_, **__: None)
    woken: list[str] = []
    with dispatch.at_hand(lambda: woken.append("first")):
        dispatch.ring()
        with dispatch.at_hand(lambda: woken.append("second")):
            dispatch.ring()
    dispatch.ring()
    assert woken == ["first", "first", "second"]


def test_what_the_operator_says_of_a_connection_stands() -> None:
    said = {"prepare_threshold": 9, "sslmode": "require", "options": "-c plan_cache_mode=auto"}
    made = preparing({"OPTIONS": said}, plans=ONE_PLAN)["OPTIONS"]
    assert made.pop("options").endswith(" -c plan_cache_mode=auto")  # the last one counts
    assert made == {"server_side_binding": True, "prepare_threshold": 9, "sslmode": "require"}
