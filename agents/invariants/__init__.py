"""The invariants of tasks, steps and what agents do."""

from __future__ import annotations

from agents.invariants import bounds, history, secrecy, work

CHECKS = (*history.CHECKS, *work.CHECKS, *bounds.CHECKS, *secrecy.CHECKS)
