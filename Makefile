# pibuild: make | make demo | make test | make test-fast | make test-faults | make test-first-boot | make test-mutants | make test-powercut | make test-life | make test-debian | make test-upstream | make fuzz | make lint | make install | make uninstall | make clean
#
#   V=1 shows commands          SAN=1 address and undefined-behaviour sanitizers, SAN=thread that of threads      COV=1 coverage
#   CC=gcc|clang  WERROR=1      T=pattern picks test files                            PREFIX=, DESTDIR= for install

PREFIX  ?= /usr/local
CC      ?= cc
CFLAGS  ?= -O2 -g
# cc and gcc are one compiler on Debian; any other has its own folder, as has WERROR: what was compiled without is no proof.
compiler := $(filter-out cc gcc,$(notdir $(lastword $(CC))))
comma   := ,
san     := $(if $(filter thread,$(SAN)),thread,address$(comma)undefined)
variant := $(if $(SAN),-$(if $(filter thread,$(SAN)),t)san)$(if $(COV),-cov)$(if $(compiler),-$(compiler))$(if $(WERROR),-werror)
B       := build$(variant)
Q       := $(if $(V),,@)
VERSION := 0.1.0

# pkg-config runs when something is compiled, not when this file is read: `make demo` must work on a bare machine.
PKGS    := libarchive libisal liblzma libzstd libcurl fdisk ext2fs com_err yaml-0.1 libcrypto jansson
PKGCF    = $(shell pkg-config --cflags $(PKGS))
PKGLD    = $(shell pkg-config --libs $(PKGS))

WARN    := -Wall -Wextra -Wshadow -Wundef -Wvla -Wformat=2 -Wwrite-strings -Wpointer-arith -Wcast-qual -Wstrict-prototypes \
           -Wmissing-prototypes -Wimplicit-fallthrough -Wno-unused-parameter
HARD    := $(if $(SAN),-fsanitize=$(san) -fno-omit-frame-pointer -fno-sanitize-recover=all -DPIBUILD_SANITIZED,\
           -fstack-protector-strong -D_FORTIFY_SOURCE=2) -fPIE
ALL_CF   = -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DPIBUILD_VERSION='"$(VERSION)"' \
           -DPIBUILD_DATADIR='"$(PREFIX)/share/pibuild"' -Ibuilder -I$(B) $(WARN) $(HARD) $(PKGCF) \
           $(if $(WERROR),-Werror) $(if $(COV),--coverage)
ALL_LD   = -pthread -pie $(if $(SAN),-fsanitize=$(san),-Wl,-z$(comma)relro$(comma)-z$(comma)now) \
           $(if $(COV),--coverage)

LIB_SRC  := $(filter-out builder/main.c,$(wildcard builder/*.c builder/*/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o)
UNIT_BIN := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
C_FILES   = $(wildcard builder/*.[ch] builder/*/*.[ch] tests/unit/*.[ch] tests/fuzz/*.c tests/faults/*.c)

all: $(B)/pibuild

# What the program does to a layer is part of the layer's name in the cache: a digest of its source, not of its time.
SOURCES := $(sort $(wildcard builder/*.[ch] builder/*/*.[ch]))
$(B)/source-id.h: $(SOURCES) Makefile
	@mkdir -p $(B)
	@echo "#define PIBUILD_SOURCE_ID \"$$(cat $(SOURCES) | sha256sum | cut -c1-64)\"" >$@
$(B)/builder/build/kept.o: $(B)/source-id.h

# The commit is part of what --version says and of nothing else: what is built is the same from the same source.
$(B)/build-commit.h: FORCE
	@mkdir -p $(B)
	@echo "#define PIBUILD_COMMIT \"$$(scripts/commit)\"" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/builder/cmd/help.o: $(B)/build-commit.h
FORCE:

# One line instead of a page of missing headers.
$(B)/.libraries:
	@mkdir -p $(B)
	@command -v pkg-config >/dev/null && pkg-config --exists $(PKGS) || { \
	  echo "make: libraries are missing: run scripts/deps build   (needs: $(PKGS))" >&2; exit 1; }
	@touch $@

$(B)/pibuild: $(B)/builder/main.o $(B)/libpibuild.a
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(ALL_LD) $(LDFLAGS) -o $@ $^ $(PKGLD)
$(B)/libpibuild.a: $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@; $(AR) rcs $@ $^
$(B)/%.o: %.c Makefile $(B)/.libraries
	@mkdir -p $(@D); echo "  CC    $<"
	$(Q)$(CC) $(ALL_CF) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
