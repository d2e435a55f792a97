import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

AFTER = """
alter table notices_message add constraint message_mobile
    check (length(mobile) = 10 and mobile::bigint between 6000000000 and 9999999999);
call khata.append_only('notices_message');
call khata.append_only('notices_delivery');
call khata.append_only('notices_mark');
call khata.append_only('notices_registration');

-- Who sees a message (consumers says who) sees what became of it. By key, row by row: never a list of all messages.
call khata.fence('notices_delivery', $$
    exists (select from notices_message m where m.id = notices_delivery.message_id) $$);
call khata.fence('notices_mark');
call khata.fence('notices_registration');

-- Whether we sent a message with this check code about an account that ends so, by its new or its old number where it tells
-- them; a code of sign-in names no account, but its bearer knows the mobile that it came to. Anybody may ask, signed in or not, and learns of the newest only what its
-- bearer reads in it anyway. An attempt that failed counts too: an answer that came too late does not take a message back.
create function khata.message_sent(code text, tail text)
returns table (template text, sent_at timestamptz, language text)
language sql stable security definer set search_path = public, pg_temp as $$
    select m.template, d.at, m.language
    from notices_delivery d join notices_message m on m.id = d.message_id
    where d.check_code = message_sent.code and message_sent.code <> '' and d.outcome <> 'refused'
      and message_sent.tail ~ '^[0-9]{4}$'
      and message_sent.tail in (case m.template when 'sign-in-code' then right(m.mobile, 4) else right(m."values"[1], 4) end,
                                case m.template when 'new-number' then right(m."values"[2], 4) end)
    order by d.outcome = 'sent' desc, d.at desc limit 1
$$;
revoke execute on function khata.message_sent from public;
grant execute on function khata.message_sent to khata_app, khata_run;
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
                'indexes': [
                    django.contrib.postgres.indexes.BrinIndex(fields=['subject'], name='message_by_subject', pages_per_range=8),
                    models.Index(condition=models.Q(('template', 'sign-in-code')), fields=['id'], name='message_of_sign_in'),
                ],
                'constraints': [models.CheckConstraint(condition=models.Q(('language__in', ['hi', 'en'])), name='message_language')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='notices.message')),
                ('attempt', models.SmallIntegerField(help_text='from 1')),
                ('at', models.DateTimeField()),
                ('backend', models.TextField()),
                ('outcome', models.TextField(help_text='sent, failed or refused')),
                ('detail', models.TextField(blank=True, default='', help_text="why, or the gateway's own id; no mobile, no text")),
                ('check_code', models.TextField(blank=True, default='', help_text='as it stood in the text; empty if there was none')),
            ],
            options={
                'indexes': [
                    models.Index(fields=['check_code'], name='delivery_by_check_code'),
                    models.Index(condition=models.Q(('outcome', 'failed')), fields=['message'], name='delivery_failed'),
                ],
                'constraints': [
                    models.UniqueConstraint(fields=('message', 'attempt'), name='delivery_attempt_once'),
                    models.CheckConstraint(condition=models.Q(('outcome__in', ['sent', 'failed', 'refused'])), name='delivery_outcome'),
                    models.CheckConstraint(condition=models.Q(('attempt__gt', 0)), name='delivery_attempt_above_0'),
                ],
            },
        ),
        migrations.CreateModel(
            name='Mark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tried', models.BigIntegerField(help_text='every message to this id has had an attempt')),
                ('settled', models.BigIntegerField(help_text='every message to this id has had its last word')),
            ],
        ),
        migrations.CreateModel(
            name='Registration',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('discom', models.TextField(help_text="the company's code")),
                ('template', models.TextField()),
                ('language', models.TextField()),
                ('dlt_id', models.TextField(help_text='content template id')),
                ('header', models.TextField(help_text='six letters, perhaps with the suffix for its kind')),
                ('from_date', models.DateField()),
            ],
            options={
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('dlt_id__regex', '^[0-9]{10,25}$')), name='registration_dlt_id'),
                    models.CheckConstraint(condition=models.Q(('header__regex', '^[A-Z]{6}(-[STG])?$')), name='registration_header'),
                    models.CheckConstraint(condition=models.Q(('language__in', ['hi', 'en'])), name='registration_language'),
                ],
            },
        ),
        migrations.RunSQL(AFTER),
    ]
