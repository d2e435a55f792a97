"""Which wave a command means: its code, and the company's where several companies have a wave of this code."""

from khata.commands.errors import CommandError
from khata.discoms.queries import UnknownOfficeError, discom_named
from khata.migration.models import Wave


def asked_wave(discom: str | None, code: str) -> Wave:
    """Raises CommandError, which lists the waves that there are."""
    waves = Wave.objects.select_related("discom").order_by("id")
    try:
        known = list(waves.filter(discom=discom_named(discom)) if discom is not None else waves)
    except UnknownOfficeError as unknown:
        raise CommandError(str(unknown), "--discom", "Choose one of them") from None
    found = [wave for wave in known if wave.code == code]
    if len(found) > 1:
        companies = ", ".join(wave.discom.code for wave in found)
        raise CommandError(f"several companies have a wave {code}: {companies}", "--wave", "Name the company: --discom")
    if not found:
        names = ", ".join(f"{wave.discom.code} {wave.code}" for wave in known)
        raise CommandError(
            f"there is no wave {code!r}; waves are: {names or 'none yet'}", "--wave", "Choose one of them"
        )
    return found[0]