# What tests themselves do takes no time; a third of compiling them was making it quick.
$(UNIT_BIN:%=%.o): CFLAGS += -O0 -U_FORTIFY_SOURCE
$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libpibuild.a
	$(Q)$(CC) $(CFLAGS) $(ALL_LD) -o $@ $^ $(PKGLD)

# ---- what people call ----

deps:
	@scripts/deps

# A cluster from stand-in releases, served on loopback: no network but Debian's packages, no root.
demo: deps
	@$(MAKE) --no-print-directory all
	@[ -e $(B)/demo/.ssh/id_ed25519.pub ] || { mkdir -p $(B)/demo/.ssh && \
	  ssh-keygen -q -t ed25519 -N '' -C demo -f $(B)/demo/.ssh/id_ed25519; }
	scripts/sandbox -- env HOME=$(abspath $(B)/demo) $(B)/pibuild --role control-plane -c configs/demo.yaml --secrets $(B)/demo/secrets.yaml \
	  --cache $(B)/demo/cache -o $(B)/demo
	$(B)/pibuild inspect $(B)/demo/cp-1.img

# The base that boots is made while pibuild is compiled: it waits for the network and for one processor.
test: deps
	@$(if $(T),,scripts/make-base --kept bootable >/dev/null &) \
	  $(MAKE) --no-print-directory -j$$(nproc) test-programs && wait
	@scripts/run-tests --build $(B) $(T)
test-fast: deps
	@$(MAKE) --no-print-directory -j$$(nproc) test-programs
	@scripts/run-tests --fast --build $(B) $(T)
test-programs: all $(UNIT_BIN) $(B)/tests/faults/fault.so
$(B)/tests/faults/fault.so: tests/faults/fault.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 -g -Wall -Wextra -fno-builtin -shared -fPIC -o $@ $<

# The habit of looking: all of the command line and of images under the sanitizers of addresses and undefined behaviour, what has
# threads under that of threads, check, plan and a build under valgrind, and which lines no test has run.
test-sanitizers: deps
	@$(MAKE) --no-print-directory -j$$(nproc) SAN=1 CFLAGS="-O1 -g" test-programs
	scripts/run-tests --build build-san build-san/tests/unit
	scripts/run-tests --build build-san tests/cli
	scripts/run-tests --build build-san tests/image
test-threads: deps
	@$(MAKE) --no-print-directory -j$$(nproc) SAN=thread CFLAGS="-O1 -g" test-programs
	for t in test_archive test_arena test_cow test_companion test_oci test_pool; do build-tsan/tests/unit/$$t || exit; done
	PIBUILD=$(abspath build-tsan/pibuild) bats --tap tests/cli/fetch.bats tests/image/download.bats tests/image/node.bats tests/image/compressed.bats tests/image/flash.bats
	PIBUILD=$(abspath build-tsan/pibuild) bats --tap -f "made together|first is told" tests/image/repeat.bats
test-valgrind: all
	scripts/sandbox -- tests/faults/valgrind $(B)/pibuild
# All but what boots; T=name measures one file of tests. The fast ones alone leave out whole commands.
coverage: deps
	@$(MAKE) --no-print-directory -j$$(nproc) COV=1 CFLAGS="-O0 -g" test-programs
	find build-cov -name '*.gcda' -delete
	-for tests in $(or $(T),build-cov/tests/unit tests/cli tests/image); do scripts/run-tests --build build-cov $$tests; done
	scripts/coverage build-cov

# Commands with one call of the C library that fails, is cut short, or kills: make test-faults POINTS=2000 SEED=1 T=build;
# WITHIN=build/fill.c counts what is called in that file alone; FULL=20 (root) fills the disk they work on instead, in so
# many steps; CUTS=200 (root) takes its power away as often.
test-faults: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all $(B)/tests/faults/fault.so
	scripts/sandbox -- tests/faults/run $(B)/pibuild $(B)/tests/faults/fault.so --points $(if $(filter file,$(origin POINTS)),2000,$(POINTS)) \
	  --seed $(SEED) $(if $(T),--case $(T)) $(if $(WITHIN),--within $(WITHIN)) $(if $(FULL),--full $(FULL)) $(if $(CUTS),--cuts $(CUTS))

# First boot with a command that fails, hangs or is where a step is killed: make test-first-boot POINTS=100 SEED=1
test-first-boot: deps
	@$(MAKE) --no-print-directory all
	PIBUILD=$(abspath $(B)/pibuild) POINTS=$(if $(filter file,$(origin POINTS)),100,$(POINTS)) SEED=$(SEED) bats --tap tests/cli/first-boot-faults.bats

