# SPDX-License-Identifier: MIT
# One word for each chore.
FUZZ_SECONDS ?= 60
PREFIX ?= /usr/local
DEV := build/dev

.DEFAULT_GOAL := help
.PHONY: build release install test lint fmt bench fuzz cov h2spec clean help

help: ## these words
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## /  make \1\t/' | expand -t 16
	@echo "  ./run           build, start, and show a container calling a model"

build: ## the release build, into build/release
	@tools/deps install build
	cmake --preset release -DBUILD_TESTING=OFF >/dev/null
	ninja -C build/release

release: ## what is shipped: profile-guided, into build/release
	@tools/deps install build
	tools/pgo build/release

build/release/bin/berth:
	@$(MAKE) --no-print-directory release

install: build/release/bin/berth ## build/release into PREFIX (/usr/local): programs, man pages, completions, a systemd unit
	cmake --install build/release --prefix $(PREFIX) --strip
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@BINDIR@|$(PREFIX)/bin|' manifests/systemd/berth.service.in >$(DESTDIR)$(PREFIX)/lib/systemd/system/berth.service
	tools/man build/release/bin $(DESTDIR)$(PREFIX)/share/man
	build/release/bin/berth completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/berth
	build/release/bin/berth completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/berth.fish

test: ## everything: ./test
	@./test

lint: ## checks of the house and clang-tidy
	@tools/deps install build test
	cmake --preset dev -DBUILD_TESTING=ON >/dev/null
	ninja -C $(DEV)
	ctest --test-dir $(DEV) -L house --output-on-failure
	tools/tidy $(DEV)

fmt: ## format all C files
	git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format-14 -i

bench: ## the load table, into build/bench.json
	@if test -x tools/bench/bench; then exec tools/bench/bench; else echo "bench: tools/bench/bench is not there" >&2; exit 1; fi

fuzz: ## each fuzz target for FUZZ_SECONDS (60)
	@tools/deps install build test
	@tools/fuzz/run $(FUZZ_SECONDS)

cov: ## coverage of the unit tests, as build/cov/index.html (needs gcovr)
	@command -v gcovr >/dev/null || { echo "cov: install gcovr" >&2; exit 1; }
	cmake --preset cov -DBUILD_TESTING=ON >/dev/null
	ninja -C build/cov
	ctest --test-dir build/cov -LE house -j 2
	gcovr --root . --object-directory build/cov --exclude '.*_(test|fuzz)\.c' --html-details build/cov/index.html --print-summary

h2spec: ## HTTP/2 conformance of a running stack (needs go; PORT=4181)
	tools/h2spec -h 127.0.0.1 -p $${PORT:-4181}
	tools/h2spec -h 127.0.0.1 -p $${PORT:-4181} -S

clean: ## remove build/ (a stack that runs from it must be stopped first)
	rm -rf build
