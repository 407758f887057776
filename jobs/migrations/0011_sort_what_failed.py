from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0010_what_is_in_flight'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='item',
            index=models.Index(condition=models.Q(('state', 3)), fields=['job', column, 'position'], name=f'item_failed_by_{column}'),
        )
        for column in ('seconds', 'attempts', 'finished')
    ]
