"""How often something may be tried: counted in the database, for a name at an address, for a name, for an address.

A try is counted before it is made, and taken back when it was right: of fifty tries at once no more pass than of fifty
one after the other. A wait doubles with each further try and ends by itself; what is refused meanwhile counts no more.
So nobody can keep somebody else out for good: from an address where a person signed in of late, tries that are made
elsewhere under their name do not count.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.timesince import timeuntil

from batchweb.accounts.addresses import address_of, network_of
from jobs.models import SecurityEvent, Throttle

logger = logging.getLogger(__name__)

KNOWN: Final = timedelta(days=30)  # how long an address counts as one of the person's own


@dataclass(frozen=True)
class Rule:
    """After `free` tries each further one waits, `first` seconds and then twice as long each time, `most` at most.

    A count is forgotten `forget` seconds after the last try.
    """

    free: int
    first: float
    most: float
    forget: float = 3600.0

    def wait(self, count: int) -> timedelta | None:
        if count < self.free:
            return None
        return timedelta(seconds=min(self.most, self.first * 2.0 ** min(count - self.free, 20)))


PAIR: Final = Rule(5, 30, 900)
NAME: Final = Rule(30, 30, 300)
ADDRESS: Final = Rule(60, 60, 900)
# Of steps that guess nothing, but each of which leaves a session or asks a company's server.
STEPS: Final = Rule(300, 30, 300)
# Of mails that somebody asks for: three, and then one an hour.
MAILS_TO: Final = Rule(3, 3600, 3600)
MAILS_FROM: Final = Rule(20, 900, 3600)


@dataclass
class Try:
    """One try that was counted. `until`: it is refused, and until when."""

    until: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    news: bool = False  # whether this is the first refusal of its wait
    known: bool = False  # whether somebody of this name signed in from this address of late

    @property
    def sentence(self) -> str:
        """What a person is told who has to wait."""
        left = timeuntil(self.until, depth=1) if self.until else ""
        return f"Too many tries. Try again in {'a minute' if left.startswith('0') else left}."

    def right(self) -> None:
        """Takes the try back. The name at this address is forgiven, the rest only forgets this one."""
        for key, count in self.counts.items():
            if key.count(":") == 2:
                Throttle.objects.filter(key=key).delete()
            elif not Throttle.objects.filter(key=key, count=count).update(count=count - 1, until=None):
                Throttle.objects.filter(key=key).update(count=Greatest(F("count") - 1, 0))


def try_to(what: str, name: str, request: HttpRequest | None) -> Try:
    """Counts a try of `name` (as typed, or what stands for a person) to do `what`; refused where it has to wait."""
    network, who = network_of(request), digest(name)
    if not network:  # a command, or a server that does not say: there is only the name to count
        return count({f"{what}:{who}": PAIR})
    where = digest(network)
    rules = {f"{what}:{who}:{where}": PAIR, f"{what}:{where}": ADDRESS}
    if not (before := known(name, request)):
        rules[f"{what}:{who}"] = NAME
    return replace(count(rules), known=before)


def try_from(what: str, request: HttpRequest | None, rule: Rule = ADDRESS) -> Try:
    """Counts a try that comes under no name."""
    return count({f"{what}:{digest(network_of(request))}": rule})


def try_of(what: str, name: str, rule: Rule) -> Try:
    """Counts a try under a name, wherever it comes from."""
    return count({f"{what}:{digest(name)}": rule})


def count(rules: dict[str, Rule]) -> Try:
    """Counts one try under each key, or, where one of them has to wait, under none."""
    now = timezone.now()
    with transaction.atomic():
        # Always in the same order: else two of them could wait for each other.
        rows = [row_of(key, now) for key in sorted(rules)]
        waiting = [row for row in rows if row.until and row.until > now]
        if waiting:
            return refused(waiting)
        for row in rows:
            add(row, rules[row.key], now)
    return Try(counts={row.key: row.count for row in rows})


def row_of(key: str, now: datetime) -> Throttle:
    Throttle.objects.bulk_create([Throttle(key=key, last=now)], ignore_conflicts=True)
    return Throttle.objects.select_for_update().get(key=key)


def add(row: Throttle, rule: Rule, now: datetime) -> None:
    if row.last < now - timedelta(seconds=rule.forget):
        row.count = 0
    row.count += 1
    wait = rule.wait(row.count)
    row.last, row.until, row.told = now, now + wait if wait else None, False
    row.save(update_fields=["count", "last", "until", "told"])


def refused(waiting: Sequence[Throttle]) -> Try:
    news = not all(row.told for row in waiting)
    Throttle.objects.filter(pk__in=[row.pk for row in waiting]).update(told=True)
    return Try(until=max(row.until for row in waiting if row.until), news=news)


def once(what: str, value: str, seconds: float) -> bool:
    """Whether this value is used for the first time within so many seconds."""
    return count({f"{what}:{digest(value)}": Rule(1, seconds, seconds, seconds)}).until is None


def forgive(name: str) -> int:
    """Lets `name` try again at once, everywhere. Returns how many counts it had."""
    found = Throttle.objects.filter(key__contains=f":{digest(name)}")
    return found.delete()[0]


def forgive_address(address: str) -> int:
    """Lets an address try again at once. Returns how many counts it had."""
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = address
    return Throttle.objects.filter(key__endswith=f":{digest(network_of(request))}").delete()[0]


def known(name: str, request: HttpRequest | None) -> bool:
    """Whether somebody of this name signed in from this address of late."""
    address = address_of(request)
    seen = SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGNED_IN, name=name[:150], address=address)
    return bool(address) and seen.filter(at__gt=timezone.now() - KNOWN).exists()


def known_addresses(most: int) -> set[str]:
    """Where somebody signed in of late, the latest `most` sign-ins at least."""
    seen = SecurityEvent.objects.filter(kind=SecurityEvent.Kind.SIGNED_IN, at__gt=timezone.now() - KNOWN)
    return {address for address in seen.order_by("-at").values_list("address", flat=True)[:most] if address}


def forget() -> None:
    """The keeper's part: counts that nothing looks at any more."""
    Throttle.objects.filter(last__lt=timezone.now() - timedelta(hours=3)).delete()


def digest(text: str) -> str:
    """A name or an address as part of a key; names that differ only in their writing are one."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return salted_hmac("batchweb.throttle", plain, secret=settings.SECRET_KEY, algorithm="sha256").hexdigest()[:24]
