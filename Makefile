# Every target sets itself up from a bare clone: python3 (3.10 or newer), make and a network are all it needs.
# Variables can be set on the command line, for example `make test PYTHON=python3.12 PYTEST_OPTIONS="-x -k optics"`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo demo-picture test test-kilted test-runtime test-tensorrt test-kinect test-colcon test-recipe test-browser test-rerun docs fuzz soak faults peers check format clean

PYTHON ?= python3
VENV ?= .venv
VENV_KILTED ?= .venv-kilted
VENV_RUNTIME ?= .venv-runtime-$(notdir $(PYTHON))
VENV_COLCON ?= .venv-colcon
VENV_KINECT ?= .venv-kinect
TESTS ?= test
PYTEST_OPTIONS ?=
WORKERS ?= auto
MINUTES ?= 2
SEED ?= 0
SECONDS_A_RUN ?= 10
RVIZ ?= 0
DEMO_OPTIONS ?=

# The tests of a robot's set: no torch, so no network, losses, datasets, training and export.
RUNTIME_TESTS ?= $(wildcard test/core test/files test/metrics test/bags test/inference test/media test/view test/ros test/cli test/test_*.py)

# Kilted differs from Jazzy in rclpy: what starts, spins and ends nodes, their parameters, QoS, services and tools. The
# image processing behind them has been tested once.
KILTED_TESTS ?= $(addprefix test/ros/,shared recorder_node test_robot_examples.py) \
  $(addprefix test/ros/depth_node/test_,dfd_node.py inputs.py node_process.py hardened_process.py lens_setup.py) \
  $(addprefix test/ros/tools/test_,bag_recorder.py camera.py player.py service_call.py view_topics.py)

# One test to a core; a worker takes over what another has not begun. Without: PYTEST_OPTIONS="-n 0".
PARALLEL := -n $(WORKERS) --maxprocesses 8 --dist worksteal

# Nodes of this checkout talk to each other only, and images fit into shared memory (see config/fastdds.xml).
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export FASTDDS_DEFAULT_PROFILES_FILE ?= $(CURDIR)/config/fastdds.xml
export FASTRTPS_DEFAULT_PROFILES_FILE ?= $(FASTDDS_DEFAULT_PROFILES_FILE)

# The environments bring their own ROS 2. One that is sourced in this shell would put its libraries in front.
ifneq ($(AMENT_PREFIX_PATH),)
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH ROS_DISTRO ROS_VERSION
endif
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

PACKAGE_FILES := setup.py setup.cfg package.xml
SETUP_FILES := scripts/make_venv.sh requirements/constraints.txt $(PACKAGE_FILES)
FULL_SET := $(addprefix requirements/,runtime.txt ros-jazzy.txt train.txt test.txt dev.txt)
KILTED_SET := $(addprefix requirements/,runtime.txt ros-kilted.txt test.txt)
RUNTIME_SET := $(addprefix requirements/,runtime.txt ros-jazzy.txt test.txt)

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: $(VENV)/.installed ## Make .venv: ROS 2 Jazzy, torch, the tools (once; later runs see that nothing changed)
	@echo "set-up: $(VENV) is up to date"

demo: $(VENV)/.installed ## Play a recorded scene through the running node; results in demo_output/ (RVIZ=1 opens RViz)
	@RVIZ=$(RVIZ) $(VENV)/bin/python -m dfd_perception.ros.tools.demo $(DEMO_OPTIONS)

demo-picture: $(VENV)/.installed ## The demo, and docs/images/demo*.jpg of it (after new weights)
	@$(VENV)/bin/python -m dfd_perception.ros.tools.demo $(DEMO_OPTIONS) --picture docs/images/demo.jpg

test: $(VENV)/.installed ## All tests, on ROS 2 Jazzy (TESTS=test/core for some of them)
	$(VENV)/bin/python -m pytest -m "not tensorrt and not recipe and not browser" $(PARALLEL) $(TESTS) $(PYTEST_OPTIONS)

test-kilted: $(VENV_KILTED)/.installed ## The tests of rclpy's side on ROS 2 Kilted
	$(VENV_KILTED)/bin/python -m pytest $(PARALLEL) $(KILTED_TESTS) $(PYTEST_OPTIONS)

test-runtime: $(VENV_RUNTIME)/.installed ## A robot's set, without torch (PYTHON=python3.10: as on Humble and JetPack 6)
	$(VENV_RUNTIME)/bin/python -m pytest -m "not recipe" $(PARALLEL) $(RUNTIME_TESTS) $(PYTEST_OPTIONS)

test-tensorrt: $(VENV)/.installed-tensorrt ## Engine building with the TensorRT-RTX wheels, without a GPU
	$(VENV)/bin/python -m pytest -m tensorrt -n $(WORKERS) --maxprocesses 3 --dist loadgroup test/inference/tensorrt $(PYTEST_OPTIONS)

