"""The people of a chaos run: they ask, sign and answer over HTTP, and keep their own log of it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from tests.chaos.model import UNBLOCK
from tests.chaos.world import PASSWORD, move_main

if TYPE_CHECKING:
    from tests.chaos.house import House
    from tests.chaos.world import World

_AWAY = (httpx.HTTPError, OSError)
_BUSY = frozenset({429, 500, 502, 503, 504})
MOST_ANSWERS = 4  # of one task's questions; then it may wait for a person
USES = 2  # of a standing grant; the story asks for one call more


@dataclass
class Story:
    """One task as the person who asked for it knows it."""

    number: int
    kind: str
    project: str
    again: bool = False  # the lead sends its first round back
    pause: bool = False
    stop: bool = False
    id: str = ""  # once it was accepted: what the 202 said
    answered: int = 0
    paused: str = ""  # "", "paused", "resumed"
    moved: int = 0  # how often its main was moved meanwhile
    remembered: bool = False
    undone: bool = False
    stopped: bool = False

    @property
    def request(self) -> str:
        """What is asked for."""
        return f"[{self.kind}] {self.number}. Do it."


@dataclass
class People:
    """A requester with a token, a lead and an admin with sessions."""

    house: House
    world: World
    signed: Counter[tuple[str, str]] = field(default_factory=Counter)  # 201s by approval and person
    said: Counter[str] = field(default_factory=Counter)  # answers by what was done and status
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._asker = httpx.Client(
            base_url=self.house.url,
            timeout=15,
            headers={"Authorization": f"Bearer {self.world.token}"},
        )
        self._sessions: dict[str, httpx.Client] = {}

    def close(self) -> None:
        """Hang up."""
        for client in (self._asker, *self._sessions.values()):
            client.close()

    def submit(self, story: Story, *, seconds: float = 60) -> None:
        """Ask until it is accepted; each try carries the same key, so it is one task."""
        deadline = time.monotonic() + seconds
        while not story.id:
            if time.monotonic() > deadline:
                self.faults.append(f"story {story.number} was not accepted in {seconds:.0f} s")
                return
            answer = self._send_request(story)
            if answer is None or answer.status_code in _BUSY:
                time.sleep(0.2)
            elif answer.status_code == 202:
                story.id = answer.json()["id"]
            else:
                self.faults.append(f"submit said {answer.status_code}: {answer.text[:200]}")
                return

    def submit_again(self, story: Story) -> None:
        """Send an accepted request once more; it must be the same task."""
        answer = self._send_request(story)
        if answer is not None and answer.status_code == 202 and answer.json()["id"] != story.id:
            self.faults.append(f"story {story.number} became two tasks")

    def sign(
        self, approval: dict[str, Any], verdict: str, note: str = "", *, who: str = "dana"
    ) -> None:
        """Sign what was sealed; a lost answer is settled by asking again.

        Who approves looks at every file first, as the policy asks; else it is for the next time.
        """
        if verdict == "approve" and not self._view(who, approval["id"]):
            return
        body = {"verdict": verdict, "note": note, "digest": approval["digest"]}
        body["nonce"] = approval["nonce"]
        answer = self._post(who, f"/api/v1/approvals/{approval['id']}/signatures", body)
        if answer is not None and answer.status_code == 201:
            self.signed[approval["id"], who] += 1
        self._expect(answer, "sign", 201, 409)

    def permit(self, story: Story, call: dict[str, Any]) -> None:
        """Allow a call of a tool as it was sealed; the first of some stories for further ones, too."""
        body: dict[str, Any] = {"verdict": "allow", "digest": call["digest"]}
        body |= {"nonce": call["nonce"], "confirmation": call["label"]}
        remembers = story.kind == "grant" and not story.remembered
        if remembers:
            begins = {"kind": "prefix", "value": f"{story.number}-"}
            body["remember"] = {"widened": {"invoice": begins}, "max_hits": USES}
        answer = self._post("dana", f"/api/v1/calls/{call['id']}/decision", body)
        self._expect(answer, "permit", 201, 409)
        if answer is not None and answer.status_code == 201:
            story.remembered = True

    def undo(self, story: Story, call: str) -> None:
        """Take the permission of a call back, once; a lost answer is settled by asking again."""
        answer = self._post("ravi", f"/api/v1/calls/{call}/undo", {})
        self._expect(answer, "undo", 200, 409)
        story.undone = answer is not None and answer.status_code == 200

    def move_main(self, story: Story) -> None:
        """Put a commit onto main that changes another file."""
        move_main(self.world.repositories[story.project], f"moved-{story.number}-{story.moved}.txt")
        story.moved += 1

    def propose_again(self, approval: str) -> None:
        """Ask for the same change on main as it is now."""
        answer = self._post("dana", f"/api/v1/approvals/{approval}/propose-again", {})
        self._expect(answer, "propose again", 200, 201, 202, 409)

    def answer(self, story: Story, escalation: dict[str, Any]) -> None:
        """Let the task go on, as a person would who has time for it."""
        wanted = ("retry_with_note", "raise_limit_once", "go_on_without")
        choice = next((each for each in wanted if each in escalation["options"]), "stop")
        body = {"choice": choice, "note": UNBLOCK if choice == "retry_with_note" else ""}
        path = f"/api/v1/tasks/{story.id}/escalations/{escalation['id']}"
        answer = self._post("dana", path, body)
        self._expect(answer, f"answer {choice}", 200, 409)
        if answer is not None and answer.status_code == 200:
            story.answered += 1

    def stop(self, story: Story) -> None:
        """Stop a task."""
        answer = self._post("mira", f"/api/v1/tasks/{story.id}/cancel", {"reason": "Enough."})
        self._expect(answer, "stop", 200, 409)
        story.stopped = answer is not None and answer.status_code in {200, 409}

    def pause(self, story: Story, *, resume: bool) -> None:
        """Hold a task, or let it go on."""
        verb = "resume" if resume else "pause"
        answer = self._post("mira", f"/api/v1/tasks/{story.id}/{verb}", {"reason": "A break."})
        self._expect(answer, verb, 200, 409)
        if answer is not None and answer.status_code in {200, 409}:
            story.paused = f"{verb}d" if resume else "paused"

    def _view(self, who: str, approval: str) -> bool:
        """Mark each file as viewed; tell whether all of it was answered."""
        at = f"/api/v1/approvals/{approval}"
        found = self._get(who, at)
        self._expect(found, "read", 200)
        if found is None or found.status_code != 200:
            return False
        for file in found.json()["snapshot"]["files"]:
            answer = self._post(who, f"{at}/viewed", {"path": file["path"]})
            self._expect(answer, "view", 200)
            if answer is None or answer.status_code != 200:
                return False
        return True

    def _expect(self, answer: httpx.Response | None, what: str, *statuses: int) -> None:
        if answer is None:
            return
        self.said[f"{what} {answer.status_code}"] += 1
        if answer.status_code not in {*statuses, *_BUSY}:
            self.faults.append(f"{what} said {answer.status_code}: {answer.text[:200]}")

    def _send_request(self, story: Story) -> httpx.Response | None:
        body = {"project": story.project, "request": story.request}
        key = {"Idempotency-Key": f"story-{story.number}"}
        try:
            return self._asker.post("/api/v1/tasks", json=body, headers=key)
        except _AWAY:
            return None

    def _post(self, who: str, path: str, body: dict[str, Any]) -> httpx.Response | None:
        try:
            client = self._session(who)
            token = client.cookies.get("csrftoken") or ""
            return client.post(path, json=body, headers={"X-CSRFToken": token})
        except _AWAY:
            return None

    def _get(self, who: str, path: str) -> httpx.Response | None:
        try:
            return self._session(who).get(path)
        except _AWAY:
            return None

    def _session(self, who: str) -> httpx.Client:
        if who not in self._sessions:
            client = httpx.Client(base_url=self.house.url, timeout=15)
            client.get("/sign-in").raise_for_status()
            form = {"username": who, "password": PASSWORD}
            form["csrfmiddlewaretoken"] = client.cookies.get("csrftoken") or ""
            if client.post("/sign-in", data=form).status_code != 302:
                client.close()
                raise httpx.HTTPError(f"{who} could not sign in")
            self._sessions[who] = client
        return self._sessions[who]
