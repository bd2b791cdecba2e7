# Everything is made in .venv: nothing needs to be installed by hand but python3 (3.11 to 3.14), git and make.

DATA ?= data
SOURCES := setup.cfg pyproject.toml $(shell find dkv twisted -name '*.py')

.PHONY: cluster test clean

# Three nodes in the foreground, as etc/cluster.toml says; Ctrl-C stops them.
cluster: .venv/installed
	@.venv/bin/dkv cluster --config etc/cluster.toml --data-dir $(DATA)

# The whole suite, the types and the lint; the last line is "N passed, N failed". If some failed, so does make, but
# -q keeps it from saying so after that line; what is marked + runs all the same.
ifeq ($(MAKECMDGOALS),test)
MAKEFLAGS += -q
endif
test:
	+@.ci/test

clean:
	rm -rf .venv .tox .mypy_cache .ruff_cache .hypothesis build dist dkv.egg-info _trial_temp* twisted/plugins/dropin.cache

.venv/bin/pip:
	@.ci/make-venv .venv

.venv/installed: .venv/bin/pip $(SOURCES)
	@rm -rf build
	@.venv/bin/pip install --quiet --disable-pip-version-check '.[cli,tls]'
	@touch $@

.venv/bin/tox: .venv/bin/pip
	@.venv/bin/pip install --quiet --disable-pip-version-check 'tox>=4.11,<5'
	@touch $@
