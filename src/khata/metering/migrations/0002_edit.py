import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
from django.conf import settings
from django.db import migrations, models

AFTER = """
call khata.append_only('metering_edit');
call khata.fence('metering_edit');
call khata.refers('metering_edit', 'meter_id', 'metering_meter');
call khata.refers('metering_edit', 'delivery_id', 'metering_delivery');
"""


class Migration(migrations.Migration):

    dependencies = [
        ('metering', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Edit',
            fields=[
                ('pk', models.CompositePrimaryKey('meter_id', 'day', 'channel', 'revision', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('channel', models.SmallIntegerField(choices=[(0, 'Import'), (1, 'Export'), (2, 'Apparent Import'), (3, 'Apparent Export'), (4, 'Reactive Lag'), (5, 'Reactive Lead')])),
                ('revision', models.SmallIntegerField()),
                ('reason', models.TextField()),
                ('checker', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('delivery', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='metering.delivery')),
                ('meter', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, to='metering.meter')),
                ('staff', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('checker', None), models.Q(('checker', models.F('staff')), _negated=True), _connector='OR'), name='edit_by_two'), models.CheckConstraint(condition=models.Q(django.db.models.lookups.GreaterThanOrEqual(django.db.models.functions.text.Length('reason'), 10), django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length('reason'), 500)), name='edit_reason')],
            },
        ),
        migrations.RunSQL(AFTER),
    ]
