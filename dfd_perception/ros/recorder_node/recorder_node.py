# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The node `ground_truth_recorder`: images of the robot camera with depth of the sensor beside it, into sessions.

A lifecycle node that configures and activates itself (parameter autostart). Recording begins and ends by ~/start and
~/stop; ~/capture takes a static pair in two calls.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from dfd_perception.errors import DfdPerceptionError
from dfd_perception.groundtruth.recording_control import RecordingControl
from dfd_perception.groundtruth.rig.rig_calibration import RigCalibration
from dfd_perception.groundtruth.sensors.rgbd_source import RgbdFrame
from dfd_perception.groundtruth.static_pairs import CameraImage
from dfd_perception.ros.recorder_node.fixed_transform import FixedTransform
from dfd_perception.ros.recorder_node.recorder_parameters import RecorderParameters
from dfd_perception.ros.recorder_node.recorder_rig import RigFromFile, RigFromTf, SameFrame, read_calibration
from dfd_perception.ros.recorder_node.recording_services import RecordingServices, recorder_status, start, stop
from dfd_perception.ros.recorder_node.rgbd_topics import RgbdTopics
from dfd_perception.ros.recorder_node.robot_camera import RobotCamera, Subscribe
from dfd_perception.ros.recorder_node.sensor_thread import SensorThread, make_sensor
from dfd_perception.ros.shared.diagnostics import DiagnosticsPublisher, Filled
from dfd_perception.ros.shared.guarded_services import guard_services
from dfd_perception.ros.shared.lossless_subscriptions import LosslessSubscriptions
from dfd_perception.ros.shared.managed_node import ManagedNode, spin_node
from dfd_perception.ros.shared.node_log import node_log, one_line
from dfd_perception.ros.shared.parameters import DeclaredParameters

FAILURE = TransitionCallbackReturn.FAILURE
WATCH_PERIOD_S = 0.2


