"""Discount codes: printed on cards and in the newsletter, typed in by customers."""

PERCENT_OFF = {
    "WELCOME10": 10,
    "SUMMER25": 25,
    "STAFF40": 40,
}


def is_valid(code: str) -> bool:
    """Whether we ever gave out this code."""
    return code.strip().upper() in PERCENT_OFF


def discount(code: str, amount: int) -> int:
    """What the code takes off an amount, in cents, rounded down."""
    return amount * PERCENT_OFF[code] // 100
