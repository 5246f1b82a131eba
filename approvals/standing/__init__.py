"""Standing grants: calls of one tool, like one a tech lead allowed, that go through without asking."""
