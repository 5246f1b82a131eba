"""The canonical form and the digest of a snapshot."""

from __future__ import annotations

import hashlib
import json

import pytest

from approvals.canonical import canonical, digest_of
from approvals.snapshots import without_floats


def test_the_canonical_form_is_sorted_tight_utf8():
    assert (
        canonical({"b": [1, True, None], "a": "é\n"}) == '{"a":"é\\n","b":[1,true,null]}'.encode()
    )


def test_the_order_of_keys_does_not_change_the_digest():
    assert digest_of({"a": 1, "b": {"c": 2, "d": 3}}) == digest_of({"b": {"d": 3, "c": 2}, "a": 1})


def test_any_change_changes_the_digest():
    first = {"effects": [{"base": "a" * 40}], "single_person": False}
    for other in (
        {"effects": [{"base": "b" * 40}], "single_person": False},
        {"effects": [{"base": "a" * 40}], "single_person": True},
        {"effects": [{"base": "a" * 40}, {}], "single_person": False},
        {"effects": [{"base": "a" * 40}], "single_person": False, "x": None},
    ):
        assert digest_of(first) != digest_of(other)


def test_the_digest_is_sha256_of_the_canonical_form():
    snapshot = {"a": [1, "zwei"]}
    assert digest_of(snapshot) == hashlib.sha256(canonical(snapshot)).hexdigest()


@pytest.mark.parametrize("value", [1.5, {"deep": [{"er": 0.1}]}, [float("nan")]])
def test_floats_are_refused_wherever_they_are(value):
    with pytest.raises(TypeError, match="no floats"):
        canonical({"x": value})


def test_floats_of_reports_become_decimal_text():
    given = {"seconds": 1.25, "n": 3, "ok": True, "list": [1e22, 0.1, (2.0,)], "nan": float("nan")}
    assert without_floats(given) == {
        "seconds": "1.25",
        "n": 3,
        "ok": True,
        "list": ["10000000000000000000000", "0.1", ["2"]],
        "nan": "nan",
    }


def test_hidden_and_look_alike_characters_are_not_normalised_away():
    assert digest_of({"text": "half up"}) != digest_of({"text": "half\u200b up"})
    assert digest_of({"text": "é"}) != digest_of({"text": "e\u0301"})


def test_the_form_survives_a_way_through_json():
    snapshot = {"text": "⟨U+200B⟩ \U0001f600 \u2028", "list": [], "object": {}, "n": 10**18}
    assert canonical(json.loads(json.dumps(snapshot))) == canonical(snapshot)
