"""Opens the feed of one task for whoever shows they may watch it; both transports come through here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.live import identity, tickets
from countersign.live.feeds import TaskFeed
from countersign.live.replaying import NotWatchable

if TYPE_CHECKING:
    import uuid

    from countersign.live.identity import Shown, Viewer


class NotSignedIn(Exception):
    """Nobody, or somebody unknown by now."""


async def viewer_of(shown: Shown) -> Viewer:
    """Return who it is; raises NotSignedIn, or DatabaseError."""
    viewer = await identity.viewer_of(shown)
    if viewer is None:
        raise NotSignedIn
    return viewer


async def open_feed(task_id: uuid.UUID, *, after: int, shown: Shown, ticket: str = "") -> TaskFeed:
    """Return an open feed; raises NotSignedIn, NotWatchable, or DatabaseError.

    With a ticket no session, token or membership is read.
    """
    proven = tickets.read(ticket, shown, task_id) if ticket else None
    feed = TaskFeed(task_id, after=after, viewer=proven or await viewer_of(shown))
    try:
        await feed.open(proven=proven is not None)
    except NotWatchable:
        # A token may be remembered here and revoked by now: say so, not that there is no task.
        identity.forget(shown)
        await viewer_of(shown)
        raise
    return feed
