"""A person who uses the API with a session, as a browser's script would."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.stack import Stack


class HttpPerson:
    """Signed in by the form; sends the CSRF token with every change."""

    def __init__(self, stack: Stack, who: str) -> None:
        account = stack.accounts[who]
        self.client = httpx.Client(base_url=stack.url, follow_redirects=False, timeout=30)
        self.client.get("/sign-in")
        form = {"username": account["username"], "password": account["password"]}
        answer = self.client.post("/sign-in", data=form | self._csrf_field())
        assert answer.status_code == 302, answer.text[:500]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str) -> dict[str, Any]:
        """Read something; it must be there."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Send a change."""
        return self.client.post(path, json=body, headers={"X-CSRFToken": self._csrf()})

    def wait_for(self, task: str, states: Collection[str], seconds: float = 90) -> dict[str, Any]:
        """Poll a task until it is in one of the states."""
        deadline = time.monotonic() + seconds
        while (found := self.get(f"/api/v1/tasks/{task}"))["state"] not in states:
            assert time.monotonic() < deadline, f"still {found['state']}: {found['escalations']}"
            time.sleep(0.1)
        return found

    def wait_for_approval(
        self, task: str, but_not: str = "", seconds: float = 30
    ) -> dict[str, Any]:
        """Poll until a sealed approval of the task is pending; return it whole."""
        deadline = time.monotonic() + seconds
        while True:
            pending = self.get("/api/v1/approvals?state=pending")["results"]
            for row in pending:
                if row["task"]["id"] == task and row["id"] != but_not:
                    return self.get(f"/api/v1/approvals/{row['id']}")
            assert time.monotonic() < deadline, "no approval was sealed"
            time.sleep(0.1)

    def view_all(self, approval: dict[str, Any]) -> None:
        """Mark each file of what is sealed as viewed."""
        for file in approval["snapshot"]["files"]:
            answer = self.post(f"/api/v1/approvals/{approval['id']}/viewed", {"path": file["path"]})
            assert answer.status_code == 200, answer.text

    def _csrf(self) -> str:
        return self.client.cookies.get("csrftoken") or ""

    def _csrf_field(self) -> dict[str, str]:
        return {"csrfmiddlewaretoken": self._csrf()}
