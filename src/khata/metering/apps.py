from django.apps import AppConfig


class MeteringConfig(AppConfig):
    name = "khata.metering"
