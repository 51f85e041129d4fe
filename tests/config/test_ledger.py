"""What a day cost, added up from what was written answer by answer."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from chinwag.config.ledger import LONGEST, Ledger


def test_a_day_is_the_sum_of_its_answers(tmp_path):
    path = tmp_path / "state" / "spent"
    Ledger(path).add("lab/a", 100, Decimal("0.5"))
    Ledger(path).add("lab/b", 50, Decimal("0.25"))
    assert Ledger(path).of() == (150, Decimal("0.75"))
    assert Ledger(path).of(date(2020, 1, 1)) == (0, Decimal(0))
    assert path.stat().st_mode & 0o777 == 0o600


def test_torn_and_foreign_lines_are_passed_over(tmp_path):
    path = tmp_path / "spent"
    Ledger(path).add("lab/a", 100, Decimal(1))
    with path.open("ab") as file:
        file.write(b'{"day": 3}\n\xff\xfe\n[[[\n{"day":"x"')
    assert Ledger(path).of() == (100, Decimal(1))


def test_a_link_in_its_place_is_not_followed(tmp_path):
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / "spent").symlink_to(other)
    Ledger(tmp_path / "spent").add("lab/a", 1, Decimal(1))
    assert other.read_text() == "mine"


def test_a_long_one_is_cut_to_its_newer_half(tmp_path):
    path = tmp_path / "spent"
    path.write_bytes(b"x" * (LONGEST + 1) + b"\n")
    path.chmod(0o600)
    ledger = Ledger(path)
    ledger.add("lab/a", 7, Decimal(1))
    ledger.add("lab/a", 5, Decimal(1))
    assert path.stat().st_size < 1000
    assert ledger.of()[0] in {5, 12}


def test_where_nothing_can_be_written_nothing_happens(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    ledger = Ledger(blocked / "spent")
    ledger.add("lab/a", 1, Decimal(1))
    assert ledger.of() == (0, Decimal(0))
