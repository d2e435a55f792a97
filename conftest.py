"""What holds for every test: how long an example may take is for the benchmarks to say."""

from hypothesis import settings

settings.register_profile("khata", deadline=None)
settings.load_profile("khata")
