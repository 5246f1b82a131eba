"""librdkafka's own mock Kafka cluster, in a process that can be paused: `python -m tests.kafka_child`.

Prints where it listens; ends when its standard input is closed.
"""

from __future__ import annotations

import sys

from confluent_kafka import Producer


def main() -> None:
    """Serve until told to end."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    brokers = host.list_topics(timeout=30).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
