"""Settings: what production demands, what headers say, what logs keep to themselves."""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.checks import run_checks
from django.test import SimpleTestCase, override_settings

from batchweb.middleware import Static
from batchweb.redact import Formatter, RefusedWithoutTrace
from batchweb.settings import check_strength, database, own_dir, private_dir, private_file, proxies
from batchweb.static_files import HashedStatic, bare
from tests.base import People, worked

NEEDED = {
    "PRODUCTION": "1",
    "SECRET_KEY": "a-secret-of-many-different-letters-0123456789-ABCDEFGHIJ",
    "ALLOWED_HOSTS": "batch.example.com",
    "DATABASE_URL": "postgres://batchweb:canary-password@db.example.com/batchweb",
    "REDIS_URL": "redis://cache.example.com:6379/0",
}
OTHERS = ("DEBUG", "CELERY_BROKER_URL", "HTTPS", "STATIC_ROOT", "SIMULATE_ALLOW_FAULTS", "DJANGO_ALLOW_ASYNC_UNSAFE")


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name not in (*NEEDED, *OTHERS)}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=environment | {"DATA_DIR": folder} | variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


class ProductionTests(SimpleTestCase):
    def test_it_stops_with_a_sentence_where_something_is_missing(self) -> None:
        for name, named in (("SECRET_KEY", "SECRET_KEY"), ("ALLOWED_HOSTS", "PUBLIC_URL or ALLOWED_HOSTS")):
            without = {key: value for key, value in NEEDED.items() if key != name}
            done = manage("check", **without)
            assert done.returncode == 1
            assert done.stderr == f"{named} must be set when PRODUCTION=1. The README says what to put there.\n"

    def test_it_stops_with_a_sentence_where_something_is_weak(self) -> None:
        weak = {"SECRET_KEY": "changeme", "DEBUG": "1", "ALLOWED_HOSTS": "batch.example.com,*"}
        for name, value in weak.items():
            done = manage("check", **{**NEEDED, name: value})
            assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
            assert done.stderr.startswith(f"{name} must ")

    def test_it_refuses_a_key_that_somebody_could_guess(self) -> None:
        for weak in ("", "x" * 60, "abc" * 20, "a-short-one-0123456789", "django-insecure-" + NEEDED["SECRET_KEY"]):
            with self.assertRaises(SystemExit):
                check_strength(weak)
        for strong in (NEEDED["SECRET_KEY"], secrets.token_urlsafe(50), secrets.token_hex(32)):
            check_strength(strong)

    def test_it_wants_proxies_that_it_understands(self) -> None:
        for name, value in (("BEHIND_PROXY", "many"), ("TRUSTED_PROXIES", "everywhere")):
            with patch.dict(os.environ, {name: value}), self.assertRaises(SystemExit):
                proxies()

    def test_it_counts_proxies(self) -> None:
        for text, count in (("", 0), ("0", 0), ("false", 0), ("1", 1), ("True", 1), ("2", 2)):
            with patch.dict(os.environ, {"BEHIND_PROXY": text, "TRUSTED_PROXIES": ""}):
                assert (proxies().count, "172.18.0.1" in proxies()) == (count, count > 0)

    def test_it_passes_every_check_of_a_deployment(self) -> None:
        done = manage("check", "--deploy", "--fail-level", "WARNING", **NEEDED)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr

    def test_it_warns_of_what_serves_one_machine_only(self) -> None:
        secrets = {name: NEEDED[name] for name in ("PRODUCTION", "SECRET_KEY", "ALLOWED_HOSTS")}
        done = manage("check", "--deploy", "--fail-level", "WARNING", **secrets)
        assert done.returncode == 1
        assert "jobs.W001" in done.stderr
        assert "jobs.W002" in done.stderr

    def test_it_hides_faults_and_caps_sockets(self) -> None:
        names = "s.JOBS_SOCKETS_PER_PERSON, s.SESSION_COOKIE_SECURE, os.environ['SIMULATE_ALLOW_FAULTS']"
        code = f"import os; from django.conf import settings as s; print({names})"
        assert manage("shell", "-v", "0", "-c", code, **NEEDED).stdout.split() == ["20", "True", "0"]
        assert manage("shell", "-v", "0", "-c", code).stdout.split() == ["1000", "False", "1"]


