"""The parameters of a job as they are stored: secrets encrypted, each with who typed it.

Pages, forms and commands handle stored secrets without reading them; who works on the job does, when it begins to.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from batchweb import secrets
from jobs import processors
from jobs.processors import Amended, Parameter, ParameterError, Processor
from jobs.processors.values import BY, ENCRYPTED, is_encrypted

Values = Mapping[str, Any]
SENT: Final = ("upload", "shape", "columns", "mapping")  # of a job: what goes to the processor beside its parameters

MOVED: Final = (
    "“{}” was changed meanwhile, and secrets go along with it. It is shown as it is now; "
    "look at it, and type secrets of yours again."
)


class Unreadable(ValueError):
    """A stored secret that the keys of this server do not decrypt."""


def place(code: str, name: str) -> str:
    """What a parameter of a job is bound to: copied to another job, or to another parameter, it is of no use."""
    return f"job {code} {name}"


def stored(code: str, processor: str, values: Values, before: Values, by: int | None) -> dict[str, Any]:
    """The values with those encrypted that are secret and were typed; what stood there `before` stays as it is."""
    secret = declared(processor)
    return {
        name: value if value is None or name not in secret or kept(value, before.get(name)) else
        encrypted(code, name, value, by)
        for name, value in values.items()
    }  # fmt: skip


def kept(value: Any, before: Any) -> bool:
    return is_encrypted(value) and value == before


def encrypted(code: str, name: str, value: Any, by: int | None) -> dict[str, Any]:
    """A value of any type as it is stored; an older version takes it for no text, and pauses the job."""
    return {ENCRYPTED: secrets.encrypt(json.dumps(value), place(code, name)), BY: by}


def opened(code: str, values: Values) -> dict[str, Any]:
    """The values as the processor gets them. Raises Unreadable with a sentence."""
    return {name: decrypted(code, name, value) if is_encrypted(value) else value for name, value in values.items()}


def decrypted(code: str, name: str, value: Values) -> Any:
    """What a stored secret is. Raises Unreadable with a sentence."""
    try:
        return json.loads(secrets.decrypt(value[ENCRYPTED], place(code, name)))
    except secrets.Unreadable as error:
        raise Unreadable(
            f"The secret “{name}” cannot be read with the keys of this server. "
            "Cancel the job, and enter it again under Retry."
        ) from error


def public(processor: str, values: Values) -> dict[str, Any]:
    """The values that everybody may see who sees the job."""
    secret = secret_names(processor, values)
    return {name: value for name, value in values.items() if name not in secret}


def secret_names(processor: str, values: Values) -> set[str]:
    """Which of the values nobody may see; all of them where the processor is gone."""
    if processor not in processors.names():
        return set(values)
    return declared(processor) | {name for name, value in values.items() if is_encrypted(value)}


def declared(processor: str) -> set[str]:
    """The parameters that the processor says to be secret; none where it is gone."""
    known = processors.get(processor).parameters if processor in processors.names() else ()
    return {one.name for one in known if one.secret}


def of_others(values: Values, by: int | None) -> list[str]:
    """The stored secrets that somebody else typed than the person; commands on the server act for everybody."""
    return sorted(name for name, value in values.items() if is_encrypted(value) and by not in (None, value[BY]))


def to_type_again(
    processor: Processor, before: Values, values: Values, by: int | None, sent: Collection[str] = ()
) -> dict[str, str]:
    """Stored secrets that may not be used with these values, each with a sentence.

    Another parameter may send a secret elsewhere, unless it says that it is harmless. Who has not typed the secret may
    use it with nothing else than it was typed for; `sent` are the names of what else changes.
    """
    changed = [one for one in processor.parameters if values.get(one.name) != _cleaned(one, before.get(one.name))]
    elsewhere = next((one.name for one in changed if not one.harmless), "")
    theirs = of_others(values, by) if changed or sent else []
    secret = {name: value for name, value in values.items() if is_encrypted(value)}
    why = {name: _why_again(kept(value, before.get(name)), elsewhere, name in theirs) for name, value in secret.items()}
    return {name: f"Type “{name}” again: {sentence}" for name, sentence in why.items() if sentence}


def _why_again(kept: bool, elsewhere: str, theirs: bool) -> str:
    if not kept:
        return "it was changed meanwhile."
    if elsewhere:
        return f"“{elsewhere}” changes, which may send it to another place."
    return "somebody else typed it, for the settings as they were." if theirs else ""


def amended(processor: str, before: Values, changed: Values) -> dict[str, Any]:
    """The stored parameters with some changed. Raises ParameterError for what is wrong among these."""
    return processors.get(processor).clean(Amended({**before, **changed}, before))


def moved(processor: str, seen: Values, now: Values, changed: Values) -> list[str]:
    """Which parameters are not what a person saw who has secrets sent along with them, typed (`changed`) or stored.

    What is harmless may be another one, and all may where there is no secret.
    """
    secret = secret_names(processor, now)
    if processor not in processors.names() or not any(changed.get(name) or now.get(name) for name in secret):
        return []
    minded = {one.name for one in processors.get(processor).parameters if not one.harmless} - secret
    return [name for name, value in seen.items() if name in minded and now.get(name) != value]


def _cleaned(parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.clean(value)
    except ParameterError:
        return value
