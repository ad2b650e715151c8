# The two commands of a newcomer, and those of a contributor. Everything runs in .venv, Triton's server in .venv/serving;
# nothing needs root.
SHELL := /bin/bash -euo pipefail
VENV := .venv
SERVING := $(VENV)/serving
# Relative, since a shell reads every line here, and would run what the path of this folder may have in it.
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
UNFINISHED := error: .venv is not whole, for the reason above. It takes 8 GB here, and while pip works 3 GB more in TMPDIR or \
	/tmp; this much is free there. Once there is room, or the network is back, the same command goes on
# What pip would do on one core; files for other versions of Python cannot be compiled, nor need they be, nor tests.
COMPILE := $(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib $(VENV)/executors > /dev/null || true
# An example with pretrained weights, its packages, which lie apart from .venv, and its labels.
DEMO := docs/examples/efficientnet_lite0
DEMO_FILES := checkpoints/packages/installed checkpoints/imagenet.txt
# The pins of both environments.
PINS := $(addprefix envs/,requirements.txt constraints.txt serving.txt serving-constraints.txt triton.txt)

# pip writes the path of .venv, as it is, into scripts that a shell reads, and PATH is parted at colons.
ifneq (,$(strip $(foreach sign," $$ ` \ :,$(findstring $(sign),$(CURDIR)))))
$(error The path of this folder has one of the signs " $$ ` \ : in it, with which .venv would not work; move it elsewhere. Nothing was changed)
endif

.PHONY: deploy demo evidence manifests preflight status undeploy cluster test test-long examples examples-packages faults families format measure measure-planning measure-gpu measure-retraining figures artifacts configuration code-in-keys pictures page-picture lock version clean help

help: ## Show these commands
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 20

# Two jobs that measure nothing run at a time; a job that measures takes all cores, so it runs alone.
deploy: $(VENV)/installed ## Rebuild the stale artifacts, serve the models here, prove them with a smoke test
	PATH="$$PWD/$(BIN):$$PATH" snakemake --cores 2 deploy

# Options: PHOTOGRAPHS=folder, from which INT8 takes its scales
demo: $(VENV)/installed $(DEMO_FILES) ## Deploy EfficientNet-Lite0, whose pretrained weights are in a Python package
	[ -z "$${PHOTOGRAPHS:-}" ] || { folder=$$(realpath -e -- "$$PHOTOGRAPHS") && ln -sfn "$$folder" checkpoints/photographs; }
	PATH="$$PWD/$(BIN):$$PATH" PYTHONPATH=checkpoints/packages snakemake --cores 2 deploy --configfile $(DEMO)/config.yaml $(and $(PHOTOGRAPHS),$(DEMO)/int8.yaml)

evidence: $(VENV)/installed ## Measure everything, deploy nothing
	PATH="$$PWD/$(BIN):$$PATH" snakemake --cores 2 evidence

manifests: $(VENV)/installed ## Write the manifests for the other platforms, deploy nothing
	PATH="$$PWD/$(BIN):$$PATH" snakemake --cores 1 manifests

preflight: $(VENV)/installed ## Test without a GPU whether TensorRT accepts the model
	PATH="$$PWD/$(BIN):$$PATH" snakemake --cores 1 preflight

status: $(VENV)/installed ## Show the live models
	PATH="$$PWD/$(BIN):$$PATH" snakemake --cores 1 status

undeploy: $(VENV)/installed ## Stop the served models
	PATH="$$PWD/$(BIN):$$PATH" snakemake --cores 1 undeploy

cluster: $(VENV)/installed ## Add the executors for Slurm and Kubernetes to .venv
	$(INSTALL) -r envs/cluster.txt

# A third of their time the long tests wait for servers, so two cores have work for three processes.
test: $(VENV)/installed-test ## Run every test but the longest
	PATH="$$PWD/$(BIN):$$PATH" pytest -m "not long" --numprocesses 3 --durations 25 --dist loadfile --no-loadscope-reorder tests/workflow tests/faults tests/gpu tests/test_style.py tests/unit

test-long: $(VENV)/installed-test ## Run the longest tests: a whole chain on Slurm, deployments that are killed, full disks
	PATH="$$PWD/$(BIN):$$PATH" pytest -m long tests

examples: $(VENV)/installed-test examples-packages ## Run every example of docs/examples, from its checkpoint to answers through Triton
	PYTHONPATH="$$PWD/$(VENV)/examples" PATH="$$PWD/$(BIN):$$PATH" pytest -o tmp_path_retention_policy=failed tests/workflow/test_examples.py tests/workflow/test_many_models.py tests/unit/models/test_packages_of_sources.py

examples-packages: $(VENV)/installed-examples ## Install timm, transformers, s3fs and moto into .venv/examples, for the examples alone

# Options: OPTIONS="--only 'full disk' --output faults.json"
faults: $(VENV)/installed-test ## Inject hundreds of faults into a deployed model under traffic; report which it survived
	PATH="$$PWD/$(BIN):$$PATH" PYTHONPATH=scripts:tests python -m faults.campaign $(OPTIONS)

families: $(VENV)/installed-test ## Run all of torchvision's classifiers through weights, reference outputs and export
	SLIPWAY_ALL_FAMILIES=1 PATH="$$PWD/$(BIN):$$PATH" pytest -o tmp_path_retention_policy=failed tests/unit/programs/test_torchvision_families.py

format: $(VENV)/installed-test ## Format programs, tests and rules
	PATH="$$PWD/$(BIN):$$PATH" ruff format scripts tests docs/examples
	PATH="$$PWD/$(BIN):$$PATH" ruff check --fix scripts tests docs/examples
	PATH="$$PWD/$(BIN):$$PATH" snakefmt --line-length 120 Snakefile rules

# Options: OPTIONS="--photographs FOLDER", from which INT8 takes its scales
measure: $(VENV)/installed $(DEMO_FILES) ## Measure the workflow and the precisions of this CPU into docs/measurements/cpu.json
	PATH="$$PWD/$(BIN):$$PATH" PYTHONPATH="$$PWD/checkpoints/packages" python scripts/tools/measure_workflow.py --output docs/measurements/cpu.json $(OPTIONS)
	$(MAKE) figures

figures: $(VENV)/installed ## Write the figures of docs/measurements into the tables of its README.md and of the project's
	$(BIN)/python scripts/tools/write_figures.py

measure-planning: $(VENV)/installed ## Measure the time of planning into docs/measurements/planning.json
	PATH="$$PWD/$(BIN):$$PATH" python scripts/tools/measure_planning.py --output docs/measurements/planning.json

# Options: GPU=h100 OPTIONS="--tensorrt-python PATH --calibration FOLDER --labelled FOLDER --weights NAME=PATH"
measure-gpu: $(VENV)/installed ## Measure this GPU into docs/measurements/$GPU, with the configurations there
	PATH="$$PWD/$(BIN):$$PATH" python scripts/tools/measure_gpu.py --configurations docs/measurements/$(GPU) $(OPTIONS)

measure-retraining: $(VENV)/installed ## Measure how long engines for new weights of ResNet-50 take on this GPU
	PATH="$$PWD/$(BIN):$$PATH" python scripts/tools/measure_retraining.py --configuration docs/measurements/$(GPU)/resnet50.yaml $(OPTIONS)

artifacts: $(VENV)/installed ## Write docs/artifacts.md from the workflow
	$(BIN)/python scripts/tools/list_artifacts.py

configuration: $(VENV)/installed ## Write docs/configuration.md from the schema of config.yaml
	$(BIN)/python scripts/tools/list_configuration.py

code-in-keys: $(VENV)/installed-test ## Write the list of files in the key of each rule (first check why the list changed)
	PYTHONPATH=scripts:tests $(BIN)/python -m helpers.code_in_keys

pictures: $(VENV)/installed ## Draw the pictures of README and docs/results.md from the workflow and the records of docs/measurements
	PATH="$$PWD/$(BIN):$$PATH" snakemake --rulegraph dot --forceall deploy 2> /dev/null | $(BIN)/python scripts/tools/draw_rulegraph.py --output docs/rulegraph.png
	PATH="$$PWD/$(BIN):$$PATH" python scripts/tools/draw_pictures.py --benchmark docs/measurements/h100/resnet50.json --load-test docs/measurements/h100/resnet50.tensorrt-8.5.json --folder docs

# Options: MODEL=resnet50
page-picture: $(VENV)/installed ## Photograph the page in results/$MODEL with Chromium for docs/results.md
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1100,1116 --screenshot=docs/page.png "file://$$PWD/results/$(MODEL)/report.html"
	$(BIN)/python -c "from PIL import Image; Image.open('docs/page.png').quantize(128, method=1).save('docs/page.png', optimize=True)"

lock: $(VENV)/installed-test ## Write the versions in .venv to envs/*constraints.txt and envs/slipway.*
	(echo "# Every version of one environment that was tested; written by \`make lock\`."; ($(BIN)/python -m pip freeze --all --exclude pip; $(BIN)/python -m pip freeze --path $(VENV)/executors) | sort -f) > envs/constraints.txt
	(echo "# Every version of the environment that serves that was tested; written by \`make lock\`."; $(SERVING)/bin/python -m pip freeze | sort -f) > envs/serving-constraints.txt
	(sed '/- pip:/q' envs/slipway.yaml; sed -n 's/^[^#].*/      - &/p' envs/constraints.txt) > $(VENV)/slipway.yaml
	mv $(VENV)/slipway.yaml envs/slipway.yaml
	sed -i -e "s/^packages=.*/packages=\"$$(grep -v '^#' envs/serving-constraints.txt | paste -sd ' ')\"/" -e "s/^programs=.*/programs=\"$$(grep -v '^#' envs/triton.txt | paste -sd ' ')\"/" envs/slipway.post-deploy.sh

version: ## Show Slipway's version, and the commit of this checkout
	@echo "slipway $$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)$$(git describe --always --dirty 2> /dev/null | sed 's/^/, commit /')"

clean: ## Stop the served models, and remove everything that was built
	[ ! -e results/.server/state.json ] || $(MAKE) undeploy
	rm -rf results logs .snakemake

$(VENV)/installed: $(PINS) scripts/find_python scripts/make_serving
	python=$$(PYTHON="$(PYTHON)" scripts/find_python) && scripts/find_python serving "$$python" > /dev/null && "$$python" -m venv $(VENV)
	@echo "Installing what envs/ pins into $(VENV), and what serves into $(SERVING)"
	@{ $(INSTALL) -r envs/requirements.txt && scripts/make_serving $(VENV); } || { echo "$(UNFINISHED)" >&2; df -h . "$${TMPDIR:-/tmp}" >&2; exit 1; }
	$(COMPILE)
	touch $@

# They lie apart, so that the tests of everything else run without them.
$(VENV)/installed-examples: $(VENV)/installed envs/examples.txt
	rm -rf $(VENV)/examples
	$(INSTALL) --no-deps --target $(VENV)/examples -r envs/examples.txt
	touch $@

# The executors lie where only the tests of clusters look, since each start of Snakemake would import them.
$(VENV)/installed-test: $(VENV)/installed envs/test.txt envs/cluster.txt
	$(INSTALL) -r envs/test.txt
	rm -rf $(VENV)/executors
	$(INSTALL) --no-deps --target $(VENV)/executors -r envs/cluster.txt
	$(COMPILE)
	touch $@

checkpoints/packages/installed: $(DEMO)/requirements.txt | $(VENV)/installed
	$(INSTALL) --no-deps --upgrade --target $(@D) -r $<
	touch $@

checkpoints/imagenet.txt: | $(VENV)/installed
	mkdir -p $(@D)
	$(BIN)/python -c "from torchvision.models import ResNet50_Weights as w; print(*w.DEFAULT.meta['categories'], sep='\n')" > $@.partial
	mv $@.partial $@
