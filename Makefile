# SPDX-License-Identifier: GPL-2.0
# Entry points only; the work is done by the scripts in test/.

# BUILD= or O= names the directory for everything that is not kept in git.
# The scripts refuse a path that make or QEMU cannot do with.
ifeq ($(BUILD),)
override BUILD := $(if $(O),$(O),$(CURDIR)/build)
endif

ARCH   ?= x86_64
PAGE_SIZE ?= 4k
ACCEL  ?= auto
TESTS  ?=
MUTANTS ?=
V      ?= 0
QEMU_EXTRA ?=
KERNEL_GIT ?=
KERNEL_TARBALL ?=
TAG    ?=
FROM   ?=
TO     ?=
ASSISTED_BY ?=
export BASE BUILD ARCH PAGE_SIZE ACCEL TESTS QEMU_EXTRA MUTANTS V KERNEL_GIT \
	KERNEL_TARBALL TAG FROM TO ASSISTED_BY PREFIX

# The variables of this Makefile must not reach the kernel's own make, which
# knows O= and V= too: the scripts pass on what the kernel is meant to see.
# A step of make check is named here, not by what the environment may hold, as
# are base, plan, kernel and the prefix of mails; the others go from script to
# script, see test/lib/lib.sh.
unexport O STEP PLAN KERNEL SERIES CONFIG_DIR APT_ETC USER_SRC GCOV \
	GUEST_CFLAGS BUILD_FIRST STEP_NAME ON_TERMINAL
MAKEOVERRIDES :=
$(foreach v,BASE STEP PLAN KERNEL PREFIX,$(if $(filter command,$(origin $v)),,\
	$(eval override $v :=)))

T := test

kernel = $(or $(KERNEL),main)
plan = PLAN='$(PLAN)'

# $(call right,KERNEL) - what can be known before the build; without KERNEL, no
# tests are chosen
right = @$(if $(1),,TESTS= )$(T)/guest/qemu.sh check $(1)

# $(call ready,GROUPS[,KERNEL]) - the tools, the source, and the series on it
define ready
@$(T)/tree/deps.sh $(1)
$(if $(filter qemu,$(1)),$(call right,$(2)))
@$(T)/tree/source.sh
@$(T)/tree/series.sh apply
endef

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help test qemu-test qemu-app qemu-debug baseline check \
	check-long coverage bench bench-update bench-load kernel build \
	build-debug qemu-shell refresh mails rebase-check mutants lint clean

help: ## this list
	@echo "usage: make TARGET [VARIABLE=VALUE]..."
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r t d; do printf '%-14s %s\n' "$$t" "$$d"; done
	@echo
	@echo "  BUILD=DIR or O=DIR   where everything is built (build)"
	@echo "  BASE=mainline        the series of patches/mainline, in BUILD/mainline"
	@echo "  ARCH=x86_64|arm64    architecture of the guest"
	@echo "  PAGE_SIZE=4k|16k|64k of the guest; 16k and 64k: arm64 only"
	@echo "  ACCEL=auto|kvm|tcg   how QEMU runs the guest (auto)"
	@echo "  TESTS='NAME...'      run only these tests"
	@echo "  PLAN=NAME            of test/guest/plans: swiotlb, virtio-mem, ... (main)"
	@echo "  KERNEL=NAME          main, debug, mte, rt, kcsan or base (main)"
	@echo "  QEMU_EXTRA='WORD...' more arguments for QEMU"
	@echo "  STEP='NAME'          run only this step of make check"
	@echo "  KERNEL_GIT=DIR       take the base from this clone, which is only read"
	@echo "  KERNEL_TARBALL=FILE  take the base from this tarball"
	@echo "  MUTANTS='NAME...'    only these of make mutants"
	@echo "  TAG=NAME             of KERNEL_GIT, for rebase-check"
	@echo "  FROM='NAME <ADDR>'   who sends the mails, and signs off"
	@echo "  TO='ADDR, ADDR...'   instead of those that MAINTAINERS names"
	@echo "  PREFIX=RFC           in the subjects of the mails"
	@echo "  ASSISTED_BY='TEXT'   a trailer of each mail, see docs/submitting.md"
	@echo "  CC=NAME, LLVM=1      the compiler (gcc)"
	@echo "  SLOW=N               a slow machine: limits N times as long"
	@echo "  V=1                  show every command of the build"
	@echo
	@echo "for example:"
	@echo "  make qemu-test KERNEL_GIT=\$$HOME/linux   a first run, from a clone"
	@echo "  make qemu-test TESTS='heap-* cma*'      some tests"
	@echo "  make qemu-test PLAN=swiotlb KERNEL=debug  another guest, another kernel"
	@echo "  make check STEP=heap-pressure SLOW=2    one step, on a busy machine"
	@echo "  make kernel O=/var/tmp/chunk            the patched kernel, elsewhere"