class GroundTruthRecorderNode(ManagedNode):
    """Wiring: topics and sensor to the control, services to the control, its counts to /diagnostics."""

    def __init__(self, **options: Any) -> None:
        super().__init__("ground_truth_recorder", **options)
        self._declared = DeclaredParameters(self, RecorderParameters)
        self._log = node_log(self)
        self._chosen: RecorderParameters | None = None
        self._calibration: RigCalibration | None = None
        self._transforms: FixedTransform | None = None
        self._control: RecordingControl | None = None
        self._topics: LosslessSubscriptions | None = None
        self._rig: RigFromFile | RigFromTf | None = None
        self._sensor: SensorThread | RgbdTopics | None = None
        self._diagnostics: DiagnosticsPublisher | None = None
        self._watch: Any = None
        self._recording = RecordingServices(self, self._log)
        guard_services(self, self._log)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and calibration; FAILURE with the reason if any of it is wrong."""
        try:
            parameters = self._declared.read()
            if parameters.source != "rgbd_topics":
                make_sensor(parameters)  # settings that contradict each other fail here, not in the thread
            self._calibration = read_calibration(parameters)
            if parameters.extrinsic_from_tf and self._transforms is None:
                self._transforms = FixedTransform(self)
        except Exception as error:  # rclpy would swallow it without a word
            self._log("error", f"not configured: {one_line(error)}")
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
        assert self._chosen is not None
        assert self._control is not None
        parameters, control = self._chosen, self._control
        control.set_rig(None)
        self._recording.control, self._recording.source_ended = control, False
        self._topics = LosslessSubscriptions(self, parameters.qos_input, self._log)
        subscribe = partial(self._topics.add, depth=parameters.qos_input_depth)
        self._rig = self._make_rig(parameters, subscribe)
        control.missing = self._missing
        self._sensor = self._open_sensor(parameters, control, self._rig, subscribe)
        self._watch = self.create_timer(WATCH_PERIOD_S, self._on_watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the session in order, close the sensor."""
        self._pause()
        return super().on_deactivate(state)

    def _make_rig(self, parameters: RecorderParameters, subscribe: Subscribe) -> RigFromFile | RigFromTf:
        """Subscribe to the robot camera, if there is one, and say where its calibration comes from."""
        transport = parameters.input_transport
        transforms = SameFrame() if parameters.depth_is_registered else self._transforms
        from_topics = transforms is not None and (parameters.extrinsic_from_tf or parameters.depth_is_registered)
        camera = None
        if transport != "none":
            camera = RobotCamera(self, subscribe, transport == "compressed", from_topics, self._on_image)
        if not from_topics or camera is None or transforms is None:
            return RigFromFile(self._calibration, self._on_rig)
        quality = {} if self._calibration is None else self._calibration.quality
        return RigFromTf(camera, transforms, quality, self._on_rig, self._log)

    def _open_sensor(
        self,
        parameters: RecorderParameters,
        control: RecordingControl,
        rig: RigFromFile | RigFromTf,
        subscribe: Subscribe,
    ) -> SensorThread | RgbdTopics:
        if parameters.source == "rgbd_topics":
            transform = None if self._calibration is None else self._calibration.sensor.colour_from_depth
            return RgbdTopics(
                self,
                subscribe,
                parameters.sensor_transport == "compressed",
                parameters.record_colour,
                parameters.pairing_bound_ms,
                transform,
                rig.add_sensor,
                control.add_depth,
                self._log,
                parameters.sensor_depth_unit_m,
            )
        patient = parameters.source == "recording"

        def take(frame: RgbdFrame) -> None:
            control.add_depth(frame, patiently=patient)

        return SensorThread(
            lambda: make_sensor(parameters),
            lambda sensor: rig.add_sensor(sensor, parameters.kinect_frame_id),
            take,
            self._on_end,
            lambda: control.running or not patient,
            parameters.retry_s,
            self._log,
        )

    def _on_rig(self, rig: RigCalibration) -> None:
        control, parameters = self._control, self._chosen
        if control is None or parameters is None:
            return
        first = not control.ready
        control.set_rig(rig)
        if first and parameters.record_at_start and not control.running:
            try:
                self._log("info", start(control))
            except DfdPerceptionError as error:  # of the session's folder; the sensor itself is fine
                self._log("error", str(error))

    def _on_end(self) -> None:
        self._recording.source_ended = True  # the session is closed by the executor's thread

    def _on_image(self, image: CameraImage) -> None:
        if self._control is not None:
            self._control.add_image(image)

    def _on_watch(self) -> None:
        if self._topics is not None and self._control is not None and self._control.running:
            for silence in self._topics.silences():
                self._log("warning", silence)
        if self._rig is not None:
            self._rig.update()
        self._recording.watch()

    def _missing(self) -> str:
        return "the node is not active" if self._rig is None else self._rig.missing

    def _status(self) -> Filled:
        active = self._recording.control is not None
        if self._sensor is None:
            return recorder_status(self._control, "", {}, active)
        silent = [] if self._topics is None else self._topics.silences()
        problem = "; ".join(silent) or self._sensor.problem
        return recorder_status(self._control, problem, self._sensor.facts(), active)

    def _pause(self) -> None:
        self._recording.control = None
        if isinstance(self._sensor, SensorThread):
            self._sensor.stop()
        self._sensor = self._rig = None
        if self._topics is not None:
            self._topics.destroy()
            self._topics = None
        if self._watch is not None:
            self.destroy_timer(self._watch)
            self._watch = None
        if self._control is not None and self._control.running and self.context.ok():
            self._log("info", stop(self._control))
        elif self._control is not None:
            self._control.stop()

    def release(self) -> None:
        """End the session in order; let go of sensor and topics."""
        self._pause()
        self._declared.locked = False
        if self._diagnostics is not None:
            self._diagnostics.destroy()
        self._control = self._diagnostics = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until a signal ends it."""
    return spin_node(GroundTruthRecorderNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
