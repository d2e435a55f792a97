from django.db import migrations

# The framework's table of second factors refers to our staff, so it comes after them. A code is good once: the web notes
# that it was used and when, and can change neither the key nor whose it is.
GRANTS = """
grant update (drift, last_t, last_used_at, throttling_failure_timestamp, throttling_failure_count)
    on otp_totp_totpdevice to khata_app;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('discoms', '0001_initial'),
        ('otp_totp', '0003_add_timestamps'),
    ]

    operations = [
        migrations.RunSQL(GRANTS),
        migrations.CreateModel(
            name='SecondFactor',
            fields=[],
            options={'proxy': True, 'indexes': [], 'constraints': []},
            bases=('otp_totp.totpdevice',),
        ),
    ]
