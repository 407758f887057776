"""The form of a new job: what it understands, what it says, what it makes."""

from __future__ import annotations

import errno
import json
import random
from typing import Any
from unittest.mock import patch

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client, override_settings
from django.utils import timezone

from jobs.engine import Policy
from jobs.forms import JobForm, defaults, guess
from jobs.ingest import samples
from jobs.ingest.preview import HEAD
from jobs.models import Job, JobState, Upload, parameters
from jobs.processors import Input, Parameter, ParameterError, Processor, all_processors, get, registry
from tests.base import People
from tests.files.corpus import workbook

URL = "/jobs/new/"
QUERIES = "query,note\nbest hotels,a\ncheap flights,b\n"


def file(text: str | bytes = QUERIES, name: str = "rows.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)


def deleted(job: Job) -> None:
    """As it is until all its rows are removed."""
    Job.objects.filter(pk=job.pk).update(deleting=timezone.now())


class Typed(Processor):
    """A processor with a parameter of each type."""

    name, label = "typed", "Typed"
    inputs = (Input("text"), Input("extra", required=False))
    parameters = (
        Parameter("count", type=int, default=3, minimum=1, maximum=9, harmless=True),
        Parameter("share", type=float, default=0.5),
        Parameter("loud", type=bool, default=False),
        Parameter("mood", choices=("calm", "wild"), default="calm"),
        Parameter("token", secret=True),
        Parameter("odd", type=int, default=1),
    )

    def process(self, inputs: Any, context: Any) -> Any:
        return inputs

    def clean(self, parameters: Any) -> dict[str, Any]:
        cleaned = super().clean(parameters)
        if cleaned["odd"] % 2 == 0:
            raise ParameterError("odd", "Must be odd.")
        return cleaned


class FormCase(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)

    def send(self, text: str | bytes | None = QUERIES, called: str = "rows.csv", **fields: Any) -> HttpResponse:
        data = {"processor": "rewrite-query"} | fields
        if text is not None:
            data["file"] = file(text, called)
        return self.client.post(URL, data)  # type: ignore[return-value]

    def made(self, *args: Any, **fields: Any) -> Job:
        answer = self.send(*args, **fields)
        assert answer.status_code == 302, answer.content.decode()
        return Job.objects.get(code=answer["Location"].split("/")[2])

    def errors(self, *args: Any, **fields: Any) -> dict[str, list[str]]:
        answer = self.send(*args, **fields)
        assert answer.status_code == 422
        assert not Job.objects.exists()
        return dict(answer.context["form"].errors)  # type: ignore[attr-defined]


class NewJobTests(FormCase):
    def test_it_shows_the_form(self) -> None:
        answer = self.client.get(URL)
        assert answer.status_code == 200
        assert "Check the file" in answer.content.decode()

    def test_it_says_that_the_disk_is_full(self) -> None:
        stored: list[Any] = []

        def fill(storage: FileSystemStorage, name: str, content: Any) -> str:
            stored.append(original(storage, name, ContentFile(b"query")))
            raise OSError(errno.ENOSPC, "No space left on device")

        original = FileSystemStorage._save  # type: ignore[attr-defined]
        with patch.object(FileSystemStorage, "_save", fill), self.assertLogs("batchweb.middleware", "ERROR"):
            answer = self.send()
        assert (answer.status_code, Upload.objects.count(), Job.objects.count()) == (507, 0, 0)
        assert "Nothing was stored" in answer.content.decode()
        assert not FileSystemStorage().exists(stored[0])

    def test_it_makes_a_job_of_a_file_alone(self) -> None:
        job = self.made()
        assert (job.owner, job.state, job.autostart) == (self.alice, JobState.LOADING, True)
        assert (job.name, job.columns, job.mapping) == ("rows.csv", ["query", "note"], {"query": "query"})

    def test_it_makes_a_job_of_a_workbook_that_is_larger_than_a_head(self) -> None:
        draw = random.Random(5)
        data = workbook(("Questions", [["query", "note"], *([draw.randbytes(16_000).hex(), "a"] for _ in range(24))]))
        assert len(data) > HEAD
        job = self.made(data, "questions.xlsx")
        assert (job.columns, job.shape["format"], job.mapping) == (["query", "note"], "xlsx", {"query": "query"})

    def test_it_shows_the_rows_of_a_workbook_whose_form_comes_back(self) -> None:
        data = workbook(("Questions", [["query"], ["best hotels"]]))
        answer = self.send(data, "questions.xlsx", workers=0)
        assert answer.status_code == 422
        assert "best hotels" in answer.content.decode()

    def test_it_takes_the_processors_policy_and_a_timeout_of_a_minute(self) -> None:
        job, policy = self.made(), get("rewrite-query").policy
        assert (job.workers, job.attempts, job.timeout, job.rate) == (policy.workers, policy.attempts, 60.0, None)

    def test_it_takes_the_policy_that_was_chosen(self) -> None:
        job = self.made(workers=3, attempts=4, timeout="2.5", rate="10", name="Mine")
        assert (job.workers, job.attempts, job.timeout, job.rate, job.name) == (3, 4, 2.5, 10.0, "Mine")

    def test_it_knows_no_limit_for_an_empty_timeout(self) -> None:
        assert self.made(timeout="").timeout is None

    def test_it_answers_scripts_with_the_address(self) -> None:
        form = {"processor": "rewrite-query", "file": file()}
        answer = self.client.post(URL, form, headers={"Accept": "application/json"})
        assert answer.json() == {"url": Job.objects.get().get_absolute_url()}

    def test_it_shows_a_file_name_and_never_uses_it(self) -> None:
        for name in ("../../etc/passwd", "<img onerror=x>.csv", "-rf.csv", "a" * 4_000, "CON", "\u202egpj.csv"):
            job = self.made(called=name)
            assert "/" not in job.upload.name
            assert len(job.upload.name) <= 200
            assert "passwd" not in str(job.upload.file.name)

    def test_it_knows_no_methods_but_its_own(self) -> None:
        assert self.client.put(URL).status_code == 405


class Computing(Typed):
    name, label, kind = "computing", "Computing", "cpu"


class WorkersTests(FormCase):
    def setUp(self) -> None:
        super().setUp()
        every = (*all_processors(), Computing())
        for patched in (
            patch("jobs.forms.policy.cores", return_value=6),
            patch("jobs.forms.job.processors.all_processors", return_value=every),
        ):
            patched.start()
            self.addCleanup(patched.stop)

    def fields(self, processor: str) -> str:
        return self.client.get("/jobs/processor/", {"processor": processor}).content.decode()

    def test_it_says_what_a_good_number_of_workers_is(self) -> None:
        page = self.client.get(URL).content.decode()
        for words in (
            "5 to 20",
            "never more than the service behind it allows",
            "as there are cores (6 on this machine)",
        ):
            assert words in page
        assert page.count('id="id_workers_helptext"') == 1

    def test_it_says_so_for_the_processor_that_is_chosen(self) -> None:
        assert "This work computes" in self.fields("computing")
        assert "This work computes" not in self.fields("rewrite-query")

    def test_it_suggests_the_cores_for_work_that_computes(self) -> None:
        assert 'data-workers="6"' in self.fields("computing")
        assert 'data-workers="10"' in self.fields("rewrite-query")
        assert defaults(Computing())["workers"] == 6

    def test_it_suggests_what_a_processor_asks_for_itself(self) -> None:
        with patch.object(Computing, "policy", Policy(workers=3)):
            assert defaults(Computing())["workers"] == 3


class MappingTests(FormCase):
    def test_it_asks_for_a_column_that_it_cannot_guess(self) -> None:
        assert self.errors("a,b\n1,2\n") == {"map_query": ["Choose the column that holds “Query”."]}

    def test_it_keeps_the_file_of_a_form_that_comes_back(self) -> None:
        answer = self.send("a,b\n1,2\n")
        upload = Upload.objects.get()
        body = answer.content.decode()
        assert f'name="upload" id="id_upload" value="{upload.pk}"' in body
        assert '<option value="b">' in body
        job = self.made(None, upload=upload.pk, map_query="b")
        assert (job.upload, job.mapping) == (upload, {"query": "b"})

    def test_it_remembers_the_name_of_a_kept_file(self) -> None:
        self.send("alpha\nbeta\n", "words.txt", processor="nonsense")
        job = self.made(None, upload=Upload.objects.get().pk)
        assert (job.columns, job.upload.name) == (["text"], "words.txt")

    def test_it_takes_no_column_that_is_not_in_the_file(self) -> None:
        assert list(self.errors(map_query="nothing")) == ["map_query"]

    def test_it_takes_nobody_elses_file(self) -> None:
        upload = Upload.keep(file(), "theirs.csv", self.bob)
        for key in (upload.pk, 10**30, "x", "-1"):
            assert "file" in self.errors(None, upload=key)

    def test_it_guesses_for_an_input_whose_select_was_not_sent(self) -> None:
        job = self.made("address,url\na,http://example.com\n", processor="fetch-url", map_query="")
        assert job.mapping == {"url": "url"}

    def test_it_guesses_by_name(self) -> None:
        query = get("rewrite-query")
        for columns, found in (
            (["id", "Query"], "Query"),
            (["id", "search_query"], "search_query"),
            (["the query text", "query"], "query"),
            (["only"], "only"),
            (["a", "b"], None),
        ):
            assert guess(query, columns).get("query") == found, columns


class RefusedTests(FormCase):
    def test_it_asks_for_a_file(self) -> None:
        assert self.errors(None) == {"file": ["Choose a file."]}

    def test_it_says_why_a_file_cannot_be_a_job(self) -> None:
        for content in (b"", b"a,b\n", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"PK\3\4"):
            (sentence,) = self.errors(content)["file"]
            assert sentence.endswith("."), sentence
        assert not Upload.objects.exists()

    def test_it_says_that_a_file_is_too_large(self) -> None:
        with override_settings(JOBS_MAX_UPLOAD_BYTES=20):
            assert self.errors() == {"file": ["The file has 41 bytes; up to 20 can be sent here."]}

    def test_it_says_how_many_workers_there_may_be(self) -> None:
        with override_settings(JOBS_MAX_WORKERS=8):
            assert self.errors(workers=9) == {"workers": ["At most 8 items at a time are allowed here."]}
            assert self.made().workers == 8

    def test_it_checks_the_policy(self) -> None:
        wrong = {"workers": (0, ""), "attempts": (21, "x"), "timeout": (0, "inf"), "rate": (-1, "nan")}
        for name, values in wrong.items():
            for value in values:
                assert list(self.errors(**{name: value})) == [name]

    def test_it_knows_no_other_processors(self) -> None:
        assert "processor" in self.errors(processor="os.system")


class ParameterTests(FormCase):
    def setUp(self) -> None:
        super().setUp()
        patched = patch.dict(registry._processors, {"typed": Typed()})
        patched.start()
        self.addCleanup(patched.stop)

    def test_it_types_what_was_typed(self) -> None:
        typed = {"param_count": "4", "param_share": "0.25", "param_loud": "on", "param_mood": "wild"}
        job = self.made("text\na\n", processor="typed", **typed)
        assert job.parameters == {"count": 4, "share": 0.25, "loud": True, "mood": "wild", "token": None, "odd": 1}

    def test_it_fills_in_the_defaults(self) -> None:
        job = self.made("text\na\n", processor="typed")
        assert job.parameters == {"count": 3, "share": 0.5, "loud": False, "mood": "calm", "token": None, "odd": 1}

    def test_it_says_which_parameter_is_wrong(self) -> None:
        for name, value in (("count", "10"), ("count", "x"), ("share", "half"), ("mood", "sad"), ("odd", "2")):
            assert list(self.errors("text\na\n", processor="typed", **{f"param_{name}": value})) == [f"param_{name}"]

    def test_it_stores_no_secret_as_it_was_typed(self) -> None:
        job = self.made("text\na\n", processor="typed", param_token="hunter22")
        assert "hunter22" not in json.dumps(job.parameters)
        assert parameters.opened(job.code, job.parameters)["token"] == "hunter22"

    def test_it_never_repeats_a_secret(self) -> None:
        answer = self.send("text\na\n", processor="typed", param_token="hunter22", workers=0)
        assert "hunter22" not in answer.content.decode()


class WithoutScriptsTests(FormCase):
    def test_it_changes_the_processor_and_keeps_what_was_typed(self) -> None:
        answer = self.send("link\nx\n", processor="fetch-url", refresh="1", name="Mine", workers="77")
        body = answer.content.decode()
        assert answer.status_code == 200
        assert "errorlist" not in body
        assert 'value="77"' in body
        assert 'value="Mine"' in body
        assert 'name="map_url"' in body
        assert f'value="{Upload.objects.get().pk}"' in body
        assert not Job.objects.exists()

    def test_it_changes_the_processor_before_there_is_a_file(self) -> None:
        answer = self.send(None, processor="simulate", refresh="1")
        assert answer.status_code == 200
        assert 'name="param_seconds"' in answer.content.decode()

    def test_it_says_what_is_wrong_with_the_file_meanwhile(self) -> None:
        answer = self.send(b"", processor="simulate", refresh="1")
        assert "empty" in answer.content.decode().lower()


class OnceTests(FormCase):
    """The same form sent twice makes one job."""

    def setUp(self) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.client.force_login(self.alice)

    def token(self) -> str:
        return str(self.client.get(URL).context["csrf_token"])

    def test_it_makes_one_job_of_a_double_click(self) -> None:
        token = self.token()
        jobs = [self.made(csrfmiddlewaretoken=token) for _ in range(3)]
        assert len({job.pk for job in jobs}) == 1
        assert Job.objects.count() == 1

    def test_it_makes_one_job_of_a_form_whose_token_is_in_a_header(self) -> None:
        headers = {"X-CSRFToken": self.token()}
        for _ in range(2):
            data = {"processor": "rewrite-query", "form": "abc", "file": file()}
            assert self.client.post(URL, data, headers=headers).status_code == 302
            # As it is for a request that began before the other one had ended.
            session = self.client.session
            session.pop("forms", None)
            session.save()
        assert Job.objects.count() == 1

    def test_it_makes_another_job_of_a_changed_form(self) -> None:
        token = self.token()
        self.made(csrfmiddlewaretoken=token)
        self.made(csrfmiddlewaretoken=token, workers=3)
        self.made("query\nother\n", csrfmiddlewaretoken=token)
        assert Job.objects.count() == 3

    def test_it_makes_another_job_of_a_new_page(self) -> None:
        for _ in range(2):
            self.made(csrfmiddlewaretoken=self.token())
        assert Job.objects.count() == 2

    def test_it_makes_one_job_of_a_sample_pressed_twice(self) -> None:
        token = self.token()
        for _ in range(2):
            self.client.post("/jobs/sample/", {"name": "queries.csv", "csrfmiddlewaretoken": token})
        assert Job.objects.count() == 1

    def form(self) -> dict[str, str]:
        """What a page that was opened anew sends by itself."""
        context = self.client.get(URL).context
        return {"csrfmiddlewaretoken": str(context["csrf_token"]), "form": context["token"]}

    def test_it_asks_whoever_comes_back_and_sends_it_otherwise(self) -> None:
        form = self.form()
        first = self.made(**form)
        asked: Any = self.send(workers=3, **form)
        assert asked.status_code == 422
        assert f'This form has made <a href="/jobs/{first.code}/"' in asked.content.decode()
        assert Job.objects.count() == 1
        self.made(workers=3, csrfmiddlewaretoken=form["csrfmiddlewaretoken"], form=asked.context["token"])
        assert Job.objects.count() == 2

    def test_it_leads_whoever_sends_it_as_it_was_to_the_job(self) -> None:
        form = self.form()
        assert self.made(**form) == self.made(**form)

    def test_it_says_that_the_job_was_deleted(self) -> None:
        for remove in (deleted, Job.delete):
            form = self.form()
            remove(self.made(**form))
            for workers in (5, 3):
                answer = self.send(**form, workers=workers)
                assert answer.status_code == 410
                assert "This job was deleted" in answer.content.decode()
            assert self.client.post(URL, form, headers={"Accept": "application/json"}).json()["detail"]
            assert not Job.objects.present().exists()

    def test_it_says_so_to_whoever_gave_it_away(self) -> None:
        form = self.form()
        job = self.made(**form)
        Job.objects.filter(pk=job.pk).update(owner=self.bob)
        assert self.send(**form).status_code == 410

    def test_it_says_so_of_a_sample(self) -> None:
        form = {"name": "queries.csv", "csrfmiddlewaretoken": self.token()}
        self.client.post("/jobs/sample/", form)
        deleted(Job.objects.get())
        assert self.client.post("/jobs/sample/", form).status_code == 410

    def test_it_tells_nobody_else(self) -> None:
        form = self.form()
        job = self.made(**form)
        self.client.force_login(self.bob)
        other = self.made(form=form["form"], csrfmiddlewaretoken=self.token())
        assert (other.owner, other.code == job.code) == (self.bob, False)

    def test_it_remembers_so_many_forms(self) -> None:
        first = self.form()
        self.made(**first)
        with patch("jobs.views.job_new.FORMS", 2):
            for _ in range(2):
                self.made(**self.form())
        assert len(self.client.session["forms"]) == 2

    def test_it_gives_codes_that_nobody_can_guess(self) -> None:
        token = self.token()
        code = self.made(csrfmiddlewaretoken=token).code
        self.client.force_login(self.bob)
        assert self.made(csrfmiddlewaretoken=token).code != code


class SampleTests(FormCase):
    def test_it_makes_a_job_of_each_sample(self) -> None:
        for sample in samples.SAMPLES:
            answer = self.client.post("/jobs/sample/", {"name": sample.name}, follow=True)
            job = Job.objects.latest("pk")
            assert (job.name, job.processor, job.owner) == (sample.name, sample.processor, self.alice)
            assert job.mapping
            assert f"Started {sample.title}." in answer.content.decode()

    def test_it_knows_no_other_files(self) -> None:
        for name in ("../manage.py", "", "nothing.csv"):
            assert self.client.post("/jobs/sample/", {"name": name}).status_code == 404

    def test_it_gives_samples_the_usual_timeout(self) -> None:
        self.client.post("/jobs/sample/", {"name": "queries.csv"})
        assert Job.objects.get().timeout == 60.0


class FieldTests(People):
    def test_it_closes_the_files_that_it_looks_into(self) -> None:
        upload = Upload.keep(file(), "rows.csv", self.alice)
        form = JobForm({"upload": upload.pk, "processor": "rewrite-query"}, {}, owner=self.alice)
        assert form.errors == {}
        assert form.kept
        assert form.kept.file.closed
