import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

AFTER = """
-- Sessions are the framework's table, counts of tries ours: both change in place.
grant select, insert, update, delete on django_session to khata_app;
grant delete on django_session to khata_run;
grant insert, update on discoms_limit to khata_app;
grant update, delete on discoms_limit to khata_run;
call khata.append_only('discoms_post');
call khata.never_deleted('discoms_discom');
call khata.never_deleted('discoms_office');
call khata.never_deleted('discoms_staff');
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
        ('sessions', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Staff',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('login', models.TextField(unique=True)),
                ('name', models.TextField()),
                ('active', models.BooleanField(default=True)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Discom',
            fields=[
                ('id', models.SmallIntegerField(primary_key=True, serialize=False)),
                ('code', models.TextField(unique=True)),
                ('regulator', models.TextField()),
                ('name_en', models.TextField()),
                ('name_hi', models.TextField()),
                ('key_colour', models.TextField(default='1f1d4e', help_text='of its pages and bills: six hexadecimal digits')),
                ('emblem', models.TextField(default='khata/emblem.svg', help_text='its file among the static files, see docs/pages.md')),
                ('phone', models.TextField(default='1912')),
                ('email', models.TextField(blank=True, default='')),
                ('place_en', models.TextField(blank=True, default='', help_text='where its head office stands')),
                ('place_hi', models.TextField(blank=True, default='')),
                ('upi_address', models.TextField(blank=True, default='', help_text='as its bank registered it; none: no UPI code')),
                ('upi_name', models.TextField(blank=True, default='')),
                ('merchant_code', models.TextField(blank=True, default='')),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('key_colour__regex', '^[0-9a-f]{6}$')), name='discom_key_colour')],
            },
        ),
        migrations.CreateModel(
            name='Limit',
            fields=[
                ('pk', models.CompositePrimaryKey('key', 'since', blank=True, editable=False, primary_key=True, serialize=False)),
                ('key', models.TextField()),
                ('since', models.DateTimeField()),
                ('count', models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Office',
            fields=[
                ('id', models.IntegerField(primary_key=True, serialize=False)),
                ('last', models.IntegerField()),
                ('kind', models.TextField(choices=[('company', 'Company'), ('circle', 'Circle'), ('division', 'Division')])),
                ('name_en', models.TextField()),
                ('name_hi', models.TextField()),
                ('discom', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.discom')),
                ('parent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
            ],
        ),
        migrations.CreateModel(
            name='Post',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.TextField()),
                ('from_date', models.DateField()),
                ('revision', models.SmallIntegerField(default=0)),
                ('known_at', models.DateTimeField()),
                ('ended', models.BooleanField(default=False)),
                ('office', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
                ('staff', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            model_name='office',
            constraint=models.UniqueConstraint(fields=('discom', 'kind', 'name_en'), name='office_named_once'),
        ),
        migrations.AddConstraint(
            model_name='office',
            constraint=models.CheckConstraint(condition=models.Q(('last__gte', models.F('id'))), name='office_range_rises'),
        ),
        migrations.AddConstraint(
            model_name='office',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['company', 'circle', 'division'])), name='office_kind'),
        ),
        migrations.AddConstraint(
            model_name='post',
            constraint=models.UniqueConstraint(fields=('staff', 'office', 'role', 'from_date', 'revision'), name='post_dated_once'),
        ),
        migrations.RunSQL(AFTER),
    ]
