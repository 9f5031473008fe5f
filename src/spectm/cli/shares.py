"""Numbers as the commands that cut windows take them."""

__all__ = ["share_or_number"]


def share_or_number(text: str) -> float | int:
    """A share where there is a decimal point, else a number: "1.0" is all pixels, "1" is one of them."""
    return float(text) if "." in text else int(text)
