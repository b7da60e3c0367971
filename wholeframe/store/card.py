"""The page of a network on a hub, written from the header of its file and from the card of a named network."""

from collections.abc import Mapping, Sequence

from wholeframe.messages import counted, listed
from wholeframe.models.zoo import MODELS
from wholeframe.store.header import Header

LICENCES: Mapping[str, str] = {
    "apache-2.0": "apache-2.0",
    "mit": "mit",
    "bsd-2-clause": "bsd-2-clause",
    "bsd-3-clause": "bsd-3-clause",
    "cc0-1.0": "cc0-1.0",
    "cc-by-4.0": "cc-by-4.0",
    "cc-by-sa-4.0": "cc-by-sa-4.0",
    "cc-by-nc-4.0": "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "gpl-3.0": "gpl-3.0",
    "agpl-3.0": "agpl-3.0",
}
"""licence as it is written, in lower case -> its name on the hub; all others are "other" there"""


def card_text(header: Header, parameters: int) -> str:
    """The model card in Markdown.

    Args:
        header: of the file.
        parameters: of the network.

    Returns:
        The text, with the data of the hub in front.
    """
    parts = [_data(header), f"# {_title(header)}", _what(header, parameters), _use(header), _blocks(header)]
    parts += [_input(header), _published(header), _licence(header), _notes(header)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _data(header: Header) -> str:
    """What the hub reads, as YAML."""
    lines = ["---", "library_name: wholeframe", "tags:", "- wholeframe", "- image-recognition"]
    if header.licence is not None:
        known = LICENCES.get(header.licence.strip().lower())
        lines += [f"license: {known}"] if known else ["license: other", f"license_name: {_quoted(header.licence)}"]
    return "\n".join([*lines, "---"])


def _title(header: Header) -> str:
    return header.origin.name if header.origin else header.backbone


def _what(header: Header, parameters: int) -> str:
    built = f"`{header.origin}`" if header.origin else f"a {header.backbone} that you build yourself"
    blocks = counted(len(header.placements), "inserted block")
    return f"{built} with {blocks}, {parameters:,} parameters, as one file of safetensors."


def _use(header: Header) -> str:
    backbone = "" if header.origin else ", backbone=network"
    return (
        "```python\nimport wholeframe as wf\n\n"
        f'network = wf.from_pretrained("this/repository"{backbone})\n```\n\n'
        "Reading the file runs no code from it. All weights are checked against its checksum."
    )


def _blocks(header: Header) -> str:
    rows = [(p.site, p.block, f"{p.channels}", _options(p.recipe)) for p in header.placements]
    return _table(("site", "block", "channels", "options"), rows) if rows else ""


def _options(recipe: Mapping[str, object] | None) -> str:
    arguments = (recipe or {}).get("arguments")
    given = arguments.items() if isinstance(arguments, Mapping) else ()
    return ", ".join(f"{key}={value!r}" for key, value in given if key != "channels" and value is not None)


def _input(header: Header) -> str:
    lines = [f"- kind: {header.kind}"]
    lines += [f"- one sample: {' x '.join(map(str, header.input))}"] if header.input else []
    lines += [f"- normalised by mean {header.mean} and std {header.std}"] if header.mean else []
    lines += [f"- {header.num_classes} classes"] if header.num_classes else []
    lines += [f"- names: {listed(header.classes)}"] if header.classes else []
    return "\n".join(["## Input and output", "", *lines])


def _published(header: Header) -> str:
    """The figures of the paper, if the network is a named one."""
    origin = header.origin
    if origin is None or origin.library != "wholeframe" or origin.name not in MODELS:
        return ""
    card = MODELS[origin.name]
    rows = [(row.figure, row.unit, row.source) for row in card.published]
    table = f"\n\n{_table(('figure', 'unit', 'source'), rows)}" if rows else ""
    said = "Published, not ours: nothing here was measured with these weights." if rows else "No published figure."
    return f"## Source\n\n{card.paper}\n\n{said}{table}"


def _licence(header: Header) -> str:
    said = "It is not stated." if header.licence is None else f"The weights have the licence {header.licence}."
    return f"## Licence\n\n{said}"


def _notes(header: Header) -> str:
    if not header.notes:
        return ""
    return "## Notes\n\n" + "\n".join(f"- {name}: {text}" for name, text in sorted(header.notes.items()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _quoted(text: str) -> str:
    """A text as YAML takes it on one line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
