"""One chaos run after the other: at armed failpoints, and under faults that strike at random."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from projects import failpoints
from tests.chaos.faults import Stage
from tests.chaos.matrix import FIRST, MODES, TOUR, stories_for
from tests.chaos.oracle import at_the_end, judge
from tests.chaos.people import People, Story
from tests.chaos.play import Play
from tests.chaos.report import Figures

if TYPE_CHECKING:
    from tests.chaos.faults import Fault
    from tests.chaos.house import House
    from tests.chaos.model import Model
    from tests.chaos.world import World

LONGEST = 240.0  # seconds until all of a run has come to rest, on a machine that is busy
_KINDS = (
    *["report"] * 10,
    *["change"] * 4,
    *["ask"] * 2,
    *["extra"] * 2,
    *["block"] * 2,
    *["call"] * 2,
    *["beside"] * 2,
    *["undo"] * 2,
    *["grant"] * 2,
    *["held"] * 2,
)


@dataclass
class Runs:
    """Plays stories in one house, and judges after each run."""

    house: House
    model: Model
    world: World
    seed: int
    figures: Figures = field(init=False)
    told: int = 0  # stories so far

    def __post_init__(self) -> None:
        self.figures = Figures(seed=self.seed)

    def at_points(self, batch: list[str], mode: str) -> str:
        """Let points fire, each once, while stories pass them; return how it went, in a line."""
        folder = self.house.points
        stories = [self._story(**TOUR[name]) for name in stories_for(batch)]
        for point in batch:
            if first := FIRST.get(point):
                failpoints.arm(folder, first, "kill")
            failpoints.arm(folder, point, MODES[mode])
        play, rested, seconds = self._play(stories, None)
        fired = set(failpoints.disarm(folder))
        violations = self._judge(play, f"{mode} at {', '.join(batch)}", rested=rested)
        missed = [point for point in batch if point not in fired]
        for point in missed:
            self.figures.violations.append(f"{mode} at {point}: no story reached it")
        for point in batch:
            outcome = "not reached" if point in missed else "violated" if violations else "holds"
            self.figures.points[point, mode] = outcome
        return _line(play, violations + len(missed), seconds)

    def under(self, fault: Fault, number: int, tasks: int) -> str:
        """Play a number of stories while a fault strikes; return how it went, in a line."""
        dice = random.Random(f"{self.seed}/{fault.name}/{number}")  # noqa: S311  # guards nothing
        stories = [self._story(kind=dice.choice(_KINDS)) for _ in range(tasks)]
        changes = [story for story in stories if story.kind == "change"]
        for story, what in zip(changes, ("again", "stop", "pause"), strict=False):
            setattr(story, what, True)
        stage = Stage(self.house, self.model, dice)
        when = dice.uniform(0.0, 2.5)

        def strike() -> None:
            time.sleep(when)
            try:
                fault.strike(stage)
            except Exception as error:  # noqa: BLE001  # told, not swallowed
                self.figures.violations.append(f"{fault.name} could not strike: {error!r}")

        play, rested, seconds = self._play(stories, threading.Thread(target=strike))
        self.model.trouble("stall", 0)
        self.model.trouble("cut", 0)
        violations = self._judge(play, f"{fault.name}, run {number}", rested=rested)
        self.figures.count(fault.name, play.outcomes(), violations, seconds)
        return _line(play, violations, seconds)

    def at_the_end(self) -> list[str]:
        """Return what breaks any invariant now that all is over."""
        return [f"at the end (seed {self.seed}): {each}" for each in at_the_end()]

    def _story(self, *, kind: object, **what: object) -> Story:
        self.told += 1
        project = self.world.projects[self.told % len(self.world.projects)].slug
        where = self.world.homes.get(str(kind), project)
        story = Story(number=self.told, kind=str(kind), project=where)
        for name, value in what.items():
            setattr(story, name, value)
        return story

    def _play(
        self, stories: list[Story], trouble: threading.Thread | None
    ) -> tuple[Play, bool, float]:
        began = time.monotonic()
        people = People(self.house, self.world)
        play = Play(people, stories)
        if trouble is not None:
            trouble.start()
        for story in stories:
            people.submit(story)
        people.submit_again(stories[0])
        rested = play.to_the_end(LONGEST)
        if trouble is not None:
            trouble.join()
            # What struck last may have undone nothing, but it must not fall into the next run.
            rested = play.to_the_end(LONGEST) and rested
        people.close()
        return play, rested, time.monotonic() - began

    def _judge(self, play: Play, run: str, *, rested: bool) -> int:
        found = judge(self.world, play, self.model.asked(), rested=rested)
        self.figures.violations += [f"{run} (seed {self.seed}): {each}" for each in found]
        for each in found:
            print(f"VIOLATION {run}: {each}", flush=True)  # now: a later run may not end
        return len(found)


def _line(play: Play, violations: int, seconds: float) -> str:
    ended = ", ".join(f"{count} {state}" for state, count in sorted(play.outcomes().items()))
    return f"{ended}; {violations} violations, {seconds:.1f} s"
