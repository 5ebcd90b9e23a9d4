"""The words of the pages in the language of the person who reads them."""


def _(text: str, **values: object) -> str:
    """A text of the pages, with `values` in the places that it names.

    >>> _("Run {run} is {status}.", run=3, status="queued")
    'Run 3 is queued.'
    """
    return text.format(**values) if values else text
