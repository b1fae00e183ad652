/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of the two test modules, for the modules and for the programs
 * that drive them.
 */
#ifndef DMABUF_TEST_H
#define DMABUF_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * /dev/dmabuf-importer: an open file takes one dma-buf and attaches up to
 * IMPORTER_SLOTS devices to it. mmap() of the file is forwarded to the
 * exporter through dma_buf_mmap().
 */
#define IMPORTER_SLOTS		4

/*
 * As drivers do, an importer has vm_ops of its own in the vma before it
 * forwards a mapping. After IMPORTER_CLEAR_VMA, it has neither vm_ops nor
 * vm_private_data there.
 */
struct importer_state {
	__u64 opens;		/* calls of vm_ops->open */
	__u64 closes;		/* calls of vm_ops->close */
	__u64 changed;		/* vmas that a failure left changed */
};

/* enum dma_data_direction */
#define IMPORTER_BIDIRECTIONAL	0
#define IMPORTER_TO_DEVICE	1
#define IMPORTER_FROM_DEVICE	2

struct importer_attach {
	__u32 slot;
	__u32 direction;
	__u64 chunk;		/* what each entry must be aligned to, 0: any */
	/* out */
	__u32 nents;		/* as mapped for the device */
	__u32 orig_nents;	/* as exported */
	__u32 odd;		/* entries that are not whole chunks, aligned */
	__u32 descending;	/* entries below the one before them */
	__u64 bytes;
	__u64 shortest;
};

/* How to get at the bytes: the kernel mapping, or as the device would. */
#define IMPORTER_VIA_VMAP	(~0U)

struct importer_copy {
	__u32 via;		/* a slot, or IMPORTER_VIA_VMAP */
	__u32 write;
	__u64 len;		/* from the beginning */
	__u64 ptr;
};

/* One for each page of the buffer. */
struct importer_page {
	__u64 pfn;
	__s32 refcount;		/* of the folio */
	__s32 mapcount;		/* of the folio */
	__u32 tag;		/* page_kasan_tag() */
	__u32 pad;
};

struct importer_pages {
	__u64 nr;
	__u64 ptr;
};

#define IMPORTER_IMPORT		_IOW('i', 0, __s32)
#define IMPORTER_ATTACH		_IOWR('i', 1, struct importer_attach)
#define IMPORTER_DETACH		_IOW('i', 2, __u32)
#define IMPORTER_BEGIN_CPU	_IOW('i', 3, __u32)
#define IMPORTER_END_CPU	_IOW('i', 4, __u32)
/* The mapping is kept until VUNMAP; they nest. */
#define IMPORTER_VMAP		_IO('i', 5)
#define IMPORTER_VUNMAP		_IO('i', 6)
#define IMPORTER_COPY		_IOW('i', 7, struct importer_copy)
#define IMPORTER_PAGES		_IOW('i', 8, struct importer_pages)
#define IMPORTER_CLEAR_VMA	_IO('i', 9)
#define IMPORTER_STATE		_IOR('i', 10, struct importer_state)
/*
 * The page at an address of the caller's is locked until it is unlocked, or the
 * file closed. This takes no dma-buf.
 */
#define IMPORTER_LOCK		_IOW('i', 11, __u64)
#define IMPORTER_UNLOCK		_IO('i', 12)

/*
 * /dev/dmabuf-exporter: makes buffers that keep to the rule for mmap, and
 * buffers that break it in the ways in which drivers do.
 */
enum exporter_kind {
	EXPORTER_PFNMAP,	/* compliant: vmf_insert_pfn on a fault */
	EXPORTER_REMAP,		/* compliant: remap_pfn_range in ->mmap */
	EXPORTER_REMAP_NO_OPS,	/* the same, no vm_ops */
	EXPORTER_PFNMAP_PAGE,	/* VM_PFNMAP, but pages on a fault */
	EXPORTER_INSERT_PAGE,	/* vm_insert_page in ->mmap, VM_MIXEDMAP */
	EXPORTER_BOTH_FLAGS,	/* the same, VM_PFNMAP and VM_MIXEDMAP */
	EXPORTER_MIXEDMAP,	/* VM_MIXEDMAP, pages on a fault */
	EXPORTER_NO_FLAG,	/* no flag at all, pages on a fault */
	EXPORTER_NO_OPS,	/* vm_insert_page in ->mmap, no vm_ops */
	EXPORTER_PAGE_CACHE,	/* maps a shmem file and puts it in vm_file */
	EXPORTER_REFUSE,	/* returns its own error */
	EXPORTER_SHARED,	/* compliant: one address_space for all buffers */
	EXPORTER_HUGE,		/* compliant: vmf_insert_pfn_pmd on a fault */
	EXPORTER_INSERT_SLOW,	/* large folios in ->mmap, which then sleeps */
	EXPORTER_GEM,		/* a GEM object, pages in ->mmap, and says so */
	EXPORTER_GEM_1,		/* the same, and does not; driver "test-gem-1" */
	EXPORTER_GEM_2,		/* and another driver, "test-gem-2" */
	EXPORTER_KINDS
};

#define EXPORTER_NAME_LEN	32

struct exporter_create {
	__u32 kind;
	__s32 error;		/* that EXPORTER_REFUSE returns, negative */
	__u64 size;
	/* In the log, and in bufinfo. */
	char name[EXPORTER_NAME_LEN];
	__s32 fd;		/* out */
	__u32 pad;
};

struct exporter_state {
	__s32 fd;
	__u32 pad;
	/* out */
	__u64 mmaps;		/* successful calls of ->mmap */
	__u64 opens;		/* calls of vm_ops->open */
	__u64 closes;		/* calls of vm_ops->close */
	__u64 faults;
	__u64 huge_faults;	/* that have made a huge entry */
	__u64 file_refs;	/* of the dma-buf */
	__u64 shmem_refs;	/* of the shmem file, 0 if there is none */
	__u64 page_refs;	/* sum over all pages */
	__u64 page_maps;	/* sum over all pages */
};

struct exporter_revoke {
	__s32 fd;
	__u32 sigbus;		/* faults get SIGBUS from now on, or not */
};

#define EXPORTER_CREATE		_IOWR('e', 0, struct exporter_create)
#define EXPORTER_STATE		_IOWR('e', 1, struct exporter_state)
/* unmap_mapping_range() over the whole buffer, and nothing else */
#define EXPORTER_REVOKE		_IOW('e', 2, struct exporter_revoke)

#endif /* DMABUF_TEST_H */
