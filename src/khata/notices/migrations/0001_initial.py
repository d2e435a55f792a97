import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.functions.datetime
from django.db import migrations, models

AFTER = """
alter table notices_message add constraint message_mobile
    check (length(mobile) = 10 and mobile::bigint between 6000000000 and 9999999999);
call khata.append_only('notices_message');
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Message',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.BigIntegerField(help_text="whom it is about: a connection's id, only referred to")),
                ('template', models.TextField()),
                ('language', models.TextField()),
                ('mobile', models.TextField()),
                ('values', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), help_text="the template's variables in order, in their canonical text", size=None)),
                ('cause', models.TextField(help_text='package:kind:id')),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'indexes': [django.contrib.postgres.indexes.BrinIndex(fields=['subject'], name='message_by_subject', pages_per_range=8)],
                'constraints': [models.CheckConstraint(condition=models.Q(('language__in', ['hi', 'en'])), name='message_language')],
            },
        ),
        migrations.RunSQL(AFTER),
    ]
