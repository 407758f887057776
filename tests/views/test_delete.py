"""Deleting a job on its page and in the admin."""

from __future__ import annotations

from jobs.models import Job
from tests.base import People, loaded, worked


class DeleteTests(People):
    def setUp(self) -> None:
        self.client.force_login(self.alice)
        self.job = worked(self.alice)
        self.url = f"/jobs/{self.job.code}/delete/"

    def test_it_deletes_and_goes_to_the_list(self) -> None:
        answer = self.client.post(self.url, follow=True)
        assert answer.redirect_chain == [("/", 302)]
        assert "Deleted." in answer.content.decode()
        assert self.client.get(self.job.get_absolute_url()).status_code == 404

    def test_it_asks_before(self) -> None:
        assert 'data-title="Delete this job?"' in self.client.get(self.job.get_absolute_url()).content.decode()

    def test_it_deletes_a_running_job(self) -> None:
        job = loaded(self.alice)
        self.client.post(f"/jobs/{job.code}/delete/")
        job.refresh_from_db()
        assert job.state == "cancelled"

    def test_it_takes_a_post_only(self) -> None:
        assert self.client.get(self.url).status_code == 405

    def test_it_does_not_exist_for_strangers(self) -> None:
        self.client.force_login(self.bob)
        assert self.client.post(self.url).status_code == 404
        assert Job.objects.get().deleting is None

    def test_it_is_an_action_of_the_admin(self) -> None:
        self.client.force_login(self.sam)
        chosen = {"action": "delete_jobs", "_selected_action": [self.job.pk], "sure": "yes"}
        self.client.post("/admin/jobs/job/", chosen)
        assert Job.objects.get().deleting
