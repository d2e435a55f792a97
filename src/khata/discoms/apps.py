from django.apps import AppConfig


class DiscomsConfig(AppConfig):
    name = "khata.discoms"
