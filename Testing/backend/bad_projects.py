"""Kinds of bad projects, reviews, exports, models and jobs, each with words of its message."""

import json
from dataclasses import replace
from pathlib import Path

import bad_files as bad
from a_service import TINY, labels, named, voxels
from bad_volumes import NAN, create

from PseudoLabelCLLib.domain.segmentation import LabelSchema


def predict(make):
    return lambda service: [
        "predict",
        make(service),
        service.image,
        "--output",
        service.out,
        "--device",
        "cpu",
    ]


def review(*arguments):
    return lambda service: ["review", service.project, *arguments]


def verdict(*arguments):
    """A verdict on the first proposal, which is named as the list shows it."""
    return lambda service: ["review", service.project, "other-1", *arguments,
                         *named(service.project, "other-1")]  # fmt: skip


def damaged(name, change):
    """Look at a project of which one file is changed; `change` gets its text."""

    def arguments(service):
        path = service.path(f"project/{name}")
        changed = change(path.read_text("utf-8"))
        path.write_bytes(changed if isinstance(changed, bytes) else changed.encode())
        return ["status", service.project]

    return arguments


def with_field(name, value):
    def change(text):
        told = json.loads(text)
        *path, last = name.split(".")
        place = told
        for part in path:
            place = place[int(part) if part.isdigit() else part]
        place[last] = value
        return json.dumps(told)

    return change


def train(prepare, project="unreviewed"):
    def arguments(service):
        more = prepare(service) or []
        return ["train", str(service.path(project)), "--device", "cpu", *more]

    return arguments


def evaluate(*more):
    return lambda service: [
        "evaluate",
        service.project,
        "--device",
        "cpu",
        *[m(service) for m in more],
    ]


def before(action, *then):
    """Do something on the service first; what it returns does not matter."""

    def arguments(service):
        action(service)
        return [part(service) if callable(part) else part for part in then]

    return arguments


PROJECTS = {
    "project path is a file": (lambda d: ["create", d.image, *d.create()[2:]], "heart.nii.gz"),
    "project exists": (lambda d: ["create", d.project, *d.create()[2:]], "project", "not an empty"),
    "folder not empty": (
        lambda d: ["create", str(d.folder), *d.create()[2:]], "not an empty folder",
    ),
    "project below a file": (
        lambda d: ["create", f"{d.image}/new", *d.create()[2:]], "not a folder",
    ),
    "project name too long": (
        lambda d: ["create", str(d.path("n" * 300)), *d.create()[2:]], "name is too long",
    ),
    "no such project": (lambda d: ["status", d.new], "was not found"),
    "not a project": (lambda d: ["status", str(d.folder)], "project.json"),
    "a file as project": (lambda d: ["train", d.image], "heart.nii.gz", "is a file"),
    "project.json cut off": (damaged("project.json", lambda t: t[:-40]), "project.json", "line"),
    "project.json is text": (damaged("project.json", lambda _: "hello"), "project.json"),
    "project.json is empty": (damaged("project.json", lambda _: ""), "project.json"),
    "project.json is a list": (damaged("project.json", lambda _: "[]"), "project.json", "object"),
    "project.json in UTF-16": (
        damaged("project.json", lambda t: t.encode("utf-16")), "project.json", "UTF-16",
    ),
    "field of another type": (
        damaged("project.json", with_field("cases.0.id", 5)), "project.json, cases[0], id", "text",
    ),
    "number beyond all numbers": (
        damaged("project.json", with_field("cases.0.geometry.origin_mm", [10**400, 0, 0])),
        "project.json, cases[0]", "finite",
    ),
    "unknown field": (damaged("project.json", with_field("colour", "red")), "unknown", "colour"),
    "newer schema": (
        damaged("project.json", with_field("schema_version", 99)), "newer version", "99",
    ),
    "newer round": (
        damaged("rounds/round_00/round.json", with_field("schema_version", 99)),
        "rounds/round_00/round.json", "newer",
    ),
    "impossible geometry": (
        damaged("project.json", with_field("cases.0.geometry.spacing_mm", [0, 1, 1])),
        "project.json, cases[0]", "spacing",
    ),
    "damaged doubt": (
        before(lambda d: d.text("project/rounds/round_00/proposals/other-1.json", "{"),
               "review", lambda d: d.project),
        "other-1.json", "damaged",
    ),
}  # fmt: skip

