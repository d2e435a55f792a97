"""The real days: moved, never changed; gaps stay gaps; a register that counts on through them."""

import numpy as np
import pytest

from khata.rehearsal.households import (
    ODDITIES,
    Series,
    between,
    lay_register,
    load_for,
    moved,
    offered,
    read_households,
    register_at,
)

END = np.datetime64("2024-06-20")


def series(*days: tuple[str, int]) -> Series:
    return Series("X", np.array([day for day, _ in days], "datetime64[D]"), np.array([wh for _, wh in days], np.int64))


def test_the_file_is_the_published_one() -> None:
    households = read_households()
    assert len(households) == 63
    assert sum(len(each.day) for each in households) == 31_724
    assert all((np.diff(each.day).astype(int) > 0).all() for each in households)
    br02 = households[0]
    assert (br02.household, str(br02.day[0]), int(br02.wh[br02.day == np.datetime64("2019-07-10")][0])) == (
        "BR02",
        "2019-07-10",
        6_960,
    )


def test_days_move_by_whole_years_and_keep_their_energy() -> None:
    made = moved(series(("2020-02-28", 10), ("2020-02-29", 20), ("2020-03-01", 30)), 4)
    assert [str(day) for day in made.day] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert made.wh.tolist() == [10, 20, 30]


def test_a_29_february_that_is_not_there_stays_missing_and_moves_nothing_else() -> None:
    made = moved(series(("2020-02-28", 10), ("2020-02-29", 20), ("2020-03-01", 30)), 3)
    assert [str(day) for day in made.day] == ["2023-02-28", "2023-03-01"]
    assert made.wh.tolist() == [10, 30]


def test_the_register_adds_each_day_and_goes_on_through_a_gap() -> None:
    found = series(("2024-05-01", 4_000), ("2024-05-02", 6_000), ("2024-05-05", 8_000))
    # Two missing days at the average of 6,000 and 8,000.
    assert lay_register(found, 1_000).tolist() == [5_000, 11_000, 11_000 + 14_000 + 8_000]


def test_half_a_watt_hour_of_a_gap_is_rounded_up() -> None:
    assert lay_register(series(("2024-05-01", 1), ("2024-05-03", 2)), 0).tolist() == [1, 1 + 2 + 2]


def test_the_register_of_a_day_without_data_lies_between_its_neighbours() -> None:
    found = series(("2024-05-01", 4_000), ("2024-05-04", 6_000))
    days = np.array(["2024-04-30", "2024-05-01", "2024-05-02", "2024-05-03", "2024-05-04", "2024-05-05", "2024-06-01"])
    at = register_at(found, lay_register(found, 0), days.astype("datetime64[D]"))
    assert at.tolist() == [0, 0, 4_000, 9_000, 14_000, 20_000, 20_000]


def test_every_real_register_rises_and_holds_every_real_day() -> None:
    for each in read_households():
        register = lay_register(each, 0)
        assert (np.diff(register) >= each.wh[1:]).all()
        both = register_at(each, register, np.stack([each.day, each.day + 1]).ravel()).reshape(2, -1)
        assert (both[1] - both[0] == each.wh).all()


def test_each_household_is_offered_and_nothing_is_filled_in() -> None:
    households = read_households()
    many, single = offered(households, END)
    assert {each.household for each in many + single} == {each.household for each in households}
    assert [each.household for each in single[:3]] == sorted(ODDITIES)
    assert len({each.household for each in single}) == len(single)
    originals = {each.household: set(each.wh.tolist()) for each in households}
    for each in many + single:
        assert set(each.wh.tolist()) <= originals[each.household]
        assert each.day[0] >= np.datetime64("2023-05-01")
        assert each.day[-1] < END


def test_a_household_that_falls_silent_before_the_billed_months_stands_for_one_connection() -> None:
    _, single = offered(read_households(), END)
    br20 = next(each for each in single if each.household == "BR20")
    assert br20.day[-1] < np.datetime64("2024-03-01")
    assert br20.wh[-3:].tolist() == [42_587, 39_341, 39_189] or (br20.wh[-3:] > 39_000).all()


def test_a_period_is_half_open() -> None:
    found = between(
        series(("2024-05-01", 1), ("2024-05-02", 2)), np.datetime64("2024-05-01"), np.datetime64("2024-05-02")
    )
    assert found.wh.tolist() == [1]


@pytest.mark.parametrize(("peak", "load"), [(0, 1_000), (1_400, 1_000), (3_600, 4_000), (60_000, 10_000)])
def test_a_load_is_one_to_ten_whole_kilowatts(peak: int, load: int) -> None:
    assert load_for(np.array([peak]), np.array([1.0])).tolist() == [load]
