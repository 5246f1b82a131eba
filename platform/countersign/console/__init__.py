"""The console: pages, fragments and forms for people."""
