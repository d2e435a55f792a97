import django.contrib.postgres.fields
import django.db.models.functions.datetime
from django.db import migrations, models

AFTER = """
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
                ('subject', models.BigIntegerField(db_index=True, help_text="whom it is about: a connection's id, only referred to")),
                ('template', models.TextField()),
                ('language', models.TextField()),
                ('mobile', models.TextField()),
                ('values', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), help_text="the template's variables in order, in their canonical text", size=None)),
                ('cause', models.TextField(help_text='package:kind:id')),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('mobile__regex', '^[6-9][0-9]{9}$')), name='message_mobile'), models.CheckConstraint(condition=models.Q(('language__in', ['hi', 'en'])), name='message_language')],
            },
        ),
        migrations.RunSQL(AFTER),
    ]
