"""What a job shows of a gate: JUnit XML for its list of tests, Markdown for its page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .compare import Comparison
from .gate import Judged

if TYPE_CHECKING:
    from .nightly import Night, Plan

NAMED = 20  # flipped problems that are named; the report has all
# What XML 1.0 cannot hold, even escaped.
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NOT_PLAIN = re.compile(r"([\\`*_{}\[\]()#+!|<>~&])")


def points(fraction: float) -> str:
    """A difference in points of a hundred, with its sign."""
    return f"{100 * fraction:+.1f}"


def said(test: Judged) -> str:
    """One line: what was seen, and whether it counts."""
    seen = f"{points(test.difference)} points [{points(test.low)}, {points(test.high)}], p = {test.p:.2g}"
    if test.comparison is not None:
        seen = f"{100 * test.comparison.base:.1f} to {100 * test.comparison.new:.1f} %: {seen}"
    return seen + (f", {len(test.comparison.lost)} problems lost" if test.comparison and test.comparison.lost else "")


def finds(test: Judged) -> str:
    """The smallest drop that the test finds, in points."""
    return "none" if test.detectable is None else f"{100 * test.detectable:.1f}"


def names(problems: Sequence[str]) -> str:
    more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
    return ", ".join(problems[:NAMED]) + more


def junit(night: Night) -> str:
    """A test suite a model: a test case for each test of the gate; trouble is an error there, never a failure."""
    root = ET.Element("testsuites", name="qceval nightly")
    models = dict.fromkeys([*(each.model for each in night.judged), *night.trouble, *night.refused])
    for model in models:
        tests = [each for each in night.judged if each.model == model]
        troubles = [("evaluated", line) for line in night.trouble.get(model, [])]
        troubles += [("compared", line) for line in night.refused.get(model, [])]
        suite = ET.SubElement(
            root, "testsuite", name=_xml(model), tests=str(len(tests) + len(troubles)),
            failures=str(sum(each.failed for each in tests)), errors=str(len(troubles)),
        )  # fmt: skip
        for test in tests:
            case = ET.SubElement(suite, "testcase", classname=_xml(model), name=_xml(test.name))
            if test.failed:
                failure = ET.SubElement(case, "failure", type="regression", message=_xml(said(test)))
                if test.comparison:
                    failure.text = _xml(f"lost: {names(test.comparison.lost)}\ngained: {names(test.comparison.gained)}")
            else:
                ET.SubElement(case, "system-out").text = _xml(f"{said(test)}; finds drops from {finds(test)} points")
        for kind, line in troubles:
            case = ET.SubElement(suite, "testcase", classname=_xml(model), name=kind)
            ET.SubElement(case, "error", type="infrastructure" if kind == "evaluated" else kind, message=_xml(line))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)


def plain(text: str) -> str:
    """Text that somebody else chose, as Markdown that shows it as it is."""
    return NOT_PLAIN.sub(r"\\\1", " ".join(text.split()))


def markdown(night: Night, plan: Plan) -> str:
    verdict = {0: "nothing got worse", 1: "**a regression**", 2: "not compared", 3: "infrastructure trouble"}
    lines = [f"# Night {plain(night.folder.name)}: {verdict[night.status]}", ""]
    for heading, troubles in (("Not evaluated", night.trouble), ("Not compared", night.refused)):
        if troubles:
            lines += [f"## {heading}", ""]
            lines += [f"- {plain(name)}: {plain(line)}" for name, own in troubles.items() for line in own] + [""]
    if night.judged:
        lines += [
            f"The gate fails falsely in at most {100 * plan.alpha:g} of 100 nights in which nothing has changed, and "
            f"lets drops under {100 * plan.least:g} points through. *Finds* is the smallest true drop, in points, that "
            "it finds four times of five.",
            "",
            "| | model | score | baseline | tonight | difference | 95 % interval | p | finds |",
            "|---|---|---|---:|---:|---:|---|---:|---:|",
        ]
        lines += [_row(each, each in night.unconfirmed) for each in night.judged] + [""]
    for each in night.failed:
        if each.comparison and (each.comparison.lost or each.comparison.gained):
            lines += [f"### {plain(each.model)}, {plain(each.name)}: problems that flipped", ""]
            lines += [f"- lost: {plain(names(each.comparison.lost)) or 'none'}"]
            lines += [f"- gained: {plain(names(each.comparison.gained)) or 'none'}", ""]
    if night.unconfirmed:
        lines += ["Failed at first, and not when evaluated again with another seed:", ""]
        lines += [f"- {plain(each.model)}, {plain(each.name)}: {plain(said(each))}" for each in night.unconfirmed] + [
            ""
        ]
    notes = list(night.notes)
    for each in night.judged:
        if each.comparison and (line := noise(each.comparison)):
            notes.append(f"{each.model}, {each.name}: {line}")
    lines += [f"- {plain(note)}" for note in notes]
    return "\n".join(lines).rstrip() + "\n"


def noise(comparison: Comparison) -> str:
    """What repeats of one model differ in; empty where there are none."""
    if (floor := comparison.floor) is None:
        return ""
    flips, apart = 100 * floor.flips, 100 * floor.score
    return f"{floor.runs} repeats flip {flips:.1f} % of the problems, their scores lie {apart:.1f} points apart"


def _row(test: Judged, unconfirmed: bool) -> str:
    mark = "✗" if test.failed else "✓"
    scores = ("", "")
    if test.comparison:
        scores = (f"{100 * test.comparison.base:.1f}", f"{100 * test.comparison.new:.1f}")
    cells = [
        mark + (" not confirmed" if unconfirmed else ""), plain(test.model), plain(test.name), *scores,
        points(test.difference), f"{points(test.low)} to {points(test.high)}", f"{test.p:.2g}", finds(test),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def document(night: Night) -> dict[str, Any]:
    """The night as --json prints it and night.json keeps it."""
    return {
        "night": night.folder.name,
        "folder": str(night.folder),
        "status": night.status,
        "tests": [described(each) for each in night.judged],
        "unconfirmed": [described(each) for each in night.unconfirmed],
        "trouble": night.trouble,
        "refused": night.refused,
        "notes": night.notes,
        "runs": {name: [str(run.path) for run in runs] for name, runs in night.runs.items()},
    }


def described(test: Judged) -> dict[str, Any]:
    """A test of the gate as plain data; of its comparison what is not in the test itself."""
    keys = ("model", "name", "difference", "low", "high", "problems", "p", "failed", "detectable")
    found = {key: getattr(test, key) for key in keys}
    if test.comparison is not None:
        own = ("benchmark", "profile", "check", "base", "new", "lost", "gained", "notes")
        found |= {key: getattr(test.comparison, key) for key in own}
    return found
