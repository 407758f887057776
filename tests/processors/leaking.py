"""Processors that tell their secret in every way that code has; a module of a user's, for tests of what comes of it."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from jobs.processors import Context, Failed, Parameter, processor

library = logging.getLogger("some.client")


def spellings(secret: str) -> Iterator[str]:
    """The secret as it turns up in what programs write."""
    raw = secret.encode()
    yield from (secret, secret + "\n", f"Bearer {secret}\r\n", repr(secret), ascii(secret), repr(raw), raw.hex())
    yield from (quote(secret), quote(secret, safe="").lower(), quote_plus(secret))
    yield quote(quote(secret, safe=""), safe="")
    yield from (json.dumps(secret), json.dumps({"key": json.dumps(secret)}), json.dumps(secret).replace("/", "\\/"))
    yield from (html.escape(secret), raw.hex().upper())
    for user in (b"", b"u:", b"us:", b"user:"):
        for made in (base64.b64encode(user + raw), base64.urlsafe_b64encode(user + raw).rstrip(b"=")):
            yield from (made.decode(), quote(made.decode(), safe=""))
    yield from (secret[:20] + "…", "…" + secret[-20:], secret[: len(secret) // 2])


def everywhere(secret: str) -> str:
    return " | ".join(spellings(secret))


class Refused(Exception):
    pass


def raises(secret: str) -> None:
    raise Refused(everywhere(secret))


def chains(secret: str) -> None:
    try:
        try:
            raise KeyError(secret)
        except KeyError as first:
            raise ValueError(everywhere(secret)) from first
    except ValueError as second:
        error = Refused("refused")
        error.add_note(f"with {secret}")
        raise error from second


def names_its_kind(secret: str) -> None:
    raise Failed(f"refused {secret}", everywhere(secret))


def is_cut(secret: str) -> None:
    raise Refused("." * (2_000 - len(secret) // 2) + secret + "." * 9_000)


def is_huge(secret: str) -> None:
    raise Refused(secret * 20_000)


def tells_its_locals(secret: str) -> None:
    try:
        raises(secret)
    except Refused as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        raise Refused("".join(told.format())) from None


def groups(secret: str) -> None:
    raise ExceptionGroup("many", [ValueError(secret), KeyError(everywhere(secret))])


def logs(secret: str) -> None:
    for way in spellings(secret):
        library.warning("GET https://example.org/?key=%s", way)
    library.error("%s", {"headers": [("authorization", everywhere(secret))]})
    library.warning("%d of %s", secret, "wrong arguments")
    logging.getLogger().warning(everywhere(secret))
    raise Refused("logged")


def logs_a_trace(secret: str) -> None:
    try:
        raises(secret)
    except Refused:
        library.exception("refused with %s", secret, stack_info=True)
    raise Refused("logged")


def logs_in_a_thread(secret: str) -> None:
    other = threading.Thread(target=library.warning, args=(f"from afar {everywhere(secret)}",))
    other.start()
    other.join()
    raise Refused("logged")


def dies_in_a_thread(secret: str) -> None:
    other = threading.Thread(target=raises, args=(secret,))
    other.start()
    other.join()
    raise Refused("died")


def warns(secret: str) -> None:
    warnings.warn(everywhere(secret), stacklevel=1)
    raise Refused("warned")


def prints(secret: str) -> None:
    print("printed", everywhere(secret))  # noqa: T201
    print("printed", everywhere(secret), file=sys.stderr, flush=True)  # noqa: T201
    traceback.print_exception(Refused(secret))
    raise Refused("printed")


def hangs(secret: str) -> None:
    library.warning("hanging with %s", everywhere(secret))
    time.sleep(4)
    library.warning("late with %s", everywhere(secret))
    raise Refused(secret)


def crashes(secret: str) -> None:
    library.warning("crashing with %s", everywhere(secret))
    print(everywhere(secret), file=sys.stderr, flush=True)  # noqa: T201
    os.abort()


def cannot_be_sent(secret: str) -> Any:
    class Odd:
        def __reduce__(self) -> Any:
            raise Refused(everywhere(secret))

    return Odd()


WAYS: dict[str, Callable[[str], Any]] = {
    one.__name__: one
    for one in (
        raises, chains, names_its_kind, is_cut, is_huge, tells_its_locals, groups, logs, logs_a_trace,
        logs_in_a_thread, warns, prints, hangs,
    )
}  # fmt: skip
# Only in a process of the product's own: the one that runs tests takes it as a failure of theirs.
IN_WORKER = WAYS | {one.__name__: one for one in (dies_in_a_thread,)}
# Only in a child process.
IN_CHILD = IN_WORKER | {one.__name__: one for one in (crashes, cannot_be_sent)}

SECRET = Parameter("token", secret=True)


def leak(inputs: Mapping[str, Any], context: Context) -> Any:
    """Tells its secret in the way that the row names."""
    context.logger.warning("my own line with %s", everywhere(context.parameters["token"]))
    return IN_CHILD[inputs["way"]](context.parameters["token"])


def instead(inputs: Mapping[str, Any], failure: Any, parameters: Mapping[str, Any]) -> Any:
    """A fallback that fails, too."""
    raise Refused(everywhere(parameters["token"]))


processor("leak", inputs=["way"], parameters=[SECRET], fallback=instead)(leak)
processor("leak-in-child", inputs=["way"], parameters=[SECRET], kind="cpu")(leak)
