"""Circuit breakers: each rule is a pure function from ledger rows to a verdict."""