REVIEWS = {
    "review of an unknown case": (review("other-9", "--accept"), "other-9", "other-1"),
    "review of an annotated case": (review("heart", "--accept"), "'heart'", "annotated"),
    "one known case, one unknown": (review("other-1", "other-9", "--reject"), "other-9"),
    "review before any round": (
        lambda d: ["review", d.unreviewed, "other-1", "--accept"], "no round", "rain",
    ),
    "review without verdict": (review("other-1"), "other-1", "--accept"),
    "verdict without case": (review("--accept"), "No case"),
    "one correction for two cases": (
        review("other-1", "other-2", "--correct", "x.nrrd"), "one case",
    ),
    "nonsense slices": (
        lambda d: review("other-1", "--correct", d.label, "--slices", "a-b")(d), "a-b", "3-7,9",
    ),
    "slices out of range": (
        lambda d: review("other-1", "--correct", d.label, "--slices", "3-9")(d),
        "other-1", "1 to 5",
    ),
    "slices without end": (
        lambda d: review("other-1", "--correct", d.label, "--slices", "1-99999999")(d),
        "other-1", "1 to 5",
    ),
    "slices of very many digits": (
        lambda d: review("other-1", "--correct", d.label, "--slices", "9" * 5000)(d),
        "not a valid list",
    ),
    "slices from zero": (
        lambda d: review("other-1", "--correct", d.label, "--slices", "0-2")(d), "0-2", "from 1",
    ),
    "slices without correction": (review("other-1", "--accept", "--slices", "1"), "--correct"),
    "whole without correction": (review("other-1", "--reject", "--whole"), "--correct"),
    "slices and whole": (
        lambda d: verdict("--correct", d.label, "--slices", "1", "--whole")(d), "both",
    ),
    "correction identical to the proposal": (
        lambda d: verdict("--correct", bad.proposal(d))(d), "other-1", "identical",
    ),
    "correction of another patient": (
        lambda d: verdict("--correct", bad.shifted_labels(d, "l.nrrd", 900.0))(d),
        "l.nrrd", "does not lie",
    ),
    "correction on another grid": (
        lambda d: verdict("--correct", bad.shifted_labels(d, "l.nrrd", 0.7))(d),
        "l.nrrd", "different grid",
    ),
    "empty correction": (
        lambda d: verdict("--correct", d.write("l.nrrd", labels() * 0))(d),
        "other-1", "is empty",
    ),
    "correction is an image": (
        lambda d: verdict("--correct", d.image)(d), "heart.nii.gz", "looks like an image",
    ),
    "several cases without saying which proposals": (
        review("other-1", "other-2", "--reject"), "not which of their proposals", "--listing",
    ),
    "a case without saying which proposal": (
        review("other-1", "--reject"), "which proposal of 'other-1' you saw", "--proposal",
    ),
    "a proposal of another round": (
        review("other-1", "--accept", "--proposal", "3:0123456789ab"),
        "shown here is round 3's", "back at round 0",
    ),
    "another proposal": (
        review("other-1", "--accept", "--proposal", "0:0123456789ab"), "not the one shown here",
    ),
    "nonsense for a proposal": (
        review("other-1", "--accept", "--proposal", "0:zz"), "0:zz", "8 digits",
    ),
    "fewer proposals than cases": (
        lambda d: [*review("other-2")(d), *verdict("--accept")(d)[2:]], "(2)", "(1)",
    ),
    "a proposal and a listing": (verdict("--accept", "--listing", "x.json"), "one of the two"),
    "no listing": (
        lambda d: review("other-1", "--accept", "--listing", d.text("l.json", "{}"))(d),
        "l.json", "not a valid list",
    ),
    "a case that is not on the listing": (
        lambda d: review("other-1", "--accept", "--listing", d.text("l.json", "[]"))(d),
        "l.json", "no proposal of 'other-1'",
    ),
    "whole and single voxels": (
        verdict("--correct", "x.nrrd", "--whole", "--extent", "voxels"), "--extent voxels",
    ),
    "extent without correction": (verdict("--accept", "--extent", "all"), "--correct"),
    "proposal damaged": (
        before(lambda d: Path(bad.proposal(d)).write_bytes(b"NRRD0004\n"),
               "review", lambda d: d.project, "other-1", "--accept", lambda d: "--proposal",
               lambda d: named(d.project, "other-1")[1]),
        "other-1.seg.nrrd",
    ),
}  # fmt: skip

