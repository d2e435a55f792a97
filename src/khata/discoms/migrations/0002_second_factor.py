from django.db import migrations

# The framework's table of second factors refers to our staff, so it comes after them. A code is good once: the web notes it.
GRANTS = "grant update on otp_totp_totpdevice to khata_app;"


class Migration(migrations.Migration):

    dependencies = [
        ('discoms', '0001_initial'),
        ('otp_totp', '0003_add_timestamps'),
    ]

    operations = [migrations.RunSQL(GRANTS)]
