"""Turns text into vectors: WordLlama from its wheel, loaded on first use and offline."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from memory.lifecycle import MemoryState
from memory.models import Memory, MemoryEmbedding
from projects.exceptions import CountersignError

if TYPE_CHECKING:
    import uuid

    from django.db.models import QuerySet

    from projects.models import Project

BATCH = 256  # memories embedded and written at once
_loading = Lock()


class EmbedderUnavailable(CountersignError):
    """The embedder cannot be loaded."""


class Embedder(Protocol):
    """What recall needs of an embedder; `model_id` keeps vectors of different ones apart."""

    model_id: str
    dimensions: int

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Return one unit vector per text; a text without words gives zeros."""
        ...


class WordLlamaEmbedder:
    """Static word vectors, 256 dimensions: 0.1 ms a sentence, no network, no GPU."""

    model_id = "wordllama/l2_supercat_256"
    dimensions = 256

    def __init__(self) -> None:
        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise EmbedderUnavailable(
                "The package wordllama is not installed; install it or set COUNTERSIGN_EMBEDDER."
            )
        # Heavy: only in a process that embeds.
        from wordllama import WordLlama  # type: ignore[import-untyped]  # ships no types

        folder = Path(spec.origin).parent  # the weights come with the wheel
        self._model = WordLlama.load(cache_dir=folder, disable_download=True)

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Return one unit vector per text; a text without words gives zeros."""
        if not texts:
            return []
        import numpy as np

        vectors = np.nan_to_num(np.asarray(self._model.embed(texts), dtype=np.float32))
        vectors[[not text.strip() for text in texts]] = 0
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: list[list[float]] = (vectors / np.maximum(lengths, 1e-9)).tolist()
        return unit


_EMBEDDERS = {"wordllama": WordLlamaEmbedder}


def current() -> Embedder:
    """Return the embedder COUNTERSIGN_EMBEDDER names, loaded once per process."""
    with _loading:
        return _load(settings.COUNTERSIGN_EMBEDDER)


@cache
def _load(name: str) -> Embedder:
    if name not in _EMBEDDERS:
        raise EmbedderUnavailable(
            f"COUNTERSIGN_EMBEDDER is {name!r}, but the only embedders are: "
            f"{', '.join(sorted(_EMBEDDERS))}."
        )
    return _EMBEDDERS[name]()


def ensure_embeddings(project: Project) -> int:
    """Build the missing vectors of the project's active memories and return how many.

    Twice at once is harmless: the second writer of a vector is ignored.
    """
    return embed_missing(Memory.objects.filter(project=project))


def embed_missing(memories: QuerySet[Memory]) -> int:
    """Build the missing vectors of the active ones among `memories`; one SELECT when none is."""
    embedder = current()
    built = MemoryEmbedding.objects.filter(memory=OuterRef("pk"), model_id=embedder.model_id)
    missing = list(
        memories.filter(~Exists(built), state=MemoryState.ACTIVE)
        .order_by("pk")
        .values_list("pk", "content")
    )
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        vectors = embedder.embed([content for _, content in batch])
        _write(embedder, dict(zip((pk for pk, _ in batch), vectors, strict=True)))
    return len(missing)


def _write(embedder: Embedder, vectors: dict[uuid.UUID, list[float]]) -> None:
    """Store vectors of memories that are still active: what was forgotten leaves no vector."""
    with transaction.atomic():
        held = Memory.objects.select_for_update(no_key=True).order_by("pk")
        alive = held.filter(pk__in=vectors, state=MemoryState.ACTIVE).values_list("pk", flat=True)
        MemoryEmbedding.objects.bulk_create(
            [
                MemoryEmbedding(
                    memory_id=pk,
                    model_id=embedder.model_id,
                    dimensions=embedder.dimensions,
                    vector=vectors[pk],
                )
                for pk in alive
            ],
            ignore_conflicts=True,
        )
