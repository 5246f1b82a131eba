"""Sends the event log to Kafka, at least once and in the order of its commits."""
