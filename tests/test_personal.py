import pytest

from espalier.personal import count, luhn


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("write to jane.doe+x@mail.example.com or bob@b.org", {"email addresses": 2}),
        ("call +82 10-1234-5678 or (02) 123-4567", {"phone numbers": 2}),
        ("my card is 4111 1111 1111 1111", {"card numbers": 1}),
        ("주민번호는 900101-1234567 입니다", {"Korean resident numbers": 1}),
        ("no @ here, not even user@host, 4111 1111 1111 1112, in 1999-2024", {}),
        ("901301-1234567 has a month that does not exist", {}),
        ("", {}),
    ],
)
def test_what_looks_personal_is_counted_by_kind(text, found):
    assert count(text) == found


def test_formula_luhn():
    # 79927398713: doubled digits from the right 3 1+ ... sum to 70
    assert luhn("79927398713")
    assert not any(luhn(f"7992739871{digit}") for digit in "012456789")
