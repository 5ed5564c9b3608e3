"""What a customer can get wrong. Everything else that goes wrong is ours, and is logged."""


class BadRequest(Exception):
    """The request cannot be understood or fulfilled; the text tells the customer why."""


class NotFound(Exception):
    """There is no such thing here."""