qemu-test: ## build the patched kernel, boot it in QEMU and test it
	$(call ready,kernel build qemu,$(kernel) $(plan))
	@$(T)/tree/build.sh $(kernel)
	@$(T)/guest/qemu.sh test $(kernel) $(plan)

test: qemu-test ## the same as qemu-test

qemu-app: ## libcamera and igt, as they were released, over each heap
	$(call ready,kernel build qemu app)
	@$(T)/tree/build.sh
	@$(T)/tree/app-build.sh $(T)/guest/qemu.sh test main PLAN=app

qemu-debug: ## the same on a kernel with KASAN, lockdep, kmemleak, ...
	$(call ready,kernel build qemu,debug $(plan))
	@$(T)/tree/build.sh debug
	@$(T)/guest/qemu.sh test debug $(plan)

baseline: ## the same tests on the kernel without the series, which must fail
	@$(T)/tree/deps.sh kernel build qemu
	$(call right,base)
	@$(T)/tree/source.sh
	@$(T)/tree/series.sh base
	@$(T)/tree/build.sh base
	@$(T)/guest/qemu.sh test base
	@$(T)/guest/qemu.sh test base PLAN=virtio-mem TESTS=

check: ## lint, patches, warnings, qemu-test, virtio-mem, swiotlb, bench, ...
	@$(T)/tree/deps.sh kernel build qemu check bench mail
	@$(T)/check.sh $(if $(STEP),'$(STEP)')

check-long: ## bench-load, other kernels, and what else make check has no time for
	@$(T)/tree/deps.sh kernel build qemu check bench long coverage app
	@$(T)/check.sh --steps $(T)/steps-long.sh $(if $(STEP),'$(STEP)')

coverage: ## which lines of the series the tests execute, to docs/coverage.md
	$(call ready,kernel build qemu coverage)
	@$(T)/self/coverage.sh

bench: ## measure the allocator; compare with the goals and with docs/
	$(call ready,kernel build qemu bench)
	@$(T)/bench/bench.sh

bench-update: ## the same, and write the figures to docs/
	$(call ready,kernel build qemu bench)
	@$(T)/bench/bench.sh update

bench-load: ## ask the heaps for buffers while a device does other things
	$(call ready,kernel build qemu bench)
	@$(T)/bench/heap-load.sh

mutants: ## break the series in small ways, and see that the tests notice
	$(call ready,kernel build qemu bench)
	@$(T)/self/mutants.sh

kernel: ## the kernel source with the series applied, ready to edit
	$(call ready,kernel)

build: ## kernel, modules and test programs, without running them
	$(call ready,kernel build)
	@$(T)/tree/build.sh

build-debug: ## the same with kernel-config/debug.config on top
	$(call ready,kernel build)
	@$(T)/tree/build.sh debug

qemu-shell: ## a shell in the booted guest
	$(call ready,kernel build qemu)
	@[ -t 0 ] || { echo 'error: a shell in the guest needs a terminal' >&2; exit 2; }
	@$(T)/tree/build.sh $(kernel)
	@$(T)/guest/qemu.sh shell $(kernel) $(plan)

refresh: ## regenerate patches/ and series from the kernel branch
	@$(T)/tree/series.sh refresh

mails: ## mainline's series as mails, from FROM='Name <address>'; BASE=stable for v6.12
	@BASE='$(or $(BASE),mainline)' $(T)/tree/mails.sh

rebase-check: ## do the patches apply to another kernel, build and pass?
	@$(T)/tree/deps.sh kernel build qemu
	$(call right,main)
	@$(T)/tree/rebase-check.sh

lint: ## the repository's own scripts and texts
	@$(T)/tree/deps.sh check
	@$(T)/static/lint.sh

clean: ## remove what was built; unpublished kernel work is kept
	@$(T)/tree/series.sh clean
