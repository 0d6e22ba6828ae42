"""The report of a round: one web page that needs nothing else and works offline."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from html import escape
from importlib import resources
from pathlib import Path

from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.round import Round
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.pipeline.learning_curve import RoundCurve
from PseudoLabelCLLib.pipeline.prediction.measure_quality import summarise
from PseudoLabelCLLib.pipeline.report.cards import CaseCard, cases_section, draw_cards
from PseudoLabelCLLib.pipeline.report.curves import (
    RoundQuality,
    draw_dice_over_rounds,
    draw_learning_curves,
    draw_loss_curve,
)
from PseudoLabelCLLib.pipeline.report.pictures import CaseFigure
from PseudoLabelCLLib.pipeline.report.tables import cases_table, rounds_table
from PseudoLabelCLLib.storage.project.own_reports import write_sealed_report
from PseudoLabelCLLib.storage.project.pretraining_record import PretrainingRecord

# Nothing may be loaded from elsewhere, and nothing on the page may run.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


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

    Every name in it is escaped. The cases are read and drawn before the first part.
    """
    newest = report.qualities[-1].cases if report.qualities else ()
    mean_dice = {case_id: quality.mean_dice for case_id, quality in newest}
    return _page(report, draw_cards(report.cases, report.schema, mean_dice))


def _page(report: RoundReport, cards: Sequence[CaseCard]) -> Iterator[str]:
    title = f"{report.project_name}, round {report.round.index}"
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_style(report.schema)}</style></head>\n<body>"
    )
    yield _header(report, cards)
    yield _notices(report.notices)
    yield _quality_section(report, cards)
    yield _pretraining_section(report.pretraining)
    yield _learning_section(report.curves)
    yield from cases_section(report.schema, cards)
    yield f"{_model_section(report)}</body></html>\n"


def format_duration(duration_s: float) -> str:
    """Return a time in the two units that matter, such as "6 min 05 s"."""
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def _style(schema: LabelSchema) -> str:
    sheet = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    colors = "".join(f".label-{label.value}{{--label:{label.color}}}" for label in schema)
    return sheet + colors


def _header(report: RoundReport, cards: Sequence[CaseCard]) -> str:
    done = report.round
    facts = [
        (
            "Trained on",
            f"{_count(done.num_truth_cases, 'case')} with human truth, "
            f"{_count(done.num_pseudo_cases, 'pseudo-label')}, {done.num_left_out_cases} left out",
        ),
        ("Device", report.device),
        ("Time", format_duration(report.duration_s)),
        ("Finished", (done.finished or done.started)[:16].replace("T", " ")),
    ]
    listed = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts if v)
    plan = f"<p>{escape(report.plan)}</p>" if report.plan else ""
    return (
        f'<header><p class="kind">PseudoLabelCL, report of round {done.index}</p>'
        f"<h1>{escape(report.project_name)}</h1>"
        f'<p class="lede">{escape(_summary_sentence(report, cards))}</p>{plan}'
        f'<dl class="facts">{listed}</dl></header>'
    )


def _summary_sentence(report: RoundReport, cards: Sequence[CaseCard]) -> str:
    parts = [_quality_words(report.qualities)]
    proposals = [card for card in cards if card.is_for_review]
    open_cards = [card for card in proposals if not card.is_judged]
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


def _notices(notices: tuple[str, ...]) -> str:
    if not notices:
        return ""
    return f'<ul class="notices">{"".join(f"<li>{escape(text)}</li>" for text in notices)}</ul>'


def _quality_section(report: RoundReport, cards: Sequence[CaseCard]) -> str:
    if not report.qualities:
        return ""
    anchors = {card.case_id: card.anchor for card in cards}
    newest = report.qualities[-1]
    chart = draw_dice_over_rounds(report.qualities) if len(report.qualities) > 1 else ""
    rounds = rounds_table(report.qualities, report.schema)
    table = cases_table(newest, report.schema, anchors)
    return (
        "<section><h2>Quality</h2>"
        f'<div class="beside"><div>{rounds}</div>{chart}</div>{table}</section>'
    )


def _pretraining_section(record: PretrainingRecord | None) -> str:
    """Return what was learned before the round: method, volumes, and each stage's loss."""
    if record is None:
        return ""
    facts = [
        ("Method", record.settings.config.method.value),
        ("Volumes", f"{len(record.cases)}, without their segmentations"),
        ("Left out", ", ".join(record.left_out)),
        ("Turned over", ", ".join(record.turned)),
        ("Device", record.device),
        ("Time", format_duration(record.duration_s)),
    ]
    listed = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts if v)
    stages = "".join(
        f"<tr><th>{escape(stage.name)}</th><td>{stage.num_steps}</td>"
        f"<td>{stage.first_loss:.3f}</td><td>{stage.last_loss:.3f}</td>"
        f"<td>{stage.collapsed_loss:.3f}</td></tr>"
        for stage in record.stages
    )
    charts = (
        draw_loss_curve(
            f"Pre-training loss: {stage.name}",
            [(point.step, point.losses[stage.name]) for point in record.curve
             if stage.name in point.losses],
        )
        for stage in record.stages
    )  # fmt: skip
    return (
        f'<section><h2>Pre-training</h2><dl class="facts">{listed}</dl>'
        '<div class="scroll"><table><thead><tr><th>Stage</th><th>Steps</th><th>Loss at first</th>'
        "<th>Loss at the end</th><th>If all slices looked alike</th></tr></thead>"
        f"<tbody>{stages}</tbody></table></div>"
        f'<div class="charts">{"".join(charts)}</div></section>'
    )


def _learning_section(curves: tuple[RoundCurve, ...]) -> str:
    charts = draw_learning_curves(curves)
    if not charts:
        return ""
    return f'<section><h2>Learning</h2><div class="charts">{"".join(charts)}</div></section>'


def _model_section(report: RoundReport) -> str:
    facts = [("File", report.model_file), ("SHA-256", report.model_fingerprint)]
    listed = "".join(
        f"<div><dt>{k}</dt><dd><code>{escape(v)}</code></dd></div>" for k, v in facts if v
    )
    settings = ""
    if report.settings is not None:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in _flatten(asdict(report.settings))
        )
        settings = (
            "<details><summary>Settings</summary>"
            f'<div class="scroll"><table class="settings">{rows}</table></div></details>'
        )
    if not listed and not settings:
        return ""
    return f'<section><h2>Model</h2><dl class="facts">{listed}</dl>{settings}</section>'


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