test-kinect: $(VENV_KINECT)/.installed ## Azure Kinect recordings with pyk4a, which needs NumPy 1
	$(VENV_KINECT)/bin/python -m pytest test/groundtruth/sensors $(PYTEST_OPTIONS)

test-colcon: $(VENV_COLCON)/.installed ## Build and install the package with colcon
	$(VENV_COLCON)/bin/python -m pytest test/test_colcon.py test/test_package.py $(PYTEST_OPTIONS)

test-recipe: $(VENV)/.installed ## The README's recipe for a robot, on the OpenCV and colcon of the distribution (apt)
	$(VENV)/bin/python -m pytest test/test_recipe.py $(PYTEST_OPTIONS)

test-browser: $(VENV)/.installed-browser ## The page of dfd view in a headless Chromium (apt install chromium chromium-driver)
	$(VENV)/bin/python -m pytest test/browser $(PYTEST_OPTIONS)

test-rerun: $(VENV)/.installed-rerun ## Recordings for the Rerun viewer, which needs Python 3.11 or newer and 670 MB
	$(VENV)/bin/python -m pytest test/view/test_rerun_log.py $(PYTEST_OPTIONS)

fuzz: $(VENV)/.installed ## Spoilt messages, bags, recordings, YAML, models, sessions for MINUTES=2 (SEED=0)
	$(VENV)/bin/python -m pytest -s test/fuzz --fuzz-minutes $(MINUTES) --fuzz-seed $(SEED) --timeout 0 $(PYTEST_OPTIONS)

soak: $(VENV)/.installed ## The node at full rate for MINUTES=2: broken images, transitions, models; figures of memory and log
	$(VENV)/bin/python benchmarks/soak.py --minutes $(MINUTES) --seed $(SEED)

faults: $(VENV)/.installed ## kill -9, full disk, vanished folder, wrong clocks, wrong requests: nodes and recordings survive
	$(VENV)/bin/python -m pytest -m fault test $(PYTEST_OPTIONS)

peers: $(VENV)/.installed ## Our node, a node as usually written, the thesis' network in eager torch: speed in one run (stop other work first)
	$(VENV)/bin/python benchmarks/peers/compare.py --seconds $(SECONDS_A_RUN)

docs: $(VENV)/.installed-docs ## The documentation as a site in site/, strictly: a dead link or a page out of the contents fails
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict
	@echo "docs: open site/index.html"

check: $(VENV)/.installed ## Lint and types
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m mypy

format: $(VENV)/.installed ## Sort imports and lay out the code
	$(VENV)/bin/python -m ruff check --fix --select I .
	$(VENV)/bin/python -m ruff format .

clean: ## Remove environments, caches and results
	rm -rf $(VENV) $(VENV_KILTED) .venv-runtime-* $(VENV_COLCON) $(VENV_KINECT) build install log dist site *.egg-info demo_output
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: $(SETUP_FILES) $(FULL_SET)
	@scripts/make_venv.sh $(VENV) $(PYTHON) $(FULL_SET) && touch $@

$(VENV_KILTED)/.installed: $(SETUP_FILES) $(KILTED_SET)
	@scripts/make_venv.sh $(VENV_KILTED) $(PYTHON) $(KILTED_SET) && touch $@

$(VENV_RUNTIME)/.installed: $(SETUP_FILES) $(RUNTIME_SET)
	@scripts/make_venv.sh $(VENV_RUNTIME) $(PYTHON) $(RUNTIME_SET) && touch $@

$(VENV_KINECT)/.installed: scripts/make_venv.sh requirements/kinect.txt $(PACKAGE_FILES)
	@CONSTRAINTS=requirements/kinect.txt scripts/make_venv.sh $(VENV_KINECT) $(PYTHON) requirements/kinect.txt && touch $@

$(VENV_COLCON)/.installed: $(SETUP_FILES) requirements/colcon.txt requirements/test.txt
	@scripts/make_venv.sh $(VENV_COLCON) $(PYTHON) requirements/colcon.txt requirements/test.txt && touch $@

$(VENV)/.installed-browser: $(VENV)/.installed requirements/browser.txt
	@scripts/make_venv.sh $(VENV) $(PYTHON) requirements/browser.txt && touch $@

$(VENV)/.installed-docs: $(VENV)/.installed requirements/docs.txt
	@scripts/make_venv.sh $(VENV) $(PYTHON) requirements/docs.txt && touch $@

$(VENV)/.installed-rerun: $(VENV)/.installed requirements/rerun.txt
	@scripts/make_venv.sh $(VENV) $(PYTHON) requirements/rerun.txt && touch $@

# The stubs stay out of the environment: there a folder named tensorrt would pass for the library.
$(VENV)/.installed-tensorrt: $(VENV)/.installed requirements/tensorrt.txt requirements/tensorrt-stubs.txt
	@scripts/make_venv.sh $(VENV) $(PYTHON) requirements/tensorrt.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target $(VENV)/tensorrt-stubs --requirement requirements/tensorrt-stubs.txt && touch $@