class LocalTests(SimpleTestCase):
    def test_it_makes_a_secret_of_its_own_and_keeps_it(self) -> None:
        from batchweb.settings import kept_secret

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "deeper" / "secret_key"
            first = kept_secret(path)
            assert len(first) >= 50
            assert kept_secret(path) == first
            assert path.stat().st_mode & 0o777 == 0o600
            assert [child.name for child in path.parent.iterdir()] == ["secret_key"]

    def test_it_makes_files_and_folders_private_whatever_the_umask(self) -> None:
        before = os.umask(0)
        try:
            with tempfile.TemporaryDirectory() as folder:
                made = [private_dir(Path(folder) / "a"), private_file(Path(folder) / "f"), own_dir(Path(folder) / "b")]
                assert [path.stat().st_mode & 0o777 for path in made] == [0o700, 0o600, 0o700]
        finally:
            os.umask(before)

    def test_it_uses_no_folder_for_sockets_that_others_may_open(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "open").mkdir()
            Path(folder, "open").chmod(0o755)
            Path(folder, "link").symlink_to(private_dir(Path(folder) / "elsewhere"))
            for name in ("open", "link"):
                with self.assertRaisesRegex(SystemExit, f"{name} must be a folder that only this user may open"):
                    own_dir(Path(folder) / name)

    def test_it_serves_static_files_without_a_warning(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "/static/jobs/css/app.css" in Static(lambda request: None).files

    def test_it_serves_static_files_to_servers_of_both_kinds(self) -> None:
        path = "/static/jobs/css/app.css"
        size = (Path(settings.BASE_DIR) / "jobs/static/jobs/css/app.css").stat().st_size
        plain: Any = self.client.get(path)
        assert len(b"".join(plain.streaming_content)) == size

        async def collected() -> bytes:
            answer: Any = await self.async_client.get(path)
            return b"".join([piece async for piece in answer.streaming_content])

        assert len(async_to_sync(collected)()) == size

    def test_it_checks_leases_and_limits(self) -> None:
        with override_settings(JOBS_LEASE_SECONDS=1, JOBS_SHARD_SIZE=9, JOBS_MAX_WORKERS=0):
            assert {found.id for found in run_checks()} >= {"jobs.E001", "jobs.E002", "jobs.E003"}
        assert not run_checks()

    def test_it_refuses_weak_keys_of_secrets(self) -> None:
        for weak in ("changeme", "a" * 50):
            with override_settings(SECRETS_KEYS=["a-key-of-many-letters-0123456789-one", weak]):
                assert [found.msg for found in run_checks()] == [
                    "Key 2 of SECRETS_KEYS must have 32 random characters at least."
                ]

    def test_it_reads_keys_of_secrets_from_a_file(self) -> None:
        code = "from django.conf import settings as s; print(s.SECRETS_KEYS)"
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("first-key, second-key\n")
            file.flush()
            done = manage("shell", "-v", "0", "-c", code, SECRETS_KEYS_FILE=file.name)
        assert done.stdout == "['first-key', 'second-key']\n", done.stderr

    def test_it_wants_numbers_for_limits(self) -> None:
        done = manage("check", JOBS_MAX_ROWS="many")
        assert (done.returncode, done.stderr) == (1, "JOBS_MAX_ROWS must be a whole number, not “many”.\n")

    def test_it_takes_nothing_for_the_usual_limit_and_for_no_quota(self) -> None:
        names = "s.JOBS_MAX_ROWS, s.JOBS_MAX_STORED_MB, s.JOBS_MAX_COLUMNS, s.DATA_UPLOAD_MAX_NUMBER_FIELDS"
        code = f"from django.conf import settings as s; print({names})"
        given = {"JOBS_MAX_ROWS": "", "JOBS_MAX_STORED_MB": "", "JOBS_MAX_COLUMNS": "3_000"}
        assert manage("shell", "-v", "0", "-c", code, **given).stdout.split() == ["5000000", "0", "3000", "3500"]


class StaticTests(SimpleTestCase):
    def test_it_names_the_imports_of_our_modules(self) -> None:
        name, patterns = HashedStatic.patterns[-1]
        assert name == "jobs/js/*.js"
        assert any("import" in pattern for pattern, _ in patterns)

    def test_it_leaves_out_what_is_written_aside(self) -> None:
        script = (
            "// Why.\n\n/** What. */\nexport const a = 1; // one\n  /* two\n     lines */\n  const b = '/* c */';\n"
        )
        assert bare(script) == "export const a = 1; // one\nconst b = '/* c */';\n"

    def test_no_text_of_our_modules_goes_over_lines(self) -> None:
        for module in (Path(settings.BASE_DIR) / "jobs/static/jobs/js").glob("*.js"):
            assert not [line for line in bare(module.read_text()).splitlines() if line.count("`") % 2], module

    @pytest.mark.slow
    def test_it_collects_every_file_of_the_pages(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            done = manage("collectstatic", "--noinput", STATIC_ROOT=folder, **NEEDED)
            assert done.returncode == 0, done.stderr
            names = json.loads((Path(folder) / "staticfiles.json").read_text())["paths"]
            assert names["jobs/css/app.css"] != "jobs/css/app.css"
            page = (Path(folder) / names["jobs/js/job_detail.js"]).read_text()
            assert f'from "./{Path(names["jobs/js/live.js"]).name}"' in page
            assert not any(line.startswith(("//", "/*", " ")) for line in page.splitlines())


class DatabaseTests(SimpleTestCase):
    def options(self, url: str) -> Any:
        with patch.dict(os.environ, {"DATABASE_URL": url}):
            return database()["OPTIONS"]["options"]

    def test_it_lets_nobody_hold_locks_for_long(self) -> None:
        assert "idle_in_transaction_session_timeout" in self.options("postgres://me@db/x")

    def test_it_takes_other_options_from_the_address(self) -> None:
        assert self.options("postgres://me@db/x?options=-c%20work_mem=1MB") == "-c work_mem=1MB"


class HeaderTests(People):
    def test_every_page_is_served_under_a_strict_policy(self) -> None:
        job = worked(self.alice)
        self.client.force_login(self.sam)
        page, row = job.get_absolute_url(), "/admin/jobs/job/"
        ours = ("/", "/jobs/new/", page, f"{page}items/1/", "/accounts/password_change/", "/nothing/")
        for path in (*ours, "/admin/", row, f"{row}{job.pk}/change/"):
            answer = self.client.get(path)
            policy = answer["Content-Security-Policy"]
            assert "default-src 'self'" in policy, path
            assert "unsafe" not in policy, path
            body = answer.content.decode()
            assert " style=" not in body, path
            assert " onclick=" not in body, path

    def test_it_compresses_pages_but_not_downloads(self) -> None:
        job = worked(self.alice)
        self.client.force_login(self.alice)
        page = self.client.get(job.get_absolute_url(), headers={"accept-encoding": "gzip"})
        assert page["Content-Encoding"] == "gzip"
        assert int(page["Content-Length"]) < 15_000
        result = self.client.get(f"{job.get_absolute_url()}results.csv", headers={"accept-encoding": "gzip"})
        assert "Content-Encoding" not in result

    def test_scripts_carry_no_policy_of_pages(self) -> None:
        answer = self.client.get("/static/jobs/js/throttled_paint.js")
        answer.close()
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert not {"Content-Security-Policy", "Access-Control-Allow-Origin", "Set-Cookie"} & set(answer.headers)

    def test_every_page_has_the_usual_headers(self) -> None:
        answer = self.client.get("/accounts/login/")
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Referrer-Policy"] == "same-origin"
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in answer["Permissions-Policy"]

    def test_no_cache_keeps_what_people_see(self) -> None:
        self.client.force_login(self.alice)
        job = worked(self.alice)
        for path in ("/", "/jobs/new/", job.get_absolute_url(), f"/jobs/{job.code}/snapshot.json", "/nothing/",
                     f"/jobs/{job.code}/problems.csv", "/accounts/password_change/"):  # fmt: skip
            assert "no-store" in self.client.get(path)["Cache-Control"], path

    def test_a_browser_takes_a_file_for_nothing_else(self) -> None:
        self.client.force_login(self.alice)
        job = worked(self.alice, name='a\r\n";x.csv')
        for name in ("results.csv", "results.json", "failed.csv", "problems.csv", "cells.bin"):
            answer = self.client.get(f"/jobs/{job.code}/{name}")
            assert answer["X-Content-Type-Options"] == "nosniff"
            assert answer.get("Content-Disposition", "attachment").startswith("attachment"), name

    def test_only_this_host_gives_the_cookies_over_https(self) -> None:
        names = "s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_PATH, s.SESSION_COOKIE_DOMAIN"
        code = f"from django.conf import settings as s; print({names}, s.CSRF_COOKIE_PATH, s.CSRF_COOKIE_DOMAIN)"
        said = manage("shell", "-v", "0", "-c", code, **NEEDED).stdout.split()
        assert said == ["__Host-batchweb_session", "__Host-csrftoken", "/", "None", "/", "None"]
        assert manage("shell", "-v", "0", "-c", code).stdout.split()[:2] == ["batchweb_session", "csrftoken"]

    def test_it_keeps_cookies_to_itself(self) -> None:
        self.client.post("/accounts/login/", {"username": "alice", "password": "alice-likes-tea"})
        cookie = self.client.cookies[settings.SESSION_COOKIE_NAME]
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


class LogTests(SimpleTestCase):
    def line(self, text: str, *arguments: object) -> str:
        return Formatter("%(message)s").format(logging.LogRecord("x", logging.INFO, "", 1, text, arguments, None))

    def test_it_leaves_out_what_opens_doors(self) -> None:
        for text in ("GET /enter/?sesame=canary", "postgres://me:canary@db/x", "redis://:canary@cache:6379/0"):
            assert "canary" not in self.line("%s", text)

    def test_it_leaves_out_the_secrets_of_this_process(self) -> None:
        with patch.dict(os.environ, {"LLM_API_KEY": "canary-key", "DATABASE_URL": "postgres://me:canary%20word@db/x"}):
            assert self.line("Bearer canary-key refused, canary%20word too") == "Bearer … refused, … too"

    def test_it_leaves_ordinary_words_alone(self) -> None:
        with patch.dict(os.environ, {"LLM_API_KEY": "a"}):
            assert self.line("a walnut or a pear") == "a walnut or a pear"

    def test_it_keeps_celery_quiet_about_wake_ups(self) -> None:
        for name in ("celery.worker.strategy", "celery.app.trace", "httpx"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)
            assert logging.getLogger(name).isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(("status", "traced"), [(403, False), (404, False), (500, True), (None, True)])
def test_it_logs_no_trace_of_a_refusal(status: int | None, traced: bool) -> None:
    record = logging.LogRecord("django.request", logging.WARNING, "", 1, "said", (), (ValueError, ValueError(), None))
    if status:
        record.status_code = status
    assert RefusedWithoutTrace().filter(record)
    assert bool(record.exc_info) == traced


def test_it_hands_every_record_to_that() -> None:
    handlers: Any = settings.LOGGING["handlers"]
    assert handlers["console"]["filters"] == ["refused"]


def test_it_writes_mails_into_the_folder_that_is_named() -> None:
    told = manage("shell", "-c", "from django.conf import settings as s; print(s.EMAIL_FILE_PATH)",
                  EMAIL_URL="filemail:///var/mails")  # fmt: skip
    assert told.stdout.splitlines()[-1] == "/var/mails"
