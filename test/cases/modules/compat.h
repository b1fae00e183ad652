/* SPDX-License-Identifier: GPL-2.0 */
/* The modules are written for mainline; this is what v6.12 calls otherwise. */
#ifndef COMPAT_H
#define COMPAT_H

#include <linux/cma.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#include <linux/pfn_t.h>

#define pfn_for_vmf(pfn)	pfn_to_pfn_t(pfn)
/* What shmem_file_setup() takes for memory that is not reserved. */
#define NORESERVE		VM_NORESERVE
#define hrtimer_setup(timer, fn, clock, mode) \
	(hrtimer_init(timer, clock, mode), (void)((timer)->function = (fn)))
#define hrtimer_setup_on_stack(timer, fn, clock, mode) \
	(hrtimer_init_on_stack(timer, clock, mode), (void)((timer)->function = (fn)))
#else
#define pfn_for_vmf(pfn)	(pfn)
#define NORESERVE		mk_vma_flags(VMA_NORESERVE_BIT)
#endif

#endif
