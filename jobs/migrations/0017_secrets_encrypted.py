from django.db import migrations

from jobs.maintenance.key_rotation import Rotation


def go(apps, way):
    rows = [apps.get_model("jobs", name)._base_manager.all() for name in ("Job", "Run")]
    for _ in Rotation.go(way.__self__, *rows, way):
        pass


def encrypt(apps, schema_editor):
    go(apps, Rotation().under_first_key)


def decrypt(apps, schema_editor):
    go(apps, Rotation().as_typed)


class Migration(migrations.Migration):
    """Encrypts the secret parameters of jobs and runs. What it has done stays done where it is stopped."""

    atomic = False

    dependencies = [
        ("jobs", "0016_room_and_offers"),
    ]

    operations = [
        migrations.RunPython(encrypt, decrypt),
    ]
