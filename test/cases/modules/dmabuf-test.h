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
/*
 * The page at an address of the caller's is locked until it is unlocked, or the
 * file closed. This takes no dma-buf.
 */
#define IMPORTER_LOCK		_IOW('i', 9, __u64)
#define IMPORTER_UNLOCK		_IO('i', 10)

/*
 * /dev/dmabuf-exporter: makes buffers that keep to the rule for mmap, and
 * buffers that break it.
 */
enum exporter_kind {
	/* compliant: vmf_insert_pfn on a fault */
	EXPORTER_PFNMAP,
	EXPORTER_SHARED,	/* one address_space for all buffers */
	EXPORTER_HUGE,		/* vmf_insert_pfn_pmd where possible */
	EXPORTER_LAST_COMPLIANT = EXPORTER_HUGE,
	/* vm_insert_page in ->mmap */
	EXPORTER_INSERT_PAGE,
	EXPORTER_NO_OPS,	/* no vm_ops */
	EXPORTER_INSERT_SLOW,	/* sleeps then */
	EXPORTER_GEM,		/* a GEM object, of driver "test-gem" */
	EXPORTER_GEM_DECLARED,	/* the same, and says so */
};

#define EXPORTER_NAME_LEN	32

struct exporter_create {
	__u32 kind;
	__s32 fd;		/* out */
	__u64 size;
	char name[EXPORTER_NAME_LEN];	/* in the log */
};

struct exporter_state {
	__s32 fd;
	__u32 pad;
	/* out */
	__u64 mmaps;		/* successful calls of ->mmap */
	__u64 faults;
	__u64 huge_faults;	/* that have made a huge entry */
	struct exporter_held {
		__s64 mappings;		/* with vm_ops, not closed yet */
		__u64 file_refs;	/* of the dma-buf */
		__u64 page_refs;	/* sum over all pages */
		__u64 page_maps;	/* sum over all pages */
	} held;
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
