"""The engine needs nothing but the standard library and tqdm, and no memory for items that are done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def script(text: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_it_loads_no_framework() -> None:
    text = """
import sys
from jobs.engine import batch_process_parallel
batch_process_parallel([1], str)
print({name.partition('.')[0] for name in sys.modules})
"""
    loaded = script(text)
    assert "'tqdm'" in loaded
    assert not any(f"'{name}'" in loaded for name in ("django", "celery", "channels", "kombu", "asgiref"))


def test_it_holds_no_more_memory_for_more_items() -> None:
    text = """
import resource
from jobs.engine import Policy, run
def most(count):
    for attempt in run(enumerate(range(count)), abs, Policy()):
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(-most(20_000) + most(400_000))
"""
    kilobytes = int(script(text))
    assert kilobytes < 5_000
