import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

AFTER = """
call khata.append_only('tariffs_file');
call khata.append_only('tariffs_edition');
call khata.append_only('tariffs_rateschedule');
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Edition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('order', models.TextField(help_text='path of the order below tariffs/')),
                ('sha256', models.TextField(unique=True)),
                ('files', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), help_text='hashes: the schedule, then the amendments in order', size=None)),
            ],
        ),
        migrations.CreateModel(
            name='File',
            fields=[
                ('sha256', models.TextField(primary_key=True, serialize=False)),
                ('path', models.TextField()),
                ('text', models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name='RateSchedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField()),
                ('lines', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ('edition', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='tariffs.edition')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('edition', 'name'), name='rate_schedule_named_once')],
            },
        ),
        migrations.RunSQL(AFTER),
    ]
