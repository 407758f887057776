"""What may lie in a queue that no batchweb has put there."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import Any

HEADERS = {"lang": "py", "task": "jobs.work", "id": "1", "root_id": "1", "parent_id": None, "group": None}
PROPERTIES = {
    "correlation_id": "1", "reply_to": "x", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
    "delivery_info": {"exchange": "", "routing_key": "work"}, "delivery_tag": "t1",
}  # fmt: skip
GOOD = json.dumps([[], {}, {"callbacks": None}])
NO_TEXT: tuple[Any, ...] = ([1], {"a": 1}, 7)
LIMITS: tuple[Any, ...] = (["a", "b"], 5, [-1, 10**400], [1, 1], "x")
IDS: tuple[Any, ...] = ({"a": []}, None, 7)
BODIES: tuple[str | bytes, ...] = (
    "[1, 2, 3]", '[["a", "b"], {"d": 1}, {}]', "[" * 100_000, "null", b"\xff\xfe", "{}", '"abc"',
    '[[], {}, {"callbacks": [{"task": "x"}], "chord": 7}]', "[[], {}, null]", '[[], {}, {"chord": {"a": 1}}]',
    "[null, {}, {}]", json.dumps([["x" * 3_000_000], {}, {}]),
)  # fmt: skip


def message(
    body: str | bytes = GOOD, headers: Any = None, properties: dict[str, Any] | None = None, **envelope: Any
) -> str:
    """As it lies in the queue; `headers` and `properties` replace single ones."""
    data = body if isinstance(body, bytes) else body.encode()
    outside = {"content-encoding": "utf-8", "content-type": "application/json", "headers": HEADERS | (headers or {})}
    inside = {"body": base64.b64encode(data).decode(), "properties": PROPERTIES | (properties or {})}
    return json.dumps(outside | inside | {name.replace("_", "-"): value for name, value in envelope.items()})


def load(argument: str) -> str:
    return message(f"[[{argument}], {{}}, {{}}]", {"task": "jobs.load_file"})


ODD: dict[str, str | bytes] = {
    "nothing": "",
    "null": "null",
    "list": "[]",
    "number": "7",
    "text": '"x"',
    "object": "{}",
    "nested": "[" * 50_000,
    "bytes": b"\xff\xfe",
    "typed": '{"__type__": "nobody", "__value__": 1}',
    "no properties": json.dumps({"body": "e30=", "properties": None}),
    "headers null": json.dumps(json.loads(message()) | {"headers": None}),
    "headers empty": json.dumps(json.loads(message()) | {"headers": {}}),
    "headers text": json.dumps(json.loads(message()) | {"headers": "x"}),
    "pickle": message(pickle.dumps(1), content_type="application/x-python-serialize"),
    "yaml": message(content_type="application/x-yaml"),
    "type null": message(content_type=None),
    "type list": message(content_type=[1]),
    "encoding": message(content_encoding="no-such"),
    **{f"task {task!r}": message(headers={"task": task}) for task in (["a"], {"a": 1}, None, 7, "os.system",
       "celery.map", "celery.chord_unlock", "celery.backend_cleanup")},
    **{f"id {one!r}": message(headers={"id": one}) for one in IDS},
    **{f"{name} {one!r}": message(headers={name: one}) for name in ("eta", "expires", "shadow", "retries", "group",
       "stamped_headers", "stamps", "replaced_task_nesting") for one in ("never", *NO_TEXT)},
    **{f"{name} {one!r}": message(headers={name: one}) for name in ("argsrepr", "origin", "root_id")
       for one in NO_TEXT},
    "expires object": message(headers={"expires": {}}),
    "expires list": message(headers={"expires": []}),
    **{f"timelimit {at}": message(headers={"timelimit": one}) for at, one in enumerate(LIMITS)},
    **{f"body {at}": message(body) for at, body in enumerate(BODIES)},
    **{f"argument {at}": load(one) for at, one in enumerate(('{"a": 1}', "9" * 30, '"\\u0000"', "1.5", "true", "NaN"))},
    "packed": message(zlib.compress(b"x" * 30_000_000), {"compression": "application/x-gzip"}),
    "packing": message(headers={"compression": [1]}),
    "unknown code": message(properties={"body_encoding": "rot13"}),
    "code list": message(properties={"body_encoding": [1]}),
    "no base64": message(body="%%%").replace(base64.b64encode(b"%%%").decode(), "%%%"),
    "address": message(properties={"delivery_info": None}),
    "address list": message(properties={"delivery_info": {"exchange": [1], "routing_key": "work"}}),
    "sender": message(properties={"reply_to": [1], "correlation_id": {}}),
    "tag null": message(properties={"delivery_tag": None}),
    "tag list": message(properties={"delivery_tag": [1]}),
}  # fmt: skip
