"""The node `ground_truth_recorder`: pictures of the robot camera with depth of the sensor beside it, into sessions.

A lifecycle node that configures and activates itself (parameter autostart). Recording begins and ends by ~/start and
~/stop; ~/capture takes a static pair in two calls.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from dfd_perception.calibration.rig import RigCalibration
from dfd_perception.errors import DfdPerceptionError
from dfd_perception.kinect.source import RgbdCalibration, RgbdFrame
from dfd_perception.recording.session import Picture
from dfd_perception.ros.camera_infos import stamp_ns
from dfd_perception.ros.conversions import rgb_of
from dfd_perception.ros.diagnostics import DiagnosticsPublisher
from dfd_perception.ros.node_log import node_log
from dfd_perception.ros.parameters import DeclaredParameters
from dfd_perception.ros.qos import SubscriptionEventCallbacks, qos_profile, subscription_events
from dfd_perception.ros.recorder_parameters import RecorderParameters
from dfd_perception.ros.recorder_status import recorder_status
from dfd_perception.ros.recording_control import CameraPicture, RecordingControl
from dfd_perception.ros.rgbd_topics import RgbdTopics
from dfd_perception.ros.sensor_thread import SensorThread, make_sensor
from dfd_perception.ros.spinning import spin_node

FAILURE = TransitionCallbackReturn.FAILURE
WATCH_PERIOD_S = 0.2
PROGRESS_PERIOD_S = 10.0


class GroundTruthRecorderNode(LifecycleNode):
    """Wiring: topics and sensor to the control, services to the control, its counts to /diagnostics."""

    def __init__(self, **options: Any) -> None:
        super().__init__("ground_truth_recorder", **options)
        self._declared = DeclaredParameters(self, RecorderParameters)
        self._log = node_log(self)
        self._chosen: RecorderParameters | None = None
        self._control: RecordingControl | None = None
        self._sensor: SensorThread | RgbdTopics | None = None
        self._rig: RigCalibration | None = None
        self._diagnostics: DiagnosticsPublisher | None = None
        self._watch: Any = None
        self._active = self._ended = False
        self._last_progress_s = 0.0
        self._subscribed: list[Any] = []
        self.create_service(Trigger, "~/start", self._answering(self._start))
        self.create_service(Trigger, "~/stop", self._answering(self._stop))
        self.create_service(Trigger, "~/capture", self._answering(lambda control: control.capture()))

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and calibration; FAILURE with the reason if any of it is wrong."""
        try:
            parameters = self._declared.read()
            if parameters.source != "rgbd_topics":
                make_sensor(parameters)  # settings that contradict each other fail here, not in the thread
            path = Path(parameters.calibration).expanduser() if parameters.calibration else None
            self._rig = RigCalibration.read(path) if path is not None else None
        except DfdPerceptionError as error:
            self._log("error", f"not configured: {error}")
            return FAILURE
        self._chosen = parameters
        self._control = RecordingControl(parameters, self._log)
        self._diagnostics = DiagnosticsPublisher(
            self, parameters.diagnostics_period_s, self._status, "ground truth recorder"
        )
        self._declared.locked = True
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe, open the sensor."""
        self._active, self._ended = True, False
        assert self._chosen is not None
        if self._chosen.image_transport != "none":
            raw = self._chosen.image_transport == "raw"
            self._subscribe(*((Image, "image") if raw else (CompressedImage, "image/compressed")), self._on_image)
        self._sensor = self._open_sensor(self._chosen)
        self._watch = self.create_timer(
            WATCH_PERIOD_S, self._watch_recording, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the session in order, close the sensor."""
        self._pause()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the parameters."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the session in order."""
        self._release()
        return super().on_shutdown(state)

    def stop(self) -> None:
        """End session and threads; before the node is destroyed."""
        self._release()

    def _subscribe(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        """Subscribe without loss where the publisher can: reliable, and best effort beside it once one turns up."""
        assert self._chosen is not None
        profile = self._chosen.qos_input
        if profile != "auto":
            self._create(kind, topic, callback, profile, subscription_events(self, topic))
            return
        beside: list[str] = []

        def on_incompatible(event: Any) -> None:
            if not beside:
                beside.append(topic)
                self._log("info", f"a publisher of {topic} is best effort: frames may be lost before they arrive")
                self._create(kind, topic, callback, "best_effort", subscription_events(self, topic))

        self._create(kind, topic, callback, "reliable", SubscriptionEventCallbacks(incompatible_qos=on_incompatible))

    def _create(
        self, kind: type, topic: str, callback: Callable[[Any], None], profile: str, events: SubscriptionEventCallbacks
    ) -> None:
        assert self._chosen is not None
        self._subscribed.append(
            self.create_subscription(
                kind, topic, callback, qos_profile(profile, self._chosen.qos_input_depth), event_callbacks=events
            )
        )

    def _open_sensor(self, parameters: RecorderParameters) -> SensorThread | RgbdTopics:
        control = self._control
        assert control is not None
        if parameters.source == "rgbd_topics":
            transform = None if self._rig is None else self._rig.sensor.colour_from_depth
            return RgbdTopics(
                self,
                self._subscribe,
                parameters.record_colour,
                parameters.pairing_bound_ms,
                transform,
                self._on_calibration,
                control.add_depth,
                self._log,
            )
        patient = parameters.source == "recording"

        def take(frame: RgbdFrame) -> None:
            control.add_depth(frame, patiently=patient)

        return SensorThread(
            lambda: make_sensor(parameters),
            self._on_calibration,
            take,
            self._on_end,
            lambda: control.running or not patient,
            parameters.retry_s,
            self._log,
        )

    def _on_calibration(self, sensor: RgbdCalibration) -> None:
        control, parameters = self._control, self._chosen
        if control is None or parameters is None:
            return
        rig = RigCalibration(sensor=sensor)
        if self._rig is not None:
            rig = RigCalibration(
                sensor=sensor,
                camera=self._rig.camera,
                camera_from_depth=self._rig.camera_from_depth,
                quality=self._rig.quality,
            )
        first = not control.ready
        control.set_rig(rig)
        if first and parameters.record_at_start and not control.running:
            self._log("info", self._start(control))

    def _on_end(self) -> None:
        self._ended = True  # the session is closed by the executor's thread

    def _on_image(self, message: Image | CompressedImage) -> None:
        if self._control is not None:
            self._control.add_image(picture_of(message))

    def _watch_recording(self) -> None:
        """Close a session that stopped by itself; say now and then how far it is."""
        control = self._control
        progress = control.progress() if control is not None and control.running else None
        if control is None or progress is None:
            return
        if progress.error is not None or self._ended:
            self._ended = False
            self._log("error" if progress.error else "info", self._stop(control))
            return
        if time.monotonic() - self._last_progress_s >= PROGRESS_PERIOD_S:
            self._last_progress_s = time.monotonic()
            self._log(
                "info",
                f"{progress.written} moments, {progress.written_bytes / 1e6:.0f} MB, {progress.dropped} dropped, "
                f"{progress.free_bytes / 1e9:.1f} GB free",
            )

    def _start(self, control: RecordingControl) -> str:
        return f"recording to {control.start()}"

    def _stop(self, control: RecordingControl) -> str:
        done = control.stop()
        if done is None:
            return "nothing was being recorded"
        said = f"{control.session}: {done.written} moments written, {done.dropped} dropped, {done.failed} failed"
        return f"{said}; {done.error}" if done.error else said

    def _answering(self, work: Callable[[RecordingControl], str]) -> Callable[..., Trigger.Response]:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            if self._control is None or not self._active:
                response.success, response.message = False, "the node is not active"
                return response
            try:
                response.message = work(self._control)
                response.success = True
            except DfdPerceptionError as error:
                response.success, response.message = False, str(error)
            self._log("info" if response.success else "error", response.message)
            return response

        return answer

    def _status(self) -> tuple[bytes, str, dict[str, str]]:
        if self._sensor is None:
            return recorder_status(self._control, "", {}, self._active)
        return recorder_status(self._control, self._sensor.problem, self._sensor.facts(), self._active)

    def _pause(self) -> None:
        self._active = False
        if isinstance(self._sensor, SensorThread):
            self._sensor.stop()
        self._sensor = None
        for subscription in self._subscribed:
            self.destroy_subscription(subscription)
        self._subscribed.clear()
        if self._watch is not None:
            self.destroy_timer(self._watch)
            self._watch = None
        if self._control is not None and self._control.running and self.context.ok():
            self._log("info", self._stop(self._control))
        elif self._control is not None:
            self._control.stop()

    def _release(self) -> None:
        self._pause()
        self._declared.locked = False
        if self._diagnostics is not None:
            self._diagnostics.destroy()
        self._control = self._diagnostics = None


def picture_of(message: Image | CompressedImage) -> CameraPicture:
    """A picture whose pixels are read when they are needed; a JPEG is stored as it came."""

    def stored() -> Picture:
        if isinstance(message, CompressedImage) and bytes(message.data[:2]) == b"\xff\xd8":
            return bytes(message.data)
        return rgb_of(message)

    return CameraPicture(stamp_ns(message.header), stored, lambda: rgb_of(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until a signal ends it."""
    return spin_node(GroundTruthRecorderNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
