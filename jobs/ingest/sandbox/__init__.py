"""Reads what people send in processes that can be killed, with limits on CPU time, memory, disk and output. No Django.

A web server keeps one small fork server (`server`), which has imported the readers and forks a fresh child (`child`)
for each file in a few milliseconds. The child gets the file as an open descriptor and answers in JSON (`wire`). Whoever
asks waits no longer than the budget says (`session`), and has only so many children at a time (`slots`).
"""

from jobs.ingest.sandbox.budget import Budget
from jobs.ingest.sandbox.session import Failed, Sandbox, Session
from jobs.ingest.sandbox.slots import Slots

__all__ = ["Budget", "Failed", "Sandbox", "Session", "Slots"]
