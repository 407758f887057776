"""Questions to the database that take long, from people who may ask them."""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import quote

import pytest

from tests.attacks import inputs, raw
from tests.attacks.attack import Attack
from tests.attacks.inputs import MB
from tests.attacks.target import Target, code_of
from tests.system import until

pytestmark = pytest.mark.attacks
NEEDLE = "a" * 199 + "b"


def job_of_long_rows(target: Target, rows: int) -> str:
    """The code of a job of rows of 900 kB, in which a search for NEEDLE begins anew at each letter."""
    line = json.dumps({"text": ("a" * 198 + "c") * 4_500}) + "\n"
    made = target.made("mallory", inputs.packed(line[:896_000], rows, 1), "a.jsonl.gz", param_seconds=0.001)
    code = code_of(made)
    if not code:
        pytest.skip(f"Such rows are refused: {made.status_code} {made.text[:200]}")
    until(lambda: target.state("mallory", code) in ("finished", "invalid", "paused"), 200, "the long rows were read")
    return code


def test_it_answers_others_while_long_rows_are_searched(attack: Attack) -> None:
    """25 searches in rows of 900 kB, and 25 that are hung up."""
    target = attack.target
    code = job_of_long_rows(target, 100)
    mallory = target.as_("mallory")
    places = [f"/jobs/{code}/items/?{state}q={NEEDLE}{at}" for at in range(13) for state in ("", "state=all&")][:25]
    with attack:
        attack.together([partial(leave, attack, place) for place in places])
        attack.together([partial(attack.ask, mallory, "GET", place) for place in places])
        attack.others_pass()
    target.post(mallory, f"/jobs/{code}/delete/", {})


def leave(attack: Attack, path: str, who: str = "mallory") -> None:
    """Asks, and does not wait."""
    with raw.line(attack.target) as connection:
        connection.sendall(raw.request(attack.target, "GET", path, f"Cookie: {raw.cookies(attack.target.as_(who))}"))
    attack.row.requests += 1


def test_it_answers_others_while_many_rows_are_searched_and_sorted(attack: Attack) -> None:
    """50 searches, sortings and downloads in 100,000 rows, half of them hung up."""
    target = attack.target
    rows = "".join(f"{'ab' * 40}{at},ok\n" for at in range(100_000))
    code = target.job("mallory", "name,simulate\n" + rows, then="check")
    until(lambda: target.state("mallory", code) == "ready", 200, "the rows were read")
    mallory = target.as_("mallory")
    asked = ["items/?q=nothing", "items/?state=all&q=ab", "items/?sort=-seconds&state=all",
             "items/?q=" + "ab" * 90 + "c", "items/?seconds=1&state=all", "results.csv", "results.jsonl",
             "failed.csv?rows=1-99999", "items/?row=99999", "problems.csv", "setup/", "causes/"]  # fmt: skip
    places = [f"/jobs/{code}/{place}" for place in asked]
    with attack:
        attack.together([partial(leave, attack, place) for place in places * 2])
        attack.together([partial(attack.ask, mallory, "GET", place) for place in places * 2], 24)
        attack.others_pass()
    target.post(mallory, f"/jobs/{code}/delete/", {})


PATTERNS = ("^(a+)+$", "(.*a){25}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a|aa)+$", "(x+x+)+y", "^(\\w+\\s?)*$")
LISTS = ("jobs/job/", "jobs/item/", "jobs/cause/", "jobs/worker/", "jobs/activity/", "auth/user/")


@pytest.mark.fast
def test_it_takes_no_pattern_from_an_address(attack: Attack) -> None:
    """Regular expressions as filters of the admin's lists."""
    target = attack.target
    code = target.job("mallory", f"name,simulate\n{'a' * 60},ok\n", name="a" * 60)
    fields = (
        "name",
        "upload__name",
        "code",
        "username",
        "title",
        "kind",
        "verb",
        "owner__username",
        "job__name",
        "payload",
    )
    asked = [f"/admin/{place}?{field}__{how}={quote(pattern)}" for place in LISTS for field in fields
             for how, pattern in zip(("regex", "iregex") * 3, PATTERNS, strict=True)]  # fmt: skip
    staff = target.as_("staffan")
    with attack:
        answers = attack.together([partial(attack.ask, staff, "GET", path) for path in asked[::3]], 8)
        taken = {str(answer.request.url) for answer in answers if answer is not None and filtered(answer.text, code)}
        attack.check(not taken, f"patterns filter lists: {sorted(taken)[:3]}")


def filtered(page: str, code: str) -> bool:
    """Whether the list shows the one job that such a filter would leave, and none beside."""
    return f">{code}<" in page and page.count('action-select"') == 1


def test_it_bounds_searches_of_the_admin(attack: Attack) -> None:
    """Searches of the admin for very many words."""
    target = attack.target
    words = quote(" ".join(f"word{at}" for at in range(1_500)))
    asked = [f"/admin/{place}?q={text}" for place in LISTS for text in (words, "a" * 7_000, "%25" * 2_000, "_" * 2_000)]
    with attack:
        attack.together([partial(attack.ask, target.as_("staffan"), "GET", path) for path in asked], 8)


@pytest.mark.fast
def test_it_answers_others_while_pages_are_asked_for_and_left(attack: Attack) -> None:
    """300 pages of all kinds by one person, hung up at once."""
    target = attack.target
    code = target.job("mallory", param_seconds=0.001)
    places = ["/", "/jobs/new/", f"/jobs/{code}/", f"/jobs/{code}/items/?state=all", f"/jobs/{code}/results.xlsx",
              f"/jobs/{code}/activity/", f"/jobs/{code}/series.json", "/jobs/list.json", "/readyz",
              "/admin/"]  # fmt: skip
    with attack:
        attack.together([partial(leave, attack, place) for place in places * 30], 50)


@pytest.mark.parametrize("megabytes", [3])
def test_it_compares_many_corrections(attack: Attack, megabytes: int) -> None:
    """Corrections that name each row very often."""
    target = attack.target
    code = target.job("mallory", "name,simulate\n" + "a,fail:ValueError\n" * 2_000, param_seconds=0.001)
    target.ended(target.as_("mallory"), code)
    sent = "row,name\n" + "".join(f"{at % 2_000 + 1},b\n" for at in range(megabytes * MB // 7))
    with attack:
        asked = partial(attack.ask, target.as_("mallory"), "POST", f"/jobs/{code}/corrections/",
                        files={"file": ("c.csv", sent)})  # fmt: skip
        attack.together([asked] * 6)
        attack.others_pass()
