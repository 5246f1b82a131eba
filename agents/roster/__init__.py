"""The agents that ship with Countersign; adding one is copying a folder and naming it here."""

from agents.roster import aggregator, coder, router, tech_writer, tester
from agents.roster.seed import Seed

ROSTER: tuple[Seed, ...] = (
    router.SEED,
    coder.SEED,
    tester.SEED,
    tech_writer.SEED,
    aggregator.SEED,
)

__all__ = ["ROSTER", "Seed"]
