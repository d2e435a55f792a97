"""What templates say of moments: on the clock of the page, whatever day it lives on."""

import datetime as dt

from khata.site.page_tags import as_of


def test_a_moment_stands_on_the_clock_of_the_page() -> None:
    real = dt.datetime.now(dt.UTC)
    an_hour_ago = real - dt.timedelta(hours=1)
    drill = real - dt.timedelta(days=800)
    shown = as_of(an_hour_ago, drill)
    assert shown is not None
    assert abs(drill - dt.timedelta(hours=1) - shown) < dt.timedelta(minutes=1)
    assert as_of(an_hour_ago, real) == an_hour_ago
    assert as_of(None, real) is None
