"""Orders of an invented regulator, as files: homes and shops, a few lines each."""

from pathlib import Path

ORDER = """\
order:
  regulator:   ANERC
  discoms:     [NADIPUR]
  title:       "{title}"
  document:    "invented"
  in_force:    {{from: {first_day}, ref: "p. 1"}}
  published:   {first_day}
  reviewed_by: none

rules:
  month:
    postpaid: {{kind: billing-days, per: 30, ref: "p. 2"}}
    prepaid:  {{kind: calendar-month, ref: "p. 2"}}
  straddle:   {{kind: split-by-days, ref: "p. 2"}}
  rounding:
    line:       {{to: 0.01 INR, mode: half-up, ref: "p. 3"}}
    slab_limit: {{to: 0.001 kWh, mode: half-up, ref: "p. 3"}}

schedules:
- name:  Home
  title: "Homes"
  for:   {{category: LMV-1}}
  ref:   "p. 4"
  lines:
  - {{id: fixed, printed: "Fixed", kind: per-load, floor: 75 % of load, rate: 100.00 INR/kW/month, ref: "row 1"}}
  - {{id: excess, printed: "Excess demand", kind: excess-demand, rate: 2 × fixed, ref: "row 2"}}
  - id: energy
    printed: "Energy charge"
    kind: slabs-telescopic
    slabs:
    - {{printed: "Up to 300 units", up_to: 300 kWh, rate: {homes} INR/kWh, ref: "row 3"}}
    - {{printed: "Above 300 units", up_to: none, rate: {last_slab} INR/kWh, ref: "row 4"}}
    ref: "row 3"
  - {{id: duty, printed: "Duty", kind: percent-of, of: [fixed, excess, energy], rate: 9.00 %, ref: "row 5"}}

- name:  Shop
  title: "Shops"
  for:   {{category: LMV-2}}
  ref:   "p. 5"
  lines:
  - {{id: fixed, printed: "Fixed", kind: per-load, floor: 75 % of load, rate: 100.00 INR/kW/month, ref: "row 1"}}
  - {{id: excess, printed: "Excess demand", kind: excess-demand, rate: 2 × fixed, ref: "row 2"}}
  - id: energy
    printed: "Energy charge"
    kind: slabs-telescopic
    slabs:
    - {{printed: "All units", up_to: none, rate: 6.00 INR/kWh, ref: "row 3"}}
    ref: "row 3"
  - {{id: duty, printed: "Duty", kind: percent-of, of: [fixed, excess, energy], rate: 9.00 %, ref: "row 4"}}

readings:
- {{id: reading-1, question: "Q?", answer: "A.", evidence: C, because: "B."}}
"""


def order_file(tariffs: Path, folder: str, *, homes: str, last_slab: str) -> None:
    """An order in force from the day in the folder's name; homes pay these rates, shops always the same."""
    first_day, title = folder.split("--")
    path = tariffs / "anerc" / folder / "schedule.yaml"
    path.parent.mkdir(parents=True)
    text = ORDER.format(title=title, first_day=first_day, homes=homes, last_slab=last_slab)
    path.write_text(text, encoding="utf-8")
