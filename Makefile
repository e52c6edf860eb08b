# The front door. Each target installs the tools that it misses (Debian) and
# builds what it needs; Meson does the work.

PREFIX ?= /usr/local
SETUP = scripts/setup build

all:
	@scripts/need build
	@$(SETUP)
	@ninja -C build

help:
	@echo 'make            build the library and the examples in build/'
	@echo 'make demo       run the first examples'
	@echo 'make test       unit tests, manual pages, headers, installation'
	@echo 'make lint       formatting, static analysis, layers, symbols'
	@echo 'make models     every run of the models of locks and queues'
	@echo 'make asan       unit tests under AddressSanitizer and UBSan'
	@echo 'make tsan       unit tests under ThreadSanitizer'
	@echo 'make valgrind   unit tests under Valgrind'
	@echo 'make fault      workers killed at every instruction, and at random'
	@echo 'make soak       all tests, slow ones too, ten times as long'
	@echo 'make bench      the benchmarks, beside their peers'
	@echo 'make docs       the manual pages in build/doc/'
	@echo 'make install    to PREFIX ($(PREFIX)) below DESTDIR'
	@echo 'make format     clang-format, in place'
	@echo 'make clean      remove what was built'

demo:
	@scripts/need build
	@$(SETUP)
	@ninja -C build --quiet
	@scripts/demo build/examples build/tools/weft

test:
	@scripts/need build test
	@scripts/test native unit docs

lint:
	@scripts/need build test lint
	@scripts/test native lint

# Where spin cannot be installed the check says so and is skipped.
models:
	@scripts/need build
	@scripts/need models || true
	@scripts/check-models

asan tsan:
	@scripts/need build test
	@scripts/test $@ unit

valgrind:
	@scripts/need build test valgrind
	@scripts/test valgrind unit

clang:
	@scripts/need build test clang
	@scripts/test clang unit

slow:
	@scripts/need build test
	@scripts/test native slow

fault:
	@scripts/need build test
	@scripts/test native fault

soak:
	@scripts/need build test
	@scripts/test soak unit slow fault

bench:
	@scripts/need build bench
	@scripts/setup build-bench -Dbench=enabled -Dexamples=false \
	    -Dtests=disabled -Ddocs=disabled -Db_ndebug=true
	@ninja -C build-bench --quiet
	@meson test -C build-bench --no-rebuild --benchmark --verbose

docs:
	@scripts/need build test
	@$(SETUP) -Dtests=enabled -Ddocs=enabled
	@ninja -C build --quiet
	@echo 'build/doc: see man build/doc/weft.7'

# Without ldconfig the loader would not find what is in place.
install:
	@scripts/need build install
	@scripts/setup build-install -Dprefix=$(PREFIX) -Dwerror=false \
	    -Dexamples=false -Dtests=disabled -Ddocs=enabled -Db_ndebug=true
	@ninja -C build-install --quiet
	@meson install -C build-install --no-rebuild --quiet
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || /sbin/ldconfig

format:
	@scripts/need lint
	@scripts/check-format --fix

clean:
	rm -rf build build-*

.PHONY: all help demo test lint models asan tsan valgrind clang slow fault soak \
    bench docs install format clean
