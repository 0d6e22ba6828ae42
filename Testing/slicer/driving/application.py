"""A real Slicer in a window: started, asked, clicked and looked at from outside."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageGrab

STARTS_WITHIN_S = 180.0
ANSWERS_WITHIN_S = 60.0
CLICKABLE_WITHIN_S = 10.0
INSIDE = Path(__file__).with_name("inside.py")
# A person's hand rests before it presses.
REST_S = 0.15


class DrivingError(Exception):
    """The application did not do what a person would have seen it do."""


def require_tools():
    """Say what is missing before anything is started.

    Raises:
        DrivingError: There is no xdotool or no display.
    """
    if shutil.which("xdotool") is None:
        raise DrivingError("xdotool is not installed; it moves the mouse and types.")
    if not os.environ.get("DISPLAY"):
        raise DrivingError(
            "There is no X display (DISPLAY is empty). Start the tour on a desktop, or under "
            "xvfb-run -s '-screen 0 1600x1000x24' with a window manager such as openbox."
        )


class Application:
    """One run of Slicer.

    Args:
        slicer: Its launcher.
        module_folder: The folder with the module's file; None starts Slicer without it.
        size: Width and height of its window, pixels.
    """

    def __init__(self, slicer, module_folder, size=(1600, 1000)):
        self.folder = Path(tempfile.mkdtemp(prefix="PseudoLabelCL-tour-"))
        self.output = self.folder / "slicer.log"
        self._number = 0
        self._display = os.environ["DISPLAY"]
        command = [str(slicer), "--no-splash", "--disable-settings"]
        if module_folder is not None:
            command += ["--additional-module-paths", str(module_folder)]
        command += ["--python-script", str(INSIDE)]
        environment = {**os.environ, "PSEUDOLABELCL_TOUR": str(self.folder)}
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        self._wait_for_start()
        self.ask("size", *size)

    def _wait_for_start(self):
        self._until((self.folder / "ready").exists, STARTS_WITHIN_S, "Slicer started")

    def _until(self, is_so, limit_s, what):
        deadline_s = time.monotonic() + limit_s
        while not is_so():
            if self._process.poll() is not None:
                raise DrivingError(f"Slicer ended with {self._process.returncode}: {self.tail()}")
            if time.monotonic() > deadline_s:
                raise DrivingError(f"It was expected within {limit_s:.0f} s that {what}.")
            time.sleep(0.03)

    def tail(self):
        """The last lines that Slicer printed."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-15:])

    def lines(self):
        """All that Slicer printed so far."""
        return self.output.read_text(errors="replace").splitlines()

    # --- asking

    def ask(self, name, *arguments):
        """Ask a question of `inside.Answers`."""
        self._number += 1
        path = self.folder / f"{self._number:06d}.question"
        aside = path.with_suffix(".new")
        aside.write_text(json.dumps({"ask": name, "with": arguments}), encoding="utf-8")
        aside.rename(path)
        answer = path.with_suffix(".answer")
        self._until(answer.exists, ANSWERS_WITHIN_S, f"Slicer answered '{name}'")
        told = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        if "error" in told:
            raise DrivingError(f"'{name}' failed inside Slicer: {told['error']}")
        return told["value"]

    def state(self):
        """What the panel shows, as plain values."""
        return self.ask("state")

    def until(self, what, is_so, limit_s=60.0):
        """Wait until the panel's state is as expected, and return that state.

        Raises:
            DrivingError: It is not within the limit; the panel's message is told.
        """
        deadline_s = time.monotonic() + limit_s
        while True:
            state = self.state()
            if is_so(state):
                return state
            if state["message"][0] == "red" or time.monotonic() > deadline_s:
                raise DrivingError(
                    f"It was expected within {limit_s:.0f} s that {what}. "
                    f"The panel says: {' '.join(state['message'])}"
                )
            time.sleep(0.1)

    # --- hands and eyes

    def xdotool(self, *words):
        """Move the mouse, press, type."""
        subprocess.run(["xdotool", *map(str, words)], check=True)

    def click(self, name, x=0.5, y=0.5):
        """Click on a widget of the panel, as a person does who sees it.

        Raises:
            DrivingError: It cannot be used now; its tool tip says why.
        """
        deadline_s = time.monotonic() + CLICKABLE_WITHIN_S
        while not (facts := self.ask("facts", name))["enabled"] or not facts["visible"]:
            if time.monotonic() > deadline_s:
                state = "disabled" if facts["visible"] else "hidden"
                raise DrivingError(f"{name} is {state}: {facts['tool_tip']}")
            time.sleep(0.1)
        self._settle_over(name, x, y)
        self.xdotool("click", 1)
        time.sleep(REST_S)

    def _settle_over(self, name, x, y):
        """Move the mouse over a widget, and follow until it stays.

        Slicer's Data Probe is taller while the mouse is in a slice view, so what lies above it
        moves once the mouse has left the view.
        """
        place = None
        while place != (place := self.ask("place", name, x, y)):
            self.xdotool("mousemove", *place)
            time.sleep(2 * REST_S)

    def click_at(self, place, *, times=1, button=1):
        """Click at a place of the screen.

        Raises:
            DrivingError: There is no such place.
        """
        if place is None:
            raise DrivingError("What was to be clicked is not there.")
        self.xdotool("mousemove", *place)
        time.sleep(REST_S)
        self.xdotool("click", "--repeat", times, "--delay", 120, button)
        time.sleep(REST_S)

    def stroke(self, view, points):
        """Draw in a slice view with the left button.

        Args:
            view: "Red", "Green" or "Yellow".
            points: (x, y) from 0 to 1, left to right and top to bottom.
        """
        places = [self.ask("view_place", view, *point) for point in points]
        self.xdotool("mousemove", *places[0])
        time.sleep(REST_S)
        self.xdotool("mousedown", 1)
        for place in places[1:]:
            time.sleep(0.05)
            self.xdotool("mousemove", *place)
        time.sleep(0.05)
        self.xdotool("mouseup", 1)
        time.sleep(0.3)

    def key(self, *keys):
        """Press keys."""
        self.xdotool("key", *keys)
        time.sleep(REST_S)

    def type(self, text):
        """Type a text where the cursor stands."""
        self.xdotool("type", "--delay", 15, text)
        time.sleep(REST_S)

    def picture(self, path):
        """Write a picture of the whole screen."""
        time.sleep(0.4)
        picture = ImageGrab.grab(xdisplay=self._display)
        # 256 colours are a third of the size, and nobody sees the difference
        picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)

    def dialog(self, limit_s=10.0):
        """Wait for a dialog and return what it says.

        Raises:
            DrivingError: None comes.
        """
        deadline_s = time.monotonic() + limit_s
        while (found := self.ask("dialog")) is None:
            if time.monotonic() > deadline_s:
                raise DrivingError("A dialog was expected, and none came.")
            time.sleep(0.1)
        return found

    # --- the end

    def close(self):
        """Close Slicer as a person does, or end it if it does not go."""
        if self._process.poll() is None:
            try:
                self.ask("close")
                self._process.wait(30)
            except (DrivingError, subprocess.TimeoutExpired):
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """End Slicer at once."""
        self._process.kill()
        self._process.wait()
