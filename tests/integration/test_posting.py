"""What is posted to Redis hinders nobody: not even a child forked while it is being sent."""

from __future__ import annotations

import os
import signal
import threading
import time

from memory import posting


def at_work(held: threading.Event, over: threading.Event) -> None:
    """Hold the lock that a sending thread holds for a moment each time."""
    with posting._redis().connection_pool._lock:
        held.set()
        over.wait(60)


def ends(child: int, seconds: float = 20) -> bool:
    """Wait for a child; kill it when it does not end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def test_child_forked_while_something_is_sent_waits_for_no_lock_of_its_parent():
    held, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=at_work, args=(held, over))
    thread.start()
    try:
        assert held.wait(10)
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert ends(child)
    finally:
        over.set()
        thread.join()


def test_child_sends_by_a_connection_of_its_own():
    posting.post(lambda pipeline: pipeline.delete("cs:test:child"))
    assert posting.flush()
    child = os.fork()
    if child == 0:
        posting.post(lambda pipeline: pipeline.set("cs:test:child", "sent", ex=60))
        os._exit(0 if posting.flush() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    read: list[bytes] = []
    posting.post(lambda pipeline: read.append(posting._redis().get("cs:test:child")))
    assert posting.flush()
    assert read == [b"sent"]
