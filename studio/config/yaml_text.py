"""YAML that somebody has written: so many letters of it, and no more than those say."""

import yaml

MOST_LETTERS = 100_000


class _Loader(yaml.SafeLoader):
    """Reads no aliases: with a few of them some lines stand for more than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"it has an alias, *{self.peek_event().anchor}; write out what that stands for")
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """1:30:00 is a number to the base of 60, which may have more digits than can be written."""
        found: int = super().construct_yaml_int(node)
        str(found)  # raises `ValueError`
        return found


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def values(text: str) -> object:
    """What the text says; raises `yaml.YAMLError` where it is too long, or cannot be read."""
    if len(text) > MOST_LETTERS:
        raise yaml.YAMLError(f"it has {len(text):,} letters, and at most {MOST_LETTERS:,} are read")
    try:
        return yaml.load(text, _Loader)  # noqa: S506  it is a safe one
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deep") from error
    except ValueError as error:  # a number or a date that is none
        raise yaml.YAMLError(str(error)) from error
