from django.db import migrations, models
from django.db.models import Case, Value, When

# How the sentences of earlier versions began, told apart here for the last time.
CODES = (
    When(state="invalid", then=Value("unreadable")),
    When(reason__startswith="Paused: ", then=Value("failure_limit")),
    When(reason__startswith="Paused by ", then=Value("person")),
    When(reason__startswith="There is no room", then=Value("no_room")),
)


def tell_apart(apps, editor):
    stopped = apps.get_model("jobs", "Job").objects.exclude(reason="")
    stopped.update(reason_code=Case(*CODES, default=Value("cannot_run")))


class Migration(migrations.Migration):
    dependencies = [("jobs", "0018_signing_in")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="reason_code",
            field=models.CharField(blank=True, db_default="", default="", help_text="And for programs.", max_length=20),
        ),
        migrations.AlterField(
            model_name="job",
            name="reason",
            field=models.CharField(blank=True, help_text="Why it stopped, for people.", max_length=500),
        ),
        migrations.RunPython(tell_apart, migrations.RunPython.noop),
    ]
