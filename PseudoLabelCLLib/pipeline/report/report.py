"""The report of a round: one web page that needs nothing else and works offline."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.round import Round
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.pipeline.learning_curve import RoundCurve
from PseudoLabelCLLib.pipeline.prediction.measure_quality import DEFINITIONS, summarise
from PseudoLabelCLLib.pipeline.report.cards import CaseCard, draw_cards
from PseudoLabelCLLib.pipeline.report.curves import (
    RoundQuality,
    draw_dice_over_rounds,
    draw_learning_curves,
    draw_loss_curve,
)
from PseudoLabelCLLib.pipeline.report.pictures import CaseFigure
from PseudoLabelCLLib.pipeline.report.tables import case_rows, round_rows, summary_rows
from PseudoLabelCLLib.storage.project.own_reports import write_sealed_report
from PseudoLabelCLLib.storage.project.pretraining_record import PretrainingRecord


@dataclass(frozen=True)
class RoundReport:
    """Everything that the page shows.

    Args:
        project_name: What a person calls the project.
        schema: The structures.
        round: The round, with what it was trained on and when.
        device: What it was trained on and why, in a few words.
        duration_s: How long the round took.
        cases: The cases with their proposals. Read once, so that a generator can hand over one
            volume at a time.
        plan: What the round did, in one sentence.
        notices: What a person should know, one sentence each.
        curves: Learning curves of this round and of earlier ones, this one last.
        qualities: Quality after this round and earlier ones, this one last; rounds without any
            case with a reference are left out.
        model_file: Where the model lies, or empty.
        model_fingerprint: Its content hash, or empty.
        settings: Settings of the round, or None.
        pretraining: What the round's first weights come from, or None.
    """

    project_name: str
    schema: LabelSchema
    round: Round
    device: str
    duration_s: float
    cases: Iterable[CaseFigure]
    plan: str = ""
    notices: tuple[str, ...] = ()
    curves: tuple[RoundCurve, ...] = ()
    qualities: tuple[RoundQuality, ...] = ()
    model_file: str = ""
    model_fingerprint: str = ""
    settings: ProjectConfig | None = None
    pretraining: PretrainingRecord | None = None


def write_report(path: Path, report: RoundReport) -> None:
    """Write the page, aside first, then renamed.

    Raises:
        StorageError: The disk refuses.
    """
    write_sealed_report(path, render_report(report))


def render_report(report: RoundReport) -> Iterator[str]:
    """Return the page as HTML in parts, so that its many pictures need not be copied together.

    Every value in it is escaped. The cases are read and drawn before the first part.
    """
    newest = report.qualities[-1].cases if report.qualities else ()
    mean_dice = {case_id: quality.mean_dice for case_id, quality in newest}
    cards = draw_cards(report.cases, report.schema, mean_dice)
    stream = _template().stream(
        report=report,
        style=Markup(resources.files(__package__).joinpath("style.css").read_text("utf-8")),
        summary=_summary_sentence(report, cards),
        round_facts=_round_facts(report),
        qualities=_qualities(report.qualities),
        definitions=" ".join(DEFINITIONS.values()),
        pretraining_facts=_pretraining_facts(report.pretraining),
        pretraining_curves=_pretraining_curves(report.pretraining),
        learning_curves=Markup("").join(draw_learning_curves(report.curves)),
        cards=cards,
        anchors={card.case_id: card.anchor for card in cards},
        has_reference=any(card.has_reference for card in cards),
        settings=[] if report.settings is None else _flatten(asdict(report.settings)),
    )
    stream.enable_buffering()
    return iter(stream)


@cache
def _template() -> Template:
    loader = PackageLoader(str(__package__), ".")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template(
        "report.html"
    )


def format_duration(duration_s: float) -> str:
    """Return a time in the two units that matter, such as "6 min 05 s"."""
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def _round_facts(report: RoundReport) -> list[tuple[str, str]]:
    done = report.round
    return [
        (
            "Trained on",
            f"{_count(done.num_truth_cases, 'case')} with human truth, "
            f"{_count(done.num_pseudo_cases, 'pseudo-label')}, {done.num_left_out_cases} left out",
        ),
        ("Device", report.device),
        ("Time", format_duration(report.duration_s)),
        ("Finished", (done.finished or done.started)[:16].replace("T", " ")),
    ]


def _summary_sentence(report: RoundReport, cards: Sequence[CaseCard]) -> str:
    parts = [_quality_words(report.qualities)]
    proposals = [card for card in cards if card.is_for_review]
    open_cards = [card for card in proposals if card.verdict is None]
    if proposals:
        parts.append(f"{len(open_cards)} of {_count(len(proposals), 'proposal')} to review")
    doubtful = [card for card in open_cards if card.doubt is not None]
    if doubtful:
        parts[-1] += f", the most doubtful is {doubtful[0].case_id} ({doubtful[0].doubt:.2f})"
    return "; ".join(parts) + "."


def _quality_words(qualities: tuple[RoundQuality, ...]) -> str:
    if not qualities:
        return "No case has a reference, so the quality was not measured"
    means = [summarise([q for _, q in quality.cases]).mean.dice for quality in qualities]
    now = means[-1]
    if now.mean is None:
        return "The references hold no structure, so the quality was not measured"
    words = f"Mean Dice is {now.mean:.3f} on {_count(now.num_counted, 'case')} with a reference"
    if len(means) > 1 and means[-2].mean is not None:
        words += f" (round {qualities[-2].round_index}: {means[-2].mean:.3f})"
    return words


def _qualities(qualities: tuple[RoundQuality, ...]) -> dict[str, object]:
    """Return the tables of quality, and its curve over several rounds; nothing without any."""
    if not qualities:
        return {}
    return {
        "rounds": round_rows(qualities),
        "cases": case_rows(qualities[-1]),
        "summary": summary_rows(qualities[-1]),
        "chart": draw_dice_over_rounds(qualities) if len(qualities) > 1 else "",
    }


def _pretraining_facts(record: PretrainingRecord | None) -> list[tuple[str, str]]:
    """Return what was learned before the round: method, volumes, device, time."""
    if record is None:
        return []
    return [
        ("Method", record.settings.config.method.value),
        ("Volumes", f"{len(record.cases)}, without their segmentations"),
        ("Left out", ", ".join(record.left_out)),
        ("Turned over", ", ".join(record.turned)),
        ("Device", record.device),
        ("Time", format_duration(record.duration_s)),
    ]


def _pretraining_curves(record: PretrainingRecord | None) -> Markup:
    """Return the loss of each stage."""
    curves = []
    for stage in record.stages if record is not None else ():
        points = [p for p in record.curve if stage.name in p.losses] if record is not None else []
        losses = [(point.step, point.losses[stage.name]) for point in points]
        curves.append(draw_loss_curve(f"Pre-training loss: {stage.name}", losses))
    return Markup("").join(curves)


def _flatten(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += _flatten(value, f"{prefix}{name}.")
        else:
            plain = value.value if isinstance(value, Enum) else value
            rows.append((prefix + name, json.dumps(plain).strip('"')))
    return rows


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
