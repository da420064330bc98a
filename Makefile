MAKEFLAGS += --no-print-directory

# tools of .venv first, for the targets that do not use tests/run
tools = PATH=$(CURDIR)/.venv/bin:$$PATH

.PHONY: help demo demo-voip test unit integration lint molecule sanity test-hosts benchmark clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: ## move old hosts to a new host, on test hosts, and verify the result
	@tests/environment demo
	@demo/run

demo-voip: ## make a call from softphones in the voice network, and verify MAC addresses and marks on the wire
	@tests/environment demo
	@demo/voip/run

test: environment ## run all checks
	@tests/run

lint: environment ## run the static checks: style, types, documentation
	@tests/run yamllint ruff mypy shellcheck ansible-lint docs changelog

unit: environment ## run the unit tests
	@tests/run unit

integration: environment ## run the tests on the kernel of this machine, in network namespaces
	@tests/run integration playbooks

molecule: environment ## prepare the environment for molecule, and run two scenarios
	@tests/run molecule
	@echo 'Now "source .venv/bin/activate" and "molecule test -s SCENARIO": see CONTRIBUTING.md.'

sanity: environment ## run ansible-test sanity with all installed Python versions
	@tests/run sanity

test-hosts: environment ## run the tests on hosts with systemd that reboot (the first run downloads 500 MB of Debian packages)
	@tests/run test-hosts

benchmark: environment ## compare the speed with ip -batch, and at boot with systemd-networkd
	@$(tools) tests/sandbox python tests/benchmark/topology.py
	@tests/hosts/fetch-debian trixie networkd >/dev/null
	@$(tools) tests/sandbox python tests/benchmark/boot.py

clean: ## delete the files that the other targets created in the clone
	rm -rf .venv .work

.PHONY: environment
environment:
	@tests/environment test