EXPORTS = {
    "export of an unreviewed case": (
        lambda d: ["export", d.project, d.out, "--cases", "other-1"], "other-1", "a person drew",
    ),
    "export of an unknown case": (
        lambda d: ["export", d.project, d.out, "--cases", "other-9"], "other-9",
    ),
    "export over another file": (
        before(lambda d: d.path("out").mkdir() or d.text("out/heart.seg.nrrd", "mine"),
               "export", lambda d: d.project, lambda d: d.out),
        "heart.seg.nrrd", "different contents",
    ),
    "export into a file": (lambda d: ["export", d.project, d.image], "heart.nii.gz"),
    "export without anything": (
        before(lambda d: d.edit("project/project.json", bad.all_ignored),
               "export", lambda d: d.project, lambda d: d.out),
        "no segmentation to export",
    ),
}  # fmt: skip

MODELS = {
    "model missing": (predict(lambda d: str(d.path("gone.plcl"))), "gone.plcl", "model file"),
    "model is a folder": (predict(bad.folder), "folder"),
    "model is text": (predict(lambda d: d.text("m.plcl", "hello")), "m.plcl", "not a model file"),
    "model is empty": (predict(lambda d: d.text("m.plcl", "")), "m.plcl", "not a model file"),
    "model cut off": (
        predict(lambda d: bad.cut(d, "model.plcl", "m.plcl", 0.7)), "m.plcl", "damaged",
    ),
    "model with a wrong checksum": (
        predict(bad.flipped_byte), "flipped.plcl", "damaged",
    ),
    "bomb, declared": (predict(bad.declared_bomb), "bad.plcl", "claims to unpack"),
    "bomb in the weights": (predict(bad.bomb_in_weights), "bad.plcl", "claims to unpack"),
    "zip with path tricks": (
        predict(lambda d: bad.model_with(d, extra={"../../evil": b"x"})), "bad.plcl", "../../evil",
    ),
    "weights with path tricks": (predict(bad.path_tricks_in_weights), "bad.plcl", "evil.pkl"),
    "zip without weights": (
        predict(lambda d: bad.model_with(d, weights=None)), "bad.plcl", "weights.safetensors",
    ),
    "model of a newer version": (
        predict(lambda d: bad.model_with_card(d, lambda c: c.update(schema_version=9))),
        "bad.plcl", "newer",
    ),
    "card without labels": (
        predict(lambda d: bad.model_with_card(d, lambda c: c.pop("schema"))), "bad.plcl", "schema",
    ),
    "card is no JSON": (predict(lambda d: bad.model_with(d, card=b"{")), "bad.plcl", "damaged"),
    "card of a giant network": (
        predict(lambda d: bad.model_with_card(d, lambda c: c["network"].update(
            widths=[10**6] * 6))),
        "bad.plcl", "1 to 2048 channels",
    ),
    "card without a settled grid": (
        predict(lambda d: bad.model_with_card(d, lambda c: c["preprocess"].update(
            window_size=None, whole_slices=False))),
        "bad.plcl", "window_size",
    ),
    "weights of another network": (
        predict(lambda d: bad.model_of(d, card_network=replace(TINY, widths=(8,) * 6))),
        "bad.plcl", "do not fit",
    ),
    "weights of other labels": (
        predict(lambda d: bad.model_with(
            d, weights=bad.weights_of(bad.model_of(d, LabelSchema.from_values((1, 2, 3)))))),
        "bad.plcl", "do not fit",
    ),
    "weights are text": (predict(lambda d: bad.model_with(d, weights=b"hello")), "bad.plcl"),
}  # fmt: skip

