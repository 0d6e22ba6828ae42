"""Whether this computer can train, as it is shown."""

from PseudoLabelCLGui.panel_state import Action, Light, ReadinessState
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.words import gigabytes
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.messages.readiness import ReadinessReport

# Below this a project and its models may not fit.
LEAST_DISK_BYTES = 5_000_000_000
# Megabytes to load, rounded up; PyTorch brings the libraries for graphics cards.
_DOWNLOAD_MB = {"torch": 2700, "monai": 2, "scipy": 40, "SimpleITK": 55}
_OTHER_MB = 20


def readiness_state(facts: Facts) -> ReadinessState:
    """Return the line and its details."""
    report = facts.readiness
    looking = _("Checking this computer...")
    probe_tip = _("Checks packages, device, memory and disk again.")
    probe = Action(not facts.is_probing, tool_tip=looking if facts.is_probing else probe_tip)
    if report is None:
        wait = looking if facts.is_probing else _("Press the button to check this computer.")
        return ReadinessState(
            Light.WORKING if facts.is_probing else Light.NONE,
            wait,
            (),
            Action(tool_tip=wait),
            probe,
            Action(tool_tip=wait),
            facts.python,
        )
    copy_tip = _("Copies the results of the check for support; they contain no patient data.")
    return ReadinessState(
        Light.WORKING if facts.is_probing else _light(report),
        looking if facts.is_probing else _sentence(report, facts),
        _details(report, facts),
        _install(report, facts),
        probe,
        Action(enabled=True, tool_tip=copy_tip),
        facts.python,
        report.num_gpus,
        facts.most_gpus,
    )


def _light(report: ReadinessReport) -> Light:
    if not report.can_train:
        return Light.RED
    return Light.AMBER if report.free_disk_bytes < LEAST_DISK_BYTES else Light.GREEN


def _sentence(report: ReadinessReport, facts: Facts) -> str:
    if not report.can_train:
        if report.problem:
            return f"{translated(report.problem)} {translated(report.remedy)}".strip()
        missing = ", ".join(report.missing)
        return _("Packages are missing: {names}. Install them.").format(names=missing)
    disk = _("{size} free").format(size=gigabytes(report.free_disk_bytes))
    return f"{_device(report, facts.num_gpus)}, {disk}"


def _device(report: ReadinessReport, num_gpus: int) -> str:
    minutes = report.minutes_per_round
    name = _("CPU") if report.device_kind == "cpu" else report.device
    if num_gpus > 1:  # how long a round takes on several is told once it has been measured
        return _("{count} GPUs share the work: {device}").format(count=num_gpus, device=name)
    if minutes is None:
        return name
    if minutes < 1:
        return _("{device}: less than a minute per round").format(device=name)
    return _("{device}: about {minutes} min per round").format(
        device=name, minutes=f"{minutes:.0f}"
    )


def _details(report: ReadinessReport, facts: Facts) -> tuple[str, ...]:
    lines = [
        _("Python {version}: {path}").format(version=report.version or "?", path=report.python)
    ]
    for name, version in report.packages.items():
        lines.append(f"{name} {version or _('missing')}")
    if report.device:
        lines.append(f"{report.device}. {translated(report.device_reason)}".strip())
    if report.num_gpus > 1:
        told = _("GPUs: {count}, of which {used} are used.")
        lines.append(told.format(count=report.num_gpus, used=facts.num_gpus))
    if report.memory_bytes is not None:
        lines.append(_("Memory: {size}").format(size=gigabytes(report.memory_bytes)))
    lines.append(_("Free disk: {size}").format(size=gigabytes(report.free_disk_bytes)))
    if report.free_disk_bytes < LEAST_DISK_BYTES:
        lines.append(_("The disk is nearly full; a project needs a few GB."))
    return tuple(lines)


def _install(report: ReadinessReport, facts: Facts) -> Action:
    if facts.is_probing:
        return Action(tool_tip=_("Checking this computer..."))
    if facts.work is not None:
        return Action(tool_tip=_("Wait until training or segmenting has finished."))
    if not report.missing:
        return Action(tool_tip=_("Nothing is missing."))
    size = sum(_download_mb(requirement) for requirement in report.missing)
    told = f"{size / 1000:.1f} GB" if size >= 1000 else f"{size} MB"
    tip = _("Installs {names} (up to {size} to download); asks first.")
    return Action(True, _("Install"), tip.format(names=", ".join(report.missing), size=told))


def _download_mb(requirement: str) -> int:
    name = next((name for name in _DOWNLOAD_MB if requirement.startswith(name)), "")
    return _DOWNLOAD_MB.get(name, _OTHER_MB)
