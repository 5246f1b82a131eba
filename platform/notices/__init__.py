"""Tells people and other systems what happened: the bell, e-mail, webhooks."""
