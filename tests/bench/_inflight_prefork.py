"""The plain way: a Celery app whose task waits for its model, one process a waiting step."""

from __future__ import annotations

import json
import os
import urllib.request

from celery import Celery

app = Celery("before", broker=os.environ["REDIS_URL"])
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 1
app.conf.task_default_queue = "before"


@app.task(name="before.step")  # type: ignore[untyped-decorator]
def step(number: int) -> None:
    """Ask the model and read its stream to the end."""
    body = json.dumps(
        {"stream": True, "messages": [{"role": "user", "content": f"flight-{number}"}]}
    )
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    asked = urllib.request.Request(url, body.encode())  # noqa: S310  # our stub, on loopback
    with urllib.request.urlopen(asked, timeout=600) as answer:  # noqa: S310
        for line in answer:
            if line.startswith(b"data: {"):
                json.loads(line[6:])
