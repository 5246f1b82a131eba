"""The embedder: offline, lazy, and clear about what it cannot do."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from memory import embedder
from memory.embedder import EmbedderUnavailable, current


def length(vector):
    return math.sqrt(sum(part * part for part in vector))


def cosine(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_vectors_have_length_one_and_say_what_is_alike():
    tax, same, other = current().embed(
        [
            "Tax is rounded once on the invoice total.",
            "Round tax once on the total of the invoice.",
            "Retry webhooks with backoff.",
        ]
    )
    assert {len(tax), len(same), len(other)} == {current().dimensions} == {256}
    assert length(tax) == pytest.approx(1, abs=1e-5)
    assert cosine(tax, same) > 0.6 > 0.3 > cosine(tax, other)


def test_text_without_words_gives_zeros_not_nan():
    for vector in current().embed(["", " "]):
        assert set(vector) == {0.0}
    assert current().embed([]) == []


def test_same_text_gives_the_same_vector():
    assert current().embed(["Round once."]) == current().embed(["Round once."])


def test_embedder_is_loaded_once():
    assert current() is current()


def test_unknown_embedder_is_one_sentence(settings):
    settings.COUNTERSIGN_EMBEDDER = "word2vec"
    with pytest.raises(EmbedderUnavailable) as refused:
        current()
    assert str(refused.value) == (
        "COUNTERSIGN_EMBEDDER is 'word2vec', but the only embedders are: wordllama."
    )


def test_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setattr(embedder, "find_spec", lambda name: None)
    with pytest.raises(EmbedderUnavailable, match="install it or set COUNTERSIGN_EMBEDDER"):
        embedder.WordLlamaEmbedder()


def test_importing_the_memory_floor_loads_no_model():
    program = (
        "import sys, django; django.setup();"
        "import memory.lessons, memory.recall, memory.working;"
        "sys.exit('wordllama' in sys.modules or 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**__import__("os").environ, "DJANGO_SETTINGS_MODULE": "countersign.settings"},
        check=False,
    )
    assert done.returncode == 0