# Mutated ext4 and FAT through verify, inspect and build: make test-mutants COUNT=1000 SEED=1
COUNT   ?= 1000
test-mutants: deps
	@$(MAKE) --no-print-directory all
	xz -dc "$$(scripts/make-base --kept tiny)" >$(B)/mutants.img
	scripts/sandbox -- tests/faults/mutants $(B)/pibuild $(B)/mutants.img --count $(COUNT) --seed $(SEED)

# Power cuts at seeded points of first boot, two machines at a time: make test-powercut POINTS=40 SEED=1
POINTS  ?= 40
SEED    ?= 1
test-powercut: deps
	@$(MAKE) --no-print-directory all
	PATH=$$PATH:/usr/sbin:/sbin PIBUILD=$(abspath $(B)/pibuild) POINTS=$(POINTS) SEED=$(SEED) LANES=2 bats --tap tests/life/power-cut.bats

# Clusters that outlive their cards, in QEMU, alone on the machine: make test-life POINTS=20 SEED=1 T=rejoin
test-life: deps
	@$(MAKE) --no-print-directory all
	PATH=$$PATH:/usr/sbin:/sbin PIBUILD=$(abspath $(B)/pibuild) POINTS=$(if $(filter file,$(origin POINTS)),2,$(POINTS)) SEED=$(SEED) \
	  bats --tap $(wildcard tests/life/*$(T)*.bats)

# The same bytes on the bootable base too, whatever differs around a build.
test-repeat: deps
	@$(MAKE) --no-print-directory all
	PATH=$$PATH:/usr/sbin:/sbin PIBUILD=$(abspath $(B)/pibuild) REPEAT_BASE=bootable bats --tap tests/image/repeat.bats

# os.base: debian from its packages, twice, and booted; an hour where arm64 is emulated. KEEP=1 goes on from the last run's lock
# and caches in $(B)/debian.
test-debian: deps
	@$(MAKE) --no-print-directory all
	$(if $(KEEP),,rm -rf $(B)/debian)
	PATH=$$PATH:/usr/sbin:/sbin PIBUILD=$(abspath $(B)/pibuild) DEBIAN_WORK=$(abspath $(B)/debian) bats --tap tests/debian/debian.bats

# What is rendered, read by the real kubectl, Helm and charts; what cannot be had is skipped: make test-upstream CLUSTERS=12 SEED=1
CLUSTERS ?= 12
test-upstream: deps
	@$(MAKE) --no-print-directory all $(B)/tests/unit/test_contradictions
	@tests/upstream/run $(B) $(CLUSTERS) $(SEED)

# Ratios against what sets the floor, on a base of the size of the released ones, in one run: make bench ROWS=cold,warm RUNS=5; BASE=bootable for
# the small one; PLOT=FILE draws them.
BASE ?= real
RUNS ?= 5
NODES ?= 50
bench: deps
	@$(MAKE) --no-print-directory all
	scripts/sandbox --base $(BASE) --payload-size real -- scripts/bench --rows "$(ROWS)" --runs $(RUNS) --nodes $(NODES) $(if $(PLOT),--plot $(PLOT)) $(B)/pibuild

# All that reads what comes from outside, under libFuzzer and the sanitizers: make fuzz SECONDS=60 T=yaml
SECONDS ?= 60
fuzz:
	@scripts/deps build run test fuzz
	@$(MAKE) --no-print-directory -j$$(nproc) B=build-fuzz CC=clang SAN=1 CFLAGS="-O1 -g -fsanitize=fuzzer-no-link" all build-fuzz/fuzz
	@scripts/fuzz build-fuzz/fuzz $(SECONDS) $(T)
$(B)/fuzz: $(B)/tests/fuzz/fuzz.o $(B)/libpibuild.a
	$(Q)$(CC) $(CFLAGS) $(ALL_LD) -fsanitize=fuzzer -o $@ $^ $(PKGLD)

# Not gcc's -fanalyzer: it looks into no other file, so it does not know that 0 says that what a function gives is set, nor
# that a search finds what came out of the list; all that it complains of (gcc 12.2: some thirty) was that, and it takes minutes.
lint:
	@scripts/deps build run test lint
	@echo "  clang-format"; clang-format --dry-run -Werror $(C_FILES)
	@echo "  shellcheck"; shellcheck $$(scripts/list-shell)
	@echo "  layers"; scripts/check-layers
	@echo "  tests"; scripts/check-tests
	@$(MAKE) --no-print-directory -j$$(nproc) B=build-lint-gcc CC=gcc WERROR=1 all
	@$(MAKE) --no-print-directory -j$$(nproc) B=build-lint-clang CC=clang WERROR=1 test-programs build-lint-clang/tests/fuzz/fuzz.o
	@echo "  clang-tidy"; $(MAKE) --no-print-directory -j$$(nproc) B=build-lint-clang CC=clang WERROR=1 tidy
	@echo "  cppcheck"; cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr -j $$(nproc) \
	  --suppress=missingIncludeSystem -Ibuilder builder

# One run for all of them would keep one processor busy; an object that is newer says that a header changed.
tidy: $(LIB_OBJ:%.o=%.tidy) $(B)/builder/main.tidy
$(B)/%.tidy: %.c $(B)/%.o .clang-tidy
	@clang-tidy --quiet $< -- $(ALL_CF) 2>$@.log || { cat $@.log; exit 1; }
	@mv $@.log $@

# Debian's zsh looks for what packages bring elsewhere: scripts/debian/rules.
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
data    := $(PREFIX)/share/pibuild
# What is installed: every "source=place" is one file.
INSTALLED = docs/pibuild.1=$(PREFIX)/share/man/man1/pibuild.1 \
            docs/pibuild.bash=$(PREFIX)/share/bash-completion/completions/pibuild \
            docs/pibuild.zsh=$(ZSHDIR)/_pibuild \
            docs/pibuild.fish=$(PREFIX)/share/fish/vendor_completions.d/pibuild.fish \
            $(foreach f,status.schema.json cluster-status.schema.json cluster.schema.json,docs/$f=$(data)/docs/$f) \
            $(foreach f,$(wildcard scripts/ci/*.sh),$f=$(data)/ci/$(notdir $f)) \
            $(foreach f,$(sort $(shell find boards configs overlays ! -type d)),$f=$(data)/$f)
install: all
	install -D -m 755 $(B)/pibuild $(DESTDIR)$(PREFIX)/bin/pibuild
	$(Q)set -e; for x in $(INSTALLED); do from=$${x%%=*}; mode=644; [ ! -x "$$from" ] || mode=755; \
	  install -D -m $$mode "$$from" "$(DESTDIR)$${x#*=}"; \
	  [ ! -L "$$from" ] || ln -sfn "$$(readlink "$$from")" "$(DESTDIR)$${x#*=}"; done
# Exactly that; what else lies in its folders stays, as do folders that are not pibuild's alone.
uninstall:
	$(Q)set -e; rm -f "$(DESTDIR)$(PREFIX)/bin/pibuild"; for x in $(INSTALLED); do rm -f "$(DESTDIR)$${x#*=}"; done
	$(Q)[ ! -d "$(DESTDIR)$(data)" ] || find "$(DESTDIR)$(data)" -depth -type d -empty -delete

# A Debian package, asked about by lintian. check-deb (root) installs and uses it in a clean Debian, check-container
# (root) does with the Containerfile what an engine would.
deb:
	@scripts/deps build package
	scripts/make-deb build/deb
check-deb: deb
	@scripts/deps run test
	scripts/check-deb build/deb/pibuild_$(VERSION)_*.deb
check-container:
	@scripts/deps run test
	scripts/check-container
# SBOMs and provenance, judged by the libraries of SPDX and in-toto (root, once).
check-sbom: all
	@scripts/deps run test
	PIBUILD=$(abspath $(B)/pibuild) scripts/check-sbom --try

# What an editor shows of a wrong cluster.yaml against what check says of it; takes npm.
check-editor: all
	@scripts/deps run test
	npm install --silent --no-audit --no-fund --prefix $(B)/editor yaml-language-server@1.25.0
	YAML_LANGUAGE_SERVER=$(abspath $(B)/editor/node_modules/.bin/yaml-language-server) PIBUILD=$(abspath $(B)/pibuild) \
	  bats --tap tests/cli/schema.bats

clean:
	rm -rf build build-*

.PHONY: all deps demo bench test test-fast test-sanitizers test-threads test-valgrind coverage test-faults test-first-boot test-mutants test-powercut test-life test-repeat test-debian test-upstream test-programs fuzz lint tidy install uninstall deb check-deb check-container check-sbom check-editor clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(B)/builder $(B)/tests -type f -name '*.d' 2>/dev/null)
