"""`manage.py up`: starts, watches and stops everything Countersign needs on one machine.

Django is not imported here: the supervisor stays small for as long as it runs.
"""
