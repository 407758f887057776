"""What the image and the stack must stand, one function each."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from contextlib import suppress
from typing import Any, Final

import httpx

from tests.image.engine import Engine, say
from tests.image.stack import BUILDER, Stack
from tests.system import ROOT, csv_of, until

PERSON: Final = "ada"
PASSWORD: Final = "tea-and-biscuits"
ITEMS: Final = 300
LONG: Final = 600
SLOWLY: Final = 5.0  # rows a second, until the trial has seen enough: no machine is too slow or too fast for that
# The users and rights of each process of a container, its limits, and whether it may write to its root.
LOOK: Final = r"""
for status in /proc/[0-9]*/status; do
    sed -En "s/^(Uid|CapEff|CapBnd|NoNewPrivs):\s*/\1 /p" $status 2>/dev/null
done | sort -u
cd /sys/fs/cgroup
for file in memory/memory.limit_in_bytes memory.max; do [ ! -e $file ] || echo "memory $(cat $file)"; done
for file in pids/pids.max pids.max; do [ ! -e $file ] || echo "pids $(cat $file)"; done
for folder in / /etc /usr /app /venv; do
    [ ! -d $folder ] || ! touch $folder/probe 2>/dev/null || echo "wrote $folder"
done
"""


def build(engine: Engine, stack: Stack) -> str:
    untagged = engine.out("images", "-q", "-f", "dangling=true").split()
    stack.build()
    left = set(engine.out("images", "-q", "-f", "dangling=true").split()) - set(untagged)
    assert not left, f"The build left untagged images: {left}"
    size = int(engine.out("image", "inspect", "-f", "{{.Size}}", stack.image))
    return f"{size / 1e6:.0f} MB, none untagged"


def start(stack: Stack) -> str:
    stack.start()
    return ", ".join(f"{service} {state}" for service, state in stack.states().items())


def seen(stack: Stack, service: str) -> dict[str, set[str]]:
    """What `LOOK` shows in the container: name → values."""
    found: dict[str, set[str]] = {}
    for line in stack.inside(service, LOOK).splitlines():
        name, *values = line.split()
        found.setdefault(name, set()).update(values)
    return found


def confined(stack: Stack) -> str:
    """Every process of every container runs as no root, with no capability, on a root that nobody writes to."""
    wanted = json.loads(stack.compose("config", "--format", "json"))["services"]
    for service in sorted(set(wanted) - {BUILDER}):
        found = seen(stack, service)
        facts = (f"{name} {', '.join(sorted(values))}" for name, values in sorted(found.items()))
        say(f"    {service}: {'; '.join(facts)}")
        check_rights(service, found)
        for name in ("memory", "pids"):
            limit = {"memory": "mem_limit", "pids": "pids_limit"}[name]
            assert found[name] == {str(wanted[service][limit])}, f"{service} has a limit of {name} of {found[name]}"
        assert stack.inspect(service)["HostConfig"]["ReadonlyRootfs"], f"{service} has a root to write to"
    return f"{len(wanted) - 1} services"


def check_rights(service: str, found: dict[str, set[str]]) -> None:
    assert "0" not in found["Uid"], f"{service} has a process of root: {found['Uid']}"
    rights = found["CapEff"] | found["CapBnd"]
    assert {int(bits, 16) for bits in rights} == {0}, f"{service} has capabilities: {rights}"
    assert found["NoNewPrivs"] == {"1"}, f"{service} may gain rights"
    assert "wrote" not in found, f"{service} wrote to {found['wrote']}"


def signed_in(stack: Stack) -> httpx.Client:
    return stack.client(PERSON, PASSWORD)


def upload(stack: Stack, client: httpx.Client, rows: int, rate: str = "") -> str:
    """The code of the job that the form makes of so many rows; it starts at once."""
    fields = {"processor": "simulate", "workers": "10", "attempts": "3", "timeout": "60", "param_seconds": "0.01"}
    file = ("rows.csv", csv_of(rows).encode(), "text/csv")
    made = stack.post(client, "/jobs/new/", fields | {"rate": rate}, {"file": file})
    assert made.status_code == 200, made.text[:500]
    return str(made.json()["url"].split("/")[2])


def results(client: httpx.Client, code: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(f"/jobs/{code}/results.csv").text, newline="")))


def whole(stack: Stack, client: httpx.Client, code: str, rows: int, within: float = 240.0) -> dict[str, Any]:
    """The job ends with each row once, in order, and nothing stored contradicts itself."""
    frame = stack.ended(client, code, within)
    assert (frame["state"], frame["counts"]["succeeded"], frame["total"]) == ("finished", rows, rows), frame
    assert [row["name"] for row in results(client, code)] == [f"item {at}" for at in range(rows)]
    stack.check(code)
    return frame


def under_way(stack: Stack, client: httpx.Client) -> str:
    """The code of a job that has some rows done and goes slowly."""
    code = upload(stack, client, LONG, str(SLOWLY))
    until(lambda: stack.snapshot(client, code)["counts"]["succeeded"] > LONG / 20, 60, "the job is under way")
    return code


def hurried(stack: Stack, client: httpx.Client, code: str) -> str:
    """How far the job was; from now on it goes as fast as it can, and it ends whole."""
    done = answered(stack, client, code)
    assert done < LONG, "The job was over before the trial was"
    made = stack.manage("adjust", code, "--rate", "none")
    assert made.returncode == 0, made.stdout + made.stderr
    whole(stack, client, code, LONG)
    return f"{done} of {LONG} rows done when it had started again, and the job ended whole"


def job(stack: Stack) -> str:
    stack.person(PERSON, PASSWORD)
    client = signed_in(stack)
    whole(stack, client, upload(stack, client, ITEMS), ITEMS)
    return f"{ITEMS} rows through the web, in order"


def killed(stack: Stack, *services: str) -> str:
    """The first process of each of these containers is killed in the middle of one job."""
    client = signed_in(stack)
    code = under_way(stack, client)
    stack.crash(*services)
    until(stack.healthy, 120, "all services are healthy")
    return hurried(stack, client, code)


def answered(stack: Stack, client: httpx.Client, code: str) -> int:
    """How many rows are done, once a page comes again."""

    def counted() -> dict[str, int] | None:
        with suppress(httpx.TransportError):
            answer = client.get(f"/jobs/{code}/snapshot.json")
            return dict(answer.json()["counts"]) if answer.status_code == 200 else None
        return None

    return int(until(counted, 120, "a page comes")["succeeded"])


def stopped(stack: Stack) -> str:
    """All of it stops in the middle of a job, and goes on with what was stored."""
    client = signed_in(stack)
    code = under_way(stack, client)
    stack.stop()
    odd = {service: state for service, state in stack.states().items() if state != "exited 0"}
    assert not odd, f"They did not end as they were asked to: {odd}"
    stack.start()
    return hurried(stack, signed_in(stack), code)


def image_before() -> str:
    """The commit before the last one that changed migrations; empty where the history does not reach back to it."""
    wanted = os.environ.get("BEFORE", "")
    log = ("git", "log", "-1", "--first-parent", "--format=%H^", "--", "jobs/migrations")
    last = wanted or subprocess.run(log, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    found = subprocess.run(("git", "rev-parse", "--short", "--verify", "-q", f"{last}^{{commit}}"),
                           cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    return found.stdout.strip()


def upgraded(before: Stack, after: Stack) -> str:
    """A job that ended and one that runs are there after the upgrade, and the second one ends whole."""
    before.compose("up", "-d", "--no-build", timeout=300)
    until(lambda: before.state("worker") == "running", 120, "the worker of before runs")
    before.person(PERSON, PASSWORD)
    options = ("--user", PERSON, "--workers", "10")
    old = before.sent(csv_of(50), *options)
    long = before.sent(csv_of(LONG), *options, "--rate", str(SLOWLY))
    until(lambda: stored(before, long) > LONG / 20, 120, "the job is under way")
    rows = before.manage("results", old, "/tmp/old.csv", timeout=120)
    assert rows.returncode == 0, rows.stderr
    kept = before.inside("worker", "cat /tmp/old.csv")
    after.start()
    client = signed_in(after)
    assert client.get(f"/jobs/{old}/results.csv").text.split() == kept.split()
    return hurried(after, client, long)


def stored(stack: Stack, code: str) -> int:
    """How many rows of the job have succeeded."""
    succeeded = f"Item.objects.filter(job__code={code!r}, state=ItemState.SUCCEEDED)"
    made = stack.manage("shell", "-c", f"from jobs.models import Item, ItemState; print({succeeded}.count())")
    assert made.returncode == 0, made.stderr
    return int(made.stdout.split()[-1])
