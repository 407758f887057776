"""One question to an OpenAI-compatible chat endpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from jobs.engine import RetryLater
from jobs.processors import certificates
from jobs.processors.base import Failed
from jobs.processors.environment import setting
from jobs.processors.retry_after import wait_of

# What may pass by itself: the kinds to name in a policy's `retry_on`.
PASSING = ("server error", "connection failed", "timed out", "unusable answer")
# For a service that does not say how long. The engine makes it longer each time that it is refused again.
WAIT = 1.0
LONGEST_WAIT = 3600.0
TIMEOUT = httpx.Timeout(55.0, connect=10.0)
THOUGHT, THOUGHT_OUT = "<think>", "</think>"
PERMANENT = {
    400: ("bad request", "The language model refused the request"),
    401: ("not authorised", "The language model service does not accept LLM_API_KEY."),
    403: ("not authorised", "LLM_API_KEY may not use this language model."),
    404: ("not found", "The language model service does not know LLM_MODEL, or LLM_BASE_URL is wrong."),
    422: ("bad request", "The language model refused the request"),
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model answers, and the key that opens it."""

    base_url: str = field(repr=False)
    api_key: str = field(repr=False)
    model: str = ""


def configured() -> Endpoint | None:
    """The endpoint that the environment names; None unless all three settings are there."""
    values = setting("LLM_BASE_URL").rstrip("/"), setting("LLM_API_KEY"), setting("LLM_MODEL")
    return Endpoint(*values) if all(values) else None


class Chat:
    """A connection for one thread. Nothing that it raises or logs holds the key or the address."""

    def __init__(self, endpoint: Endpoint) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", endpoint.api_key):
            raise Failed("not authorised", "LLM_API_KEY holds characters that cannot be sent.")
        self._endpoint = endpoint
        secure = endpoint.base_url.lower().startswith("https:")
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {endpoint.api_key}"},
            timeout=TIMEOUT,
            verify=certificates.shared(trust_env=True) if secure else certificates.none(),
        )

    def ask(self, messages: list[dict[str, str]], temperature: float | None = None) -> str:
        """The model's answer on one line. Raises Failed, or RetryLater when the service asks to wait."""
        question: dict[str, Any] = {"model": self._endpoint.model, "messages": messages}
        if temperature is not None:
            question["temperature"] = temperature
        response = self._post(question)
        if response.status_code != 200:
            raise self._refusal(response)
        return _answer(response)

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def _post(self, question: dict[str, Any]) -> httpx.Response:
        # `from None`: the client's own errors may quote headers and addresses.
        try:
            return self._http.post(f"{self._endpoint.base_url}/chat/completions", json=question)
        except httpx.TimeoutException:
            raise Failed("timed out", "The language model did not answer in time.") from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise Failed("bad setting", "LLM_BASE_URL is no http or https address.") from None
        except httpx.HTTPError:
            raise Failed("connection failed", "The language model service could not be reached.") from None

    def _refusal(self, response: httpx.Response) -> Exception:
        status = response.status_code
        if status == 429:
            return _too_many(response)
        if status >= 500:
            return Failed("server error", f"The language model service answered {status}.")
        if status == 408:
            return Failed("timed out", "The language model service gave up waiting.")
        kind, sentence = PERMANENT.get(status, (f"http {status}", f"The language model service answered {status}."))
        return Failed(kind, sentence if sentence.endswith(".") else sentence + self._reason(response))

    def _reason(self, response: httpx.Response) -> str:
        """What the service says about it; some echo the key, so it is blotted out."""
        message = _error(response).get("message")
        if not isinstance(message, str) or not message.strip():
            return "."
        text = " ".join(message.replace(self._endpoint.api_key, "•••").split())
        return f": {text[:300]}"


def _too_many(response: httpx.Response) -> Exception:
    if _error(response).get("code") == "insufficient_quota":
        # Sent as 429 too, but no wait fixes it.
        return Failed("quota used up", "The quota of LLM_API_KEY is used up.")
    return RetryLater(wait_of(response.headers, most=LONGEST_WAIT) or WAIT)


def _error(response: httpx.Response) -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {"message": error}


def without_thoughts(text: str) -> str:
    """What some models say aloud before they answer is left out; a thought without an end is none."""
    *parts, rest = text.split(THOUGHT_OUT)
    said = (part.partition(THOUGHT) for part in parts)
    return "".join(before + (" " if begins else THOUGHT_OUT) for before, begins, _ in said) + rest


def _answer(response: httpx.Response) -> str:
    try:
        content = response.json()["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        content = None
    text = " ".join(without_thoughts(content).split()) if isinstance(content, str) else ""
    if len(text) > 1 and text[0] + text[-1] in ('""', "''", "“”", "``") and text.count(text[0]) <= 2:
        text = text[1:-1].strip()
    if not text:
        raise Failed("unusable answer", "The language model answered with nothing that can be used.")
    return text
