"""Which languages there are, and which one a reader gets."""

SOURCE = "en"
"""The language in which the texts stand in the code."""

LANGUAGES = {"en": "EN", "zh": "中文"}
"""By code: what each calls itself, in short."""

TAGS = {"en": "en", "zh": "zh-Hans"}
"""By code: the tag that a document is marked with (BCP 47)."""

LOCALES = {"en": "en_GB", "zh": "zh_Hans_CN"}
"""By code: how dates are written (CLDR)."""


def chosen(*wanted: str | None) -> str:
    """The first wanted language that there is; English where there is none of them. Regions do not matter.

    >>> chosen(None, "fr", "zh-CN"), chosen("en-GB", "zh"), chosen("fr"), chosen()
    ('zh', 'en', 'en', 'en')
    """
    codes = (str(tag).replace("_", "-").partition("-")[0].lower() for tag in wanted if tag)
    return next((code for code in codes if code in LANGUAGES), SOURCE)


def accepted(header: str) -> list[str]:
    """The languages of an `Accept-Language`, the most wanted first.

    >>> accepted("de;q=0.5, zh-CN, zh;q=0.9, en;q=x")
    ['zh-CN', 'zh', 'de']
    """
    weighed = []
    for part in header.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for _, tag in sorted(weighed, key=lambda found: found[0]) if tag]
