"""`manage.py submit` with a failure limit."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from jobs.models import Job
from tests.system import csv_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path) -> str:
    User.objects.create_superuser("root")
    (tmp_path / "rows.csv").write_text(csv_of(3))
    return str(tmp_path / "rows.csv")


def test_it_sets_no_limit_unless_asked(file: str) -> None:
    call_command("submit", file, "--processor", "simulate")
    assert not Job.objects.get().limit


def test_it_takes_a_limit(file: str) -> None:
    call_command("submit", file, "--processor=simulate", "--limit-share=25", "--limit-sample=40", "--limit-streak=5")
    limit = Job.objects.get().limit
    assert (limit.share, limit.sample, limit.count, limit.streak) == (25, 40, None, 5)


@pytest.mark.parametrize("option", ["--limit-share=100", "--limit-share=-1", "--limit-share=nan", "--limit-count=0",
                                    "--limit-streak=-3", "--limit-sample=0"])  # fmt: skip
def test_it_refuses_a_limit_that_makes_no_sense(file: str, option: str) -> None:
    with pytest.raises(CommandError, match=option.split("=")[0]):
        call_command("submit", file, "--processor=simulate", option)
    assert not Job.objects.exists()
