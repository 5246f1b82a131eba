"""Sends the event log to Kafka, at least once and leaving none out."""
