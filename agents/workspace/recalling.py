"""Remembers what git said of objects: an object's name means the same for ever."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")

BYTES_WEIGHT = 200  # bytes of text that weigh as much as one listed file


def weight_in_bytes(contents: list[bytes]) -> int:
    """Return what the contents of files weigh."""
    return len(contents) + sum(map(len, contents)) // BYTES_WEIGHT


class Recollection:
    """The newest answers up to a weight in all, for every thread of a process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._weight = 0
        self._answers: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def ask(
        self, question: Hashable, ask: Callable[[], T], weigh: Callable[[T], int] = lambda _: 1
    ) -> T:
        """Return the known answer, or ask and keep it. What is raised is not kept."""
        with self._lock:
            if question in self._answers:
                self._answers.move_to_end(question)
                known: T = self._answers[question][0]
                return known
        answer = ask()
        self.tell(question, answer, weigh(answer))
        return answer

    def knows(self, question: Hashable) -> bool:
        """Tell whether the answer is known."""
        with self._lock:
            return question in self._answers

    def tell(self, question: Hashable, answer: Any, weight: int = 1) -> None:
        """Keep an answer that came another way."""
        if weight * 4 <= self._most:  # one answer must not push out all others
            self._keep(question, answer, weight)

    def _keep(self, question: Hashable, answer: Any, weight: int) -> None:
        with self._lock:
            if question in self._answers:  # two threads asked at once
                return
            self._answers[question] = (answer, weight)
            self._weight += weight
            while self._weight > self._most:
                _, (_, dropped) = self._answers.popitem(last=False)
                self._weight -= dropped
