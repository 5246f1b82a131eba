"""The ground floor: who may see and do what."""
