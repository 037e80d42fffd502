# dfd_perception on ROS 2 Jazzy, or Humble with --build-arg ROS_DISTRO=humble:
#   docker build -t dfd_perception .
#   docker run --rm -it --network host --ipc host dfd_perception \
#       ros2 launch dfd_perception dfd.launch.py image_topic:=/camera/image_raw camera_info_topic:=/camera/camera_info
# --ipc host (or --shm-size=512m): images travel through shared memory.
# Not built with Docker yet. Each RUN line was tried by itself on Debian 12, without what apt and /opt/ros hold of ROS 2; the
# environment, pip and colcon lines are those of the README, which `make test-recipe` runs.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
SHELL ["/bin/bash", "-eo", "pipefail", "-c"]

RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3-venv python3-opencv python3-numpy python3-tqdm python3-yaml python3-aiohttp python3-colcon-common-extensions \
        ros-$ROS_DISTRO-cv-bridge ros-$ROS_DISTRO-sensor-msgs-py ros-$ROS_DISTRO-diagnostic-msgs ros-$ROS_DISTRO-tf2-ros-py \
    && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv --system-site-packages /opt/dfd_venv
ENV VIRTUAL_ENV=/opt/dfd_venv PATH=/opt/dfd_venv/bin:$PATH

WORKDIR /opt/dfd_ws
COPY requirements/robot.txt src/dfd_perception/requirements/robot.txt
RUN pip install --no-cache-dir -r src/dfd_perception/requirements/robot.txt

COPY . src/dfd_perception
RUN source /opt/ros/$ROS_DISTRO/setup.bash && python3 -m colcon build --packages-select dfd_perception
# For programs other than the launch files, which set it themselves: large images are lost without.
ENV FASTRTPS_DEFAULT_PROFILES_FILE=/opt/dfd_ws/install/dfd_perception/share/dfd_perception/config/fastdds.xml
ENV FASTDDS_DEFAULT_PROFILES_FILE=$FASTRTPS_DEFAULT_PROFILES_FILE
RUN source install/setup.bash && ros2 run dfd_perception dfd doctor

RUN printf '%s\n' '#!/bin/bash' 'set -e' 'source /opt/dfd_ws/install/setup.bash' 'exec "$@"' > /usr/local/bin/dfd_entrypoint \
    && chmod +x /usr/local/bin/dfd_entrypoint
ENTRYPOINT ["dfd_entrypoint"]
CMD ["ros2", "launch", "dfd_perception", "dfd.launch.py"]
