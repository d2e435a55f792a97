import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

AFTER = """
call khata.append_only('jobs_run');
call khata.append_only('jobs_part');
call khata.append_only('jobs_partdone');
call khata.append_only('jobs_runclosed');
call khata.fence('jobs_run');
call khata.fence('jobs_part');
-- Whom a part works on is nobody's business but the runs'.
revoke select on jobs_part from khata_app;
grant select (id, run_id, number) on jobs_part to khata_app;
call khata.fence('jobs_partdone');
call khata.fence('jobs_runclosed');
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Part',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.IntegerField()),
                ('subjects', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
            ],
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.TextField()),
                ('key', models.TextField(unique=True)),
                ('terms', models.JSONField(help_text='everything the work depends on and that was decided when it was planned')),
                ('planned_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='PartDone',
            fields=[
                ('part', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='jobs.part')),
                ('counts', models.JSONField()),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name='RunClosed',
            fields=[
                ('run', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='jobs.run')),
                ('equation', models.JSONField()),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.AddField(
            model_name='part',
            name='run',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='jobs.run'),
        ),
        migrations.AddConstraint(
            model_name='part',
            constraint=models.UniqueConstraint(fields=('run', 'number'), name='part_numbered_once'),
        ),
        migrations.RunSQL(AFTER),
    ]
