import django.db.models.deletion
from django.db import migrations, models

AFTER = """
call khata.append_only('payments_receipt');
call khata.refers('payments_receipt', 'connection_id', 'consumers_connection');
call khata.refers('payments_receipt', 'entry_id', 'ledger_entry');
call khata.fence('payments_receipt', $$ connection_id in (select id from consumers_connection) $$);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0001_initial'),
        ('consumers', '0001_initial'),
        ('discoms', '0001_initial'),
        ('ledger', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.TextField(help_text='counter')),
                ('reference', models.TextField(help_text="the channel's own reference: the same one twice is one payment")),
                ('typed', models.TextField(help_text='the identifier as it was typed')),
                ('matched', models.TextField(help_text='the account number or old number that it matched')),
                ('amount_paise', models.BigIntegerField()),
                ('received_on', models.DateField()),
                ('connection', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to='consumers.connection')),
                ('entry', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='ledger.entry')),
                ('office', models.ForeignKey(help_text='where it was collected', on_delete=django.db.models.deletion.PROTECT, to='discoms.office')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('channel', 'reference'), name='receipt_once'), models.CheckConstraint(condition=models.Q(('amount_paise__gt', 0)), name='receipt_above_0')],
            },
        ),
        migrations.RunSQL(AFTER),
    ]
