"""The report as Markdown, CSV and LaTeX. Names come from outside: each format escapes them in its own way."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..types import Score
from .leaderboard import Cell, Column, Leaderboard, Row
from .table import for_terminal

if TYPE_CHECKING:
    from .contamination import Split

MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$])")
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "·": r"\textperiodcentered{}", "–": "--", "−": "$-$", "…": r"\dots{}",
}  # fmt: skip
PARTS = (
    "clean", "clean low", "clean high", "clean problems", "hit", "hit low", "hit high", "hit problems",
    "hit - clean", "hit - clean low", "hit - clean high", "contamination notes",
)  # fmt: skip
BEST = "better than the second beyond chance (p < 0.05, exact paired test over problems; of pass@1, and sandboxed runs)"


def flat(text: str) -> str:
    return " ".join(for_terminal(text).split())


def interval(cell: Cell | Score) -> str:
    return "" if cell.low is None or cell.high is None else f"{100 * cell.low:.1f}–{100 * cell.high:.1f}"


def difference(split: Split) -> tuple[str, str]:
    """Hit - clean and its interval; empty where there is none."""
    if split.difference is None:
        return "", ""
    value, low, high = (_signed(each) for each in split.difference)
    return value, f"{low} to {high}"


def _signed(fraction: float) -> str:
    text = f"{100 * fraction:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _as_cell(score: Score | None) -> Cell | None:
    return None if score is None else Cell(score.value, score.low, score.high)


def named(row: Row) -> str:
    return row.name if row.kind == "model" else f"{row.name} ({row.kind})"


# -- Markdown -----------------------------------------------------------------------------------------


def in_markdown(text: str) -> str:
    """As text: no markup, no link, no cell or line of its own."""
    return MARKDOWN.sub(r"\\\1", flat(text))


def markdown(board: Leaderboard, title: str) -> str:
    """A table for each family of benchmarks."""
    lines = [f"# {in_markdown(title)}", "", "Percent, with 95 % intervals."]
    legend = board.legend
    for family, columns in board.families.items():
        heads = [_markdown_head(column, legend) for column in columns]
        lines += ["", f"## {family}", "", _row(["model", *heads]), _row(["---", *["---:"] * len(columns)])]
        for row in board.rows:
            cells = [board.cell(row, column) for column in columns]
            if any(cells):
                lines.append(_row([in_markdown(named(row)), *(_markdown_cell(cell, legend) for cell in cells)]))
    lines += ["", f"**Bold**: {in_markdown(BEST)}.", ""]
    lines += [f"- {letter}: {in_markdown(note)}" for note, letter in legend.items()]
    lines += _markdown_contamination(board)
    if board.said:
        lines += ["", "Left out:", "", *(f"- {in_markdown(line)}" for line in board.said)]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_head(column: Column, legend: dict[str, str]) -> str:
    below = f"<br>{in_markdown(column.rules)}<br>{in_markdown(column.metric)}"
    return f"{in_markdown(column.check)}{_sup(column.notes, legend)}{below}"


def _sup(notes: Sequence[str], legend: dict[str, str]) -> str:
    return f"<sup>{','.join(legend[note] for note in notes)}</sup>" if notes else ""


def _markdown_cell(cell: Cell | None, legend: dict[str, str]) -> str:
    if cell is None:
        return ""
    value = f"**{100 * cell.value:.1f}**" if cell.best else f"{100 * cell.value:.1f}"
    between = f" ({interval(cell)})" if cell.low is not None else ""
    return f"{value}{between}{_sup(cell.notes, legend)}"


def _markdown_contamination(board: Leaderboard) -> list[str]:
    found = board.contamination
    if found is None:
        return []
    lines = ["", "## Contamination", "", in_markdown(found.explained)]
    heads = ["model", "score", "all", "clean", "hit", "hit − clean", "problems clean", "problems hit"]
    table = [_row(heads), _row(["---", "---", *["---:"] * 6])]
    for row, column, split in found.scores(board):
        scores = [_markdown_cell(_as_cell(part), {}) for part in split.parts]
        value, between = difference(split)
        cells = [*scores, f"{value} ({between})" if value else "", *map(str, split.problems)]
        table.append(_row([in_markdown(named(row)), in_markdown(column.name), *cells]))
    lines += ["", *table] if len(table) > 2 else []
    return [*lines, "", *(f"- {in_markdown(line)}" for line in (*found.files, *found.said))]


# -- CSV ----------------------------------------------------------------------------------------------


def in_csv(text: str) -> str:
    """As text in a spreadsheet too, where a cell that begins like a formula would be run."""
    text = flat(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "|", "%")) else text


def comma_separated(board: Leaderboard, title: str = "") -> str:
    """A line a model; of each column value, low, high and notes, in the order of the families. Values are fractions.

    With a contamination report there is more of each column: the clean and the hit problems, and hit - clean.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["model", "kind", "size_b"]
    for column in board.columns:
        name = in_csv(f"{column.family}: {column.name}")
        ceiling = [f"ceiling {column.ceiling:.4f}"] if column.ceiling is not None else []
        head += ["; ".join([name, *ceiling]), f"{name} low", f"{name} high", f"{name} notes"]
        if board.contamination is not None:
            head += [f"{name} {part}" for part in PARTS]
    writer.writerow(head)
    for row in board.rows:
        line = [in_csv(row.name), row.kind, "" if row.size is None else f"{row.size:g}"]
        for column in board.columns:
            line += _csv_cells(board.cell(row, column))
            if board.contamination is not None:
                line += _csv_contamination(board, row, column)
        writer.writerow(line)
    return file.getvalue()


