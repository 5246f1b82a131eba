"""The roof of the house: settings, API, console, live updates, commands."""
