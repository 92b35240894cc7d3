"""The picture docs/concepts/architecture.svg, from the floors and the imports: `python tests/docs/draw_architecture.py`."""

import sys
from html import escape
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
WIDTH, ROOM_HEIGHT, FLOOR_HEIGHT, ROOM_GAP, MARGIN = 1000, 40, 78, 18, 24
TITLE = "The packages of tunesmith, floor by floor. An arrow is an import; every arrow points down."


def load(name: str) -> ModuleType:
    """A file of tests/architecture as a module."""
    spec = spec_from_file_location(f"drawn_{name}", ROOT / "tests" / "architecture" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def package_imports() -> set[tuple[str, str]]:
    """(importing package, imported package), both without `tunesmith.`; the root package is left out."""
    graph, floors = load("conftest"), load("test_floors")
    modules = graph.read_modules(ROOT)
    pairs = set()
    for name, module in modules.items():
        for item in graph.imports_of(module, set(modules)):
            pair = (floors.unit_of(name), floors.unit_of(item.target))
            if pair[0] != pair[1] and "tunesmith" not in pair:
                pairs.add((pair[0].removeprefix("tunesmith."), pair[1].removeprefix("tunesmith.")))
    return pairs


def direct(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs that no longer way through other packages says too (the transitive reduction)."""
    return {(one, other) for one, other in pairs if not reaches(one, other, pairs - {(one, other)})}


def reaches(one: str, other: str, pairs: set[tuple[str, str]]) -> bool:
    seen: set[str] = set()
    todo = [one]
    while todo:
        name = todo.pop()
        if name == other:
            return True
        if name not in seen:
            seen.add(name)
            todo += [target for source, target in pairs if source == name]
    return False


def draw() -> str:
    """The picture as SVG: one row of boxes a floor, faces on top."""
    floors = [[unit.removeprefix("tunesmith.") for unit in units] for units in load("test_floors").FLOORS][::-1]
    height = FLOOR_HEIGHT * len(floors) + 2 * MARGIN
    places: dict[str, tuple[float, float, float]] = {}
    for level, rooms in enumerate(floors):
        width = (WIDTH - 2 * MARGIN - 60 - ROOM_GAP * (len(rooms) - 1)) / len(rooms)
        width = min(width, 170.0)
        left = MARGIN + 60 + (WIDTH - 2 * MARGIN - 60 - width * len(rooms) - ROOM_GAP * (len(rooms) - 1)) / 2
        for number, room in enumerate(rooms):
            places[room] = (left + number * (width + ROOM_GAP), MARGIN + level * FLOOR_HEIGHT, width)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" role="img">',
        f"<title>{escape(TITLE)}</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#6b7a90"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for one, other in sorted(direct(package_imports())):
        (x, y, width), (to_x, to_y, to_width) = places[one], places[other]
        start, end = (x + width / 2, y + ROOM_HEIGHT), (to_x + to_width / 2, to_y - 2)
        middle = (start[1] + end[1]) / 2
        lines.append(
            f'<path d="M{start[0]:.0f} {start[1]:.0f}C{start[0]:.0f} {middle:.0f} {end[0]:.0f} {middle:.0f} '
            f'{end[0]:.0f} {end[1]:.0f}" fill="none" stroke="#6b7a90" stroke-opacity="0.6" marker-end="url(#head)"/>'
        )
    for level, rooms in enumerate(floors):
        y = MARGIN + level * FLOOR_HEIGHT
        number = len(floors) - 1 - level
        lines.append(f'<text x="{MARGIN}" y="{y + 25}" font-size="13" fill="#6b7a90">{number}</text>')
        for room in rooms:
            x, _, width = places[room]
            lines.append(
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{ROOM_HEIGHT}" rx="6" fill="#eef3fb" stroke="#2f5d9b"/>'
                f'<text x="{x + width / 2:.0f}" y="{y + 25}" font-size="15" text-anchor="middle" fill="#16325c">{room}</text>'
            )
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    print(draw(), end="")