def _csv_cells(cell: Cell | None) -> list[str]:
    if cell is None:
        return [""] * 4
    ends = ["" if end is None else f"{end:.6f}" for end in (cell.low, cell.high)]
    notes = "; ".join([*(["best"] if cell.best else []), *cell.notes])
    return [f"{cell.value:.6f}", *ends, in_csv(notes)]


def _csv_contamination(board: Leaderboard, row: Row, column: Column) -> list[str]:
    cell, found = board.cell(row, column), board.contamination
    if cell is None or cell.run is None or found is None:
        return [""] * len(PARTS)
    line = []
    split = found.splits.get((row, column.key))
    for part in (split.clean, split.hit) if split else (None, None):
        line += [f"{part.value:.6f}", f"{part.low:.6f}", f"{part.high:.6f}"] if part else [""] * 3
        line.append(str(part.problems if part else 0) if split else "")
    line += [f"{each:.6f}" for each in split.difference] if split and split.difference else [""] * 3
    return [*line, in_csv("; ".join(found.notes[cell.run]))]


# -- LaTeX --------------------------------------------------------------------------------------------


def in_latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in flat(text))


def latex(board: Leaderboard, title: str) -> str:
    """A table for each family, with booktabs. Needs UTF-8 and T1 fonts, as every LaTeX of today has."""
    legend = board.legend
    lines = ["% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}"]
    for family, columns in board.families.items():
        rows = [row for row in board.rows if any(board.cell(row, column) for column in columns)]
        own = {note: letter for note, letter in legend.items() if _used(board, columns, note)}
        width = len(columns)
        lines += [
            r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{l{'r' * width}}}", r"\toprule",
            rf" & \multicolumn{{{width}}}{{c}}{{{in_latex(family)}}} \\", rf"\cmidrule(lr){{2-{width + 1}}}",
            _latex_row(["Model", *(in_latex(column.check) + _raised(column.notes, own) for column in columns)]),
            _latex_row(["", *(rf"{{\scriptsize {in_latex(column.rules)}}}" for column in columns)]),
            _latex_row(["", *(rf"{{\scriptsize {in_latex(column.metric)}}}" for column in columns)]),
            r"\midrule",
        ]  # fmt: skip
        for row in rows:
            cells = [_latex_cell(board.cell(row, column), own) for column in columns]
            lines.append(_latex_row([in_latex(named(row)), *cells]))
        notes = [rf"\textsuperscript{{{letter}}} {in_latex(note)}." for note, letter in own.items()]
        said = ["Percent, with 95\\,\\% intervals; bold: " + in_latex(BEST) + ".", *notes]
        caption = rf"\caption{{{in_latex(title)}: {in_latex(family)}. {' '.join(said)}}}"
        lines += [r"\bottomrule", r"\end{tabular}", caption, r"\end{table}", ""]
    return "\n".join([*lines, *_latex_contamination(board, title)])


def _latex_contamination(board: Leaderboard, title: str) -> list[str]:
    """A table for each family; what no corpus was searched for is a comment where it has none."""
    found = board.contamination
    if found is None:
        return []
    families: dict[str, list[str]] = {}
    for row, column, split in found.scores(board):
        cells = [_latex_cell(_as_cell(part), {}) for part in split.parts]
        value, between = difference(split)
        cells.append(rf"{in_latex(value)} {{\scriptsize [{in_latex(between)}]}}" if value else "--")
        line = _latex_row([in_latex(named(row)), in_latex(column.name), *cells, *map(str, split.problems)])
        families.setdefault(column.family, []).append(line)
    lines = []
    said = " ".join([in_latex(found.explained), *(f"{in_latex(line)}." for line in (*found.files, *found.said))])
    for family, rows in families.items():
        lines += [
            r"\begin{table}", r"\centering", r"\begin{tabular}{llrrrrrr}", r"\toprule",
            r" & & & & & & \multicolumn{2}{c}{Problems} \\", r"\cmidrule(lr){7-8}",
            _latex_row(["Model", "Score", "All", "Clean", "Hit", in_latex("Hit − clean"), "clean", "hit"]),
            r"\midrule", *rows, r"\bottomrule", r"\end{tabular}",
            rf"\caption{{{in_latex(title)}: contamination, {in_latex(family)}. {said}}}", r"\end{table}", "",
        ]  # fmt: skip
    return lines or [f"% contamination: {flat(line)}" for line in (*found.files, *found.said)] + [""]


def _used(board: Leaderboard, columns: Sequence[Column], note: str) -> bool:
    cells = (board.cell(row, column) for row in board.rows for column in columns)
    return any(note in column.notes for column in columns) or any(note in cell.notes for cell in cells if cell)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _raised(notes: Sequence[str], legend: dict[str, str]) -> str:
    return rf"\textsuperscript{{{','.join(legend[note] for note in notes)}}}" if notes else ""


def _latex_cell(cell: Cell | None, legend: dict[str, str]) -> str:
    if cell is None:
        return "--"
    value = f"{100 * cell.value:.1f}"
    value = rf"\textbf{{{value}}}" if cell.best else value
    between = rf" {{\scriptsize [{in_latex(interval(cell))}]}}" if cell.low is not None else ""
    return value + _raised(cell.notes, legend) + between