WORK = {
    "prediction exists": (
        before(lambda d: d.path("out").mkdir() or d.text("out/heart.seg.nrrd", "mine"),
               *("predict", lambda d: d.model, lambda d: d.image, "--output", lambda d: d.out)),
        "heart.seg.nrrd", "not overwritten",
    ),
    "uncertainty exists": (
        before(lambda d: d.path("out").mkdir() or d.text("out/heart_uncertainty.nrrd", "mine"),
               *("predict", lambda d: d.model, lambda d: d.image, "--output", lambda d: d.out),
               "--uncertainty"),
        "heart_uncertainty.nrrd", "not overwritten",
    ),
    "two predictions of one name": (
        lambda d: ["predict", d.model, d.image, bad.copy_of_image(d, "sub/heart.nii.gz"),
                   "--output", d.out],
        "heart.seg.nrrd", "Two volumes",
    ),
    "prediction into a file": (
        lambda d: ["predict", d.model, d.image, "--output", d.label], "heart-label.nii.gz",
    ),
    "prediction of a missing volume": (
        lambda d: ["predict", d.model, str(d.path("gone.nii")), "--output", d.out], "gone.nii",
    ),
    "second of two volumes to predict is bad": (
        lambda d: ["predict", d.model, d.image, d.text("b.nrrd", "x"), "--output", d.out],
        "b.nrrd", "not the kind of file",
    ),
    "prediction of a constant volume": (
        lambda d: ["predict", d.model, d.write("flat.nrrd", labels() * 0), "--output", d.out,
                   "--device", "cpu"],
        "'flat'", "constant",
    ),
    "prediction of a volume of NaN": (
        lambda d: ["predict", d.model, d.write("nan.nrrd", NAN), "--output", d.out],
        "'nan'", "whose intensity is not a finite number",
    ),
    "prediction of a folder of text": (
        lambda d: ["predict", d.model, bad.folder(d), "--output", d.out], "folder", "no DICOM",
    ),
    "evaluation without rounds": (
        lambda d: ["evaluate", d.unreviewed, "--device", "cpu"], "no trained round", "train",
    ),
    "evaluation of an unknown round": (evaluate(lambda _: "--rounds", lambda _: "7"), "7"),
    "evaluation without references": (evaluate(), "no validation case"),
    "evaluation of nothing": (lambda d: ["evaluate", str(d.path("gone.plcl"))], "gone.plcl"),
    "reference on another grid": (
        evaluate(lambda _: "--pair", lambda d: d.image,
                 lambda d: d.write("ref.nrrd", labels()[:, ::2, ::2], spacing=(3, 3, 8))),
        "ref.nrrd", "grid",
    ),
    "reference with other labels": (
        evaluate(lambda _: "--pair", lambda d: d.image,
                 lambda d: d.write("ref.nrrd", labels() * 4)),
        "ref.nrrd", "8 (",
    ),
    "zero rounds": (train(lambda _: ["--rounds", "0"]), "At least 1 round"),
    "image deleted since": (
        train(lambda d: d.path("other-1.nii.gz").unlink()), "'other-1'", "was not found",
    ),
    "image replaced by another grid": (
        train(lambda d: d.write("other-1.nii.gz", voxels()[:, ::2]) and None),
        "'other-1'", "not the one that was added",
    ),
    "annotation deleted since": (
        train(lambda d: d.path("unreviewed/annotations/heart.seg.nrrd").unlink()), "'heart'",
    ),
    "model of the round before is gone": (
        train(lambda d: d.path("project/rounds/round_00/model.plcl").unlink(), "project"),
        "model.plcl",
    ),
}  # fmt: skip

USAGE = {
    "unknown profile": (create("--profile", "fast"), "fast", "balanced"),
    "unknown device": (lambda d: ["train", d.project, "--device", "tpu"], "tpu", "cuda"),
    "accept and reject": (review("other-1", "--accept", "--reject"), "--reject", "not allowed"),
    "rounds in words": (lambda d: ["train", d.project, "--rounds", "two"], "two"),
    "image without segmentation": (
        lambda d: ["create", d.new, "--annotated", d.image], "--annotated",
    ),
    "unknown command": (lambda _: ["segment"], "segment"),
}  # fmt: skip
