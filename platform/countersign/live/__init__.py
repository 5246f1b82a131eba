"""Live updates: rows after a cursor, then one Redis subscription per process."""
