# SPDX-License-Identifier: GPL-2.0
# Entry points only; the work is done by the scripts in test/host/.

# BUILD= or O= names the directory for everything that is not kept in git.
# The scripts refuse a path that make or QEMU cannot do with.
ifeq ($(BUILD),)
override BUILD := $(if $(O),$(O),$(CURDIR)/build)
endif

ARCH   ?= x86_64
ACCEL  ?= auto
TESTS  ?=
V      ?= 0
KERNEL_GIT ?=
KERNEL_TARBALL ?=
export BUILD ARCH ACCEL TESTS V KERNEL_GIT KERNEL_TARBALL

# The variables of this Makefile must not reach the kernel's own make, which
# knows O= and V= too: the scripts pass on what the kernel is meant to see.
# A step of make check is named here, not by what the environment may hold; the
# others are for the harness's own tests.
unexport O STEP SERIES CONFIG_DIR APT_ETC
MAKEOVERRIDES :=
ifneq ($(origin STEP),command line)
override STEP :=
endif

H := test/host

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help test qemu-test qemu-debug qemu-parallel baseline check bench \
	bench-update bench-load kernel build build-debug qemu-shell refresh \
	lint clean

help: ## this list
	@echo "usage: make TARGET [VARIABLE=VALUE]..."
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r t d; do printf '%-14s %s\n' "$$t" "$$d"; done
	@echo
	@echo "  BUILD=DIR or O=DIR   where everything is built (build)"
	@echo "  ARCH=x86_64          architecture of the guest"
	@echo "  ACCEL=auto|kvm|tcg   how QEMU runs the guest (auto)"
	@echo "  TESTS='NAME...'      run only these tests"
	@echo "  STEP='NAME'          run only this step of make check"
	@echo "  KERNEL_GIT=DIR       take the base from this clone, which is only read"
	@echo "  KERNEL_TARBALL=FILE  take the base from this tarball"
	@echo "  SLOW=N               a slow machine: limits N times as long"
	@echo "  V=1                  show every command of the build"

qemu-test: ## build the patched kernel, boot it in QEMU and test it
	@$(H)/deps.sh kernel build qemu
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/qemu-test.sh

test: qemu-test ## the same as qemu-test

qemu-debug: ## qemu-test on a kernel with KASAN, lockdep, kmemleak, ...
	@$(H)/deps.sh kernel build qemu
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/qemu-test.sh debug

qemu-parallel: ## the same on four CPUs that run at the same time, preempted
	@$(H)/deps.sh kernel build qemu
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/build.sh
	@$(H)/parallel.sh

baseline: ## the same tests on the kernel without the series, which must fail
	@$(H)/deps.sh kernel build qemu
	@$(H)/source.sh
	@$(H)/series.sh base
	@$(H)/qemu-test.sh base
	@$(H)/virtio-mem.sh base

check: ## lint, patches, warnings, qemu-test, virtio-mem, swiotlb, bench, ...
	@$(H)/deps.sh kernel build qemu check bench
	@$(H)/check.sh $(if $(STEP),'$(STEP)')

bench: ## measure the allocator; compare with the goals and with docs/
	@$(H)/deps.sh kernel build qemu bench
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/bench.sh

bench-update: ## the same, and write the figures to docs/ and the patches
	@$(H)/deps.sh kernel build qemu bench
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/bench.sh update

bench-load: ## ask the heaps for buffers while a device does other things
	@$(H)/deps.sh kernel build qemu bench
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/heap-load.sh

kernel: ## the kernel source with the series applied, ready to edit
	@$(H)/deps.sh kernel
	@$(H)/source.sh
	@$(H)/series.sh apply

build: ## kernel, modules and test programs, without running them
	@$(H)/deps.sh kernel build
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/build.sh

build-debug: ## the same with kernel-config/debug.config on top
	@$(H)/deps.sh kernel build
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/build.sh debug

qemu-shell: ## a shell in the booted guest
	@$(H)/deps.sh kernel build qemu
	@$(H)/source.sh
	@$(H)/series.sh apply
	@$(H)/qemu-shell.sh

refresh: ## regenerate patches/ and series from the kernel branch
	@$(H)/series.sh refresh

lint: ## the repository's own scripts and texts
	@$(H)/deps.sh check
	@$(H)/lint.sh

clean: ## remove what was built; unpublished kernel work is kept
	@$(H)/series.sh clean
