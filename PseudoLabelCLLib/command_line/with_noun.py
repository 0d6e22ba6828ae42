"""Numbers with their nouns, as sentences need them."""


def with_noun(number: int, noun: str) -> str:
    """Return a number with its noun: "1 case", "2 cases".

    Args:
        number: How many.
        noun: The noun for one; its plural ends in "s".
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"
