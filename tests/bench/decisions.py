"""Eight tech leads decide the same approval at once over HTTP, 2,000 times: one of them each time.

Run as `python -m tests.bench.decisions`; `--quick` takes 200 rounds, as a test does.
"""

from __future__ import annotations

import logging
import os

from tests.bench._figures import Report, options

ROUNDS, QUICK = 2000, 200


def main() -> None:
    """Run it."""
    chosen = options(__doc__ or "")
    # Starts the services and names them in the environment, so before Django reads it.
    import tests.services  # noqa: F401

    os.environ["DJANGO_SETTINGS_MODULE"] = "countersign.settings"
    import django

    django.setup()
    logging.disable(logging.WARNING)
    from django.core.management import call_command

    from projects.models import Project
    from tests.bench import _race
    from tests.bench.lists import web

    call_command("migrate", interactive=False, verbosity=0)
    project = Project.objects.create(slug="race", name="race", repository="/nowhere.git")
    requester, leads = _race.people(project)
    rounds = QUICK if chosen.quick else ROUNDS
    approvals = _race.sealed(project, requester, rounds)
    with web() as port:
        outcome = _race.run(approvals, leads, port)
    report = Report("decisions")
    report.add("rounds", rounds, "")
    report.add("clients", _race.CLIENTS, "")
    report.add("rounds without one winner", outcome.not_one_winner, "", goal=("==", 0))
    report.add("told that it was decided", outcome.answers[409], "", goal=("==", rounds * 7))
    said = "; ".join(outcome.wrong)
    report.add(
        "rows or rules that say otherwise", len(outcome.wrong), "", goal=("==", 0), note=said
    )
    report.add("decisions sent", sum(outcome.answers.values()) / outcome.seconds, "1/s")
    report.add("slowest round", outcome.slowest_ms, "ms")
    report.add("all rounds", outcome.seconds, "s")
    report.finish(as_json=chosen.json)


if __name__ == "__main__":
    main()
