MAKEFLAGS += --no-print-directory

# for the steps that are commands of their own: the tools of .venv come first
tools = PATH=$(CURDIR)/.venv/bin:$$PATH

.PHONY: help demo demo-voip test unit integration lint molecule sanity test-hosts benchmark clean

help: ## shows this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: ## shows the collection at work on hosts made for it
	@tests/environment demo
	@demo/run

demo-voip: ## shows softphones in the voice network: a real call, and which MAC addresses and marks it has on the wire
	@tests/environment demo
	@demo/voip/run

test: environment ## runs every check
	@tests/run

lint: environment ## runs the checks that only read: style, types, documentation
	@tests/run yamllint ruff mypy shellcheck ansible-lint docs changelog

unit: environment ## runs the unit tests
	@tests/run unit

integration: environment ## runs the tests on this machine's kernel, in namespaces of their own
	@tests/run integration playbooks

molecule: environment ## makes ready for molecule, and runs two of its scenarios
	@tests/run molecule
	@echo 'Now "source .venv/bin/activate" and "molecule test -s SCENARIO": see CONTRIBUTING.md.'

sanity: environment ## runs ansible-test sanity on every Python found
	@tests/run sanity

test-hosts: environment ## runs the tests on hosts with systemd that reboot: 500 MB of Debian in .work the first time
	@tests/run test-hosts

benchmark: environment ## measures against ip -batch, and boots against systemd-networkd
	@$(tools) tests/sandbox python tests/benchmark/topology.py
	@tests/hosts/fetch-debian trixie networkd >/dev/null
	@$(tools) tests/sandbox python tests/benchmark/boot.py

clean: ## removes all that the other targets made in this folder
	rm -rf .venv .work

.PHONY: environment
environment:
	@tests/environment test
