// SPDX-License-Identifier: GPL-2.0
/*
 * Exporters of dma-bufs that keep to the rule that a mapping is VM_PFNMAP, or
 * break it as drivers do, and that count what is done to them. Each of them
 * takes a reference to its buffer in ->mmap and drops it in vm_ops->close, as
 * GEM does, so that a close that is missing or comes twice is seen.
 */
#define pr_fmt(fmt) "dmabuf-exporter: " fmt

#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/huge_mm.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_prime.h>

#include "compat.h"
#include "dmabuf-test.h"

/* The kernel of the baseline has no declaration of GEM's, and one has no DRM. */
#define WITH_GEM							\
	(IS_ENABLED(CONFIG_DRM) && IS_ENABLED(CONFIG_DMABUF_HEAPS_CHUNK))
#define WITH_HUGE	IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)

/* Of the pages of EXPORTER_INSERT_SLOW, and how long its ->mmap sleeps. */
#define SLOW_ORDER	4
#define SLOW_MS		500

/* What is put into a page table, and when. */
enum exporter_map { NOTHING, PFN, PAGE, MIXED };

static const struct exporter_way {
	vm_flags_t flags;
	enum exporter_map mmap, fault;
	bool no_ops;
} exporter_way[EXPORTER_KINDS] = {
	[EXPORTER_PFNMAP] = { VM_PFNMAP, NOTHING, PFN },
	[EXPORTER_SHARED] = { VM_PFNMAP, NOTHING, PFN },
	[EXPORTER_HUGE] = { VM_PFNMAP, NOTHING, PFN },
	[EXPORTER_REMAP] = { 0, PFN },
	[EXPORTER_REMAP_NO_OPS] = { 0, PFN, NOTHING, true },
	[EXPORTER_PFNMAP_PAGE] = { VM_PFNMAP, NOTHING, PAGE },
	[EXPORTER_INSERT_PAGE] = { 0, PAGE },
	[EXPORTER_INSERT_SLOW] = { 0, PAGE },
	[EXPORTER_BOTH_FLAGS] = { VM_PFNMAP | VM_MIXEDMAP, PAGE },
	[EXPORTER_MIXEDMAP] = { VM_MIXEDMAP, NOTHING, MIXED },
	[EXPORTER_NO_FLAG] = { 0, NOTHING, PAGE },
	[EXPORTER_NO_OPS] = { 0, PAGE, NOTHING, true },
	[EXPORTER_PAGE_CACHE] = { 0, NOTHING, NOTHING, true },
};

struct exporter_buf {
	struct kref kref;	/* the dma-buf, and each mapping */
	enum exporter_kind kind;
	int error;
	bool sigbus;
	unsigned long start;	/* of the buffer in its address_space, in pages */
	char name[EXPORTER_NAME_LEN];
	atomic64_t mmaps, opens, closes, faults, huge_faults;
	struct file *shmem;
	unsigned int nr_pages;
	struct page *pages[] __counted_by(nr_pages);
};

static void exporter_free(struct kref *kref)
{
	struct exporter_buf *buf = container_of(kref, struct exporter_buf,
						kref);
	unsigned int i;

	for (i = 0; i < buf->nr_pages && buf->pages[i]; i++)
		put_page(buf->pages[i]);
	if (!IS_ERR_OR_NULL(buf->shmem))
		fput(buf->shmem);
	kvfree(buf);
}

DEFINE_FREE(exporter_put, struct exporter_buf *, if (_T)
	    kref_put(&_T->kref, exporter_free))

static void exporter_vm_open(struct vm_area_struct *vma)
{
	struct exporter_buf *buf = vma->vm_private_data;

	atomic64_inc(&buf->opens);
	kref_get(&buf->kref);
}

static void exporter_vm_close(struct vm_area_struct *vma)
{
	struct exporter_buf *buf = vma->vm_private_data;
	bool last;
	unsigned int i;

	/* munmap() takes the pages away first, for ->close may free them. */
	last = atomic64_read(&buf->mmaps) + atomic64_read(&buf->opens) ==
	       atomic64_inc_return(&buf->closes);
	for (i = 0; last && i < buf->nr_pages; i++)
		WARN_ON_ONCE(folio_mapped(page_folio(buf->pages[i])));

	kref_put(&buf->kref, exporter_free);
}

static vm_fault_t exporter_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct exporter_buf *buf = vma->vm_private_data;
	unsigned long nr = vmf->pgoff - buf->start;
	struct page *page;

	atomic64_inc(&buf->faults);
	if (nr >= buf->nr_pages || READ_ONCE(buf->sigbus))
		return VM_FAULT_SIGBUS;
	page = buf->pages[nr];
	switch (exporter_way[buf->kind].fault) {
	case PFN:
		return vmf_insert_pfn(vma, vmf->address, page_to_pfn(page));
	case MIXED:
		return vmf_insert_mixed(vma, vmf->address,
					pfn_for_vmf(page_to_pfn(page)));
	case PAGE:
		get_page(page);
		vmf->page = page;
		return 0;
	default:
		return VM_FAULT_SIGBUS;
	}
}

/* As vfio-pci does it: one entry where address and memory are aligned. */
static vm_fault_t exporter_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	const unsigned long addr = vmf->address & PMD_MASK;
	struct vm_area_struct *vma = vmf->vma;
	struct exporter_buf *buf = vma->vm_private_data;
	unsigned long nr = linear_page_index(vma, addr);
	vm_fault_t ret;

	if (!WITH_HUGE || buf->kind != EXPORTER_HUGE ||
	    order != HPAGE_PMD_ORDER || addr < vma->vm_start ||
	    addr + PMD_SIZE > vma->vm_end || nr & (HPAGE_PMD_NR - 1) ||
	    nr + HPAGE_PMD_NR > buf->nr_pages || READ_ONCE(buf->sigbus))
		return VM_FAULT_FALLBACK;
	ret = vmf_insert_pfn_pmd(vmf, pfn_for_vmf(page_to_pfn(buf->pages[nr])),
				 vmf->flags & FAULT_FLAG_WRITE);
	if (ret == VM_FAULT_NOPAGE)
		atomic64_inc(&buf->huge_faults);
	return ret;
}

static const struct vm_operations_struct exporter_vm_ops = {
	.open = exporter_vm_open,
	.close = exporter_vm_close,
	.fault = exporter_fault,
	.huge_fault = exporter_huge_fault,
};

static int exporter_map_all(struct exporter_buf *buf,
			    struct vm_area_struct *vma, enum exporter_map what)
{
	unsigned long addr = vma->vm_start, i = vma->vm_pgoff;
	int ret = 0;

	for (; addr < vma->vm_end && !ret; addr += PAGE_SIZE, i++) {
		if (what == PAGE)
			ret = vm_insert_page(vma, addr, buf->pages[i]);
		else if (what == PFN)
			ret = remap_pfn_range(vma, addr,
					      page_to_pfn(buf->pages[i]),
					      PAGE_SIZE, vma->vm_page_prot);
	}
	return ret;
}

static int exporter_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct exporter_buf *buf = dmabuf->priv;
	const struct exporter_way *way = &exporter_way[buf->kind];
	int ret;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (buf->kind == EXPORTER_REFUSE)
		return buf->error;
	vm_flags_set(vma, way->flags);
	if (buf->shmem)
		ret = vfs_mmap(buf->shmem, vma);
	else
		ret = exporter_map_all(buf, vma, way->mmap);
	if (ret)
		return ret;
	atomic64_inc(&buf->mmaps);
	/* As i915 does it without local memory: the caller's file is replaced. */
	if (buf->shmem)
		vma_set_file(vma, buf->shmem);
	if (way->no_ops)
		return 0;
	/* As GEM does it, with what it calls a fake offset. */
	vma->vm_pgoff += buf->start;
	kref_get(&buf->kref);
	vma->vm_private_data = buf;
	vma->vm_ops = &exporter_vm_ops;
	/* As if there were more to do, or another CPU faster. */
	if (buf->kind == EXPORTER_INSERT_SLOW)
		msleep(SLOW_MS);
	return 0;
}

static struct sg_table *exporter_map_dma(struct dma_buf_attachment *attach,
					 enum dma_data_direction direction)
{
	struct exporter_buf *buf = attach->dmabuf->priv;
	struct sg_table *table __free(kfree) =
		kzalloc(sizeof(*table), GFP_KERNEL);
	int ret;

	if (!table || !buf->nr_pages)
		return ERR_PTR(table ? -ENODEV : -ENOMEM);
	ret = sg_alloc_table_from_pages(table, buf->pages, buf->nr_pages, 0,
					(size_t)buf->nr_pages << PAGE_SHIFT,
					GFP_KERNEL);
	if (ret)
		return ERR_PTR(ret);
	ret = dma_map_sgtable(attach->dev, table, direction, 0);
	if (!ret)
		return_ptr(table);
	sg_free_table(table);
	return ERR_PTR(ret);
}

static void exporter_unmap_dma(struct dma_buf_attachment *attach,
			       struct sg_table *table,
			       enum dma_data_direction direction)
{
	dma_unmap_sgtable(attach->dev, table, direction, 0);
	sg_free_table(table);
	kfree(table);
}

static void exporter_release(struct dma_buf *dmabuf)
{
	struct exporter_buf *buf = dmabuf->priv;

	kref_put(&buf->kref, exporter_free);
}

/* Operations of its own make each kind an exporter of its own. */
static const struct dma_buf_ops exporter_ops[] = {
	[0 ... EXPORTER_KINDS - 1] = {
		.map_dma_buf = exporter_map_dma,
		.unmap_dma_buf = exporter_unmap_dma,
		.mmap = exporter_mmap,
		.release = exporter_release,
	},
};

static struct drm_device *exporter_drm[2];

static void exporter_gem_free(struct drm_gem_object *obj)
{
	drm_gem_object_release(obj);
	kfree(obj);
}

static int exporter_gem_mmap(struct drm_gem_object *obj,
			     struct vm_area_struct *vma)
{
	struct page *page = shmem_read_mapping_page(obj->filp->f_mapping, 0);
	int ret;

	if (IS_ERR(page))
		return PTR_ERR(page);
	ret = vm_insert_page(vma, vma->vm_start, page);
	put_page(page);
	return ret;
}

static const struct vm_operations_struct exporter_gem_vm_ops = {
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static const struct drm_gem_object_funcs exporter_gem_funcs[] = {
	[0 ... 1] = {
		.free = exporter_gem_free,
		.mmap = exporter_gem_mmap,
		.vm_ops = &exporter_gem_vm_ops,
	},
#if WITH_GEM
	[1].mmap_exposes_pages = true,
#endif
};

DEFINE_DRM_GEM_FOPS(exporter_drm_fops);

static const struct drm_driver exporter_drm_driver[] = {
	[0 ... 1] = {
		.driver_features = DRIVER_GEM,
		.fops = &exporter_drm_fops,
		.desc = "dma-buf exporter for tests",
		.major = 1,
	},
	[0].name = "test-gem-1",
	[1].name = "test-gem-2",
};

static struct dma_buf *exporter_gem_create(enum exporter_kind kind)
{
	struct drm_gem_object *obj;
	struct dma_buf *dmabuf;
	int ret;

	if (!WITH_GEM)
		return ERR_PTR(-EOPNOTSUPP);
	obj = kzalloc(sizeof(*obj), GFP_KERNEL);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->funcs = &exporter_gem_funcs[kind == EXPORTER_GEM];
	ret = drm_gem_object_init(exporter_drm[kind == EXPORTER_GEM_2], obj,
				  PAGE_SIZE);
	if (ret) {
		kfree(obj);
		return ERR_PTR(ret);
	}
	/* The dma-buf has a reference of its own. */
	dmabuf = drm_gem_prime_export(obj, O_RDWR);
	drm_gem_object_put(obj);
	return dmabuf;
}

static void exporter_gem_exit(void)
{
	for (int i = 0; WITH_GEM && i < ARRAY_SIZE(exporter_drm); i++)
		drm_dev_put(exporter_drm[i]);
}

static int exporter_gem_init(struct device *parent)
{
	struct drm_device *drm;

	for (int i = 0; WITH_GEM && i < ARRAY_SIZE(exporter_drm); i++) {
		drm = drm_dev_alloc(&exporter_drm_driver[i], parent);
		if (IS_ERR(drm)) {
			exporter_gem_exit();
			return PTR_ERR(drm);
		}
		exporter_drm[i] = drm;
	}
	return 0;
}

static int exporter_alloc_pages(struct exporter_buf *buf)
{
	unsigned int i, k, order = 0;
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO;
	struct page *page;

	if (buf->kind == EXPORTER_HUGE) {
		order = WITH_HUGE ? HPAGE_PMD_ORDER : 0;
	} else if (buf->kind == EXPORTER_INSERT_SLOW) {
		order = SLOW_ORDER;
		gfp |= __GFP_COMP;
	}
	if (buf->nr_pages & ((1 << order) - 1))
		return -EINVAL;
	for (i = 0; i < buf->nr_pages; i += 1 << order) {
		page = alloc_pages(gfp, order);
		if (!page)
			return -ENOMEM;
		/* One reference for each, whatever they are. */
		if (gfp & __GFP_COMP)
			page_ref_add(page, (1 << order) - 1);
		else
			split_page(page, order);
		for (k = 0; k < 1 << order; k++)
			buf->pages[i + k] = page + k;
	}
	return 0;
}

static struct dma_buf *exporter_create(struct exporter_create *arg,
				       struct address_space *shared)
{
	struct exporter_buf *buf __free(exporter_put) = NULL;
	static atomic_long_t shared_pages;
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct dma_buf *dmabuf;
	unsigned int nr;
	int ret;

	if (arg->kind >= EXPORTER_KINDS)
		return ERR_PTR(-EINVAL);
	if (arg->kind >= EXPORTER_GEM)
		return exporter_gem_create(arg->kind);

	nr = arg->kind == EXPORTER_PAGE_CACHE ? 0 : arg->size >> PAGE_SHIFT;
	buf = kvzalloc(struct_size(buf, pages, nr), GFP_KERNEL);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	kref_init(&buf->kref);
	buf->kind = arg->kind;
	buf->error = arg->error;
	buf->nr_pages = nr;
	strscpy(buf->name, arg->name, sizeof(buf->name));
	ret = exporter_alloc_pages(buf);
	if (ret)
		return ERR_PTR(ret);
	/* No two of them are in the same place. */
	if (buf->kind == EXPORTER_SHARED)
		buf->start = atomic_long_add_return(nr, &shared_pages);
	if (!nr) {
		buf->shmem = shmem_file_setup(buf->name, arg->size, NORESERVE);
		if (IS_ERR(buf->shmem))
			return ERR_CAST(buf->shmem);
	}

	exp_info.exp_name = buf->name;
	exp_info.ops = &exporter_ops[arg->kind];
	exp_info.size = arg->size;
	exp_info.flags = O_RDWR;
	exp_info.priv = buf;
	dmabuf = dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf))
		return dmabuf;
	if (buf->kind == EXPORTER_SHARED)
		dmabuf->file->f_mapping = shared;
	buf = NULL;		/* the reference is the dma-buf's */
	return dmabuf;
}

static void exporter_state(struct dma_buf *dmabuf, struct exporter_state *arg)
{
	struct exporter_buf *buf = dmabuf->priv;

	*arg = (struct exporter_state) {
		.mmaps = atomic64_read(&buf->mmaps),
		.opens = atomic64_read(&buf->opens),
		.closes = atomic64_read(&buf->closes),
		.faults = atomic64_read(&buf->faults),
		.huge_faults = atomic64_read(&buf->huge_faults),
		/* Without the one that the ioctl has. */
		.file_refs = file_count(dmabuf->file) - 1,
		.shmem_refs = buf->shmem ? file_count(buf->shmem) : 0,
	};
	for (unsigned int i = 0; i < buf->nr_pages; i++) {
		arg->page_refs += page_count(buf->pages[i]);
		arg->page_maps += folio_mapcount(page_folio(buf->pages[i]));
	}
}

static void exporter_revoke(struct dma_buf *dmabuf,
			    const struct exporter_revoke *arg)
{
	struct exporter_buf *buf = dmabuf->priv;

	WRITE_ONCE(buf->sigbus, arg->sigbus);
	unmap_mapping_range(dmabuf->file->f_mapping,
			    (loff_t)buf->start << PAGE_SHIFT, dmabuf->size, 1);
}

static long exporter_ioctl(struct file *file, unsigned int cmd,
			   unsigned long user)
{
	void __user *ptr = (void __user *)user;
	union {
		struct exporter_create create;
		struct exporter_state state;	/* both begin with the fd */
		struct exporter_revoke revoke;
	} arg;
	struct dma_buf *dmabuf;
	int ret;

	if (_IOC_SIZE(cmd) > sizeof(arg))
		return -ENOTTY;
	if (copy_from_user(&arg, ptr, _IOC_SIZE(cmd)))
		return -EFAULT;

	if (cmd == EXPORTER_CREATE) {
		dmabuf = exporter_create(&arg.create, file->f_mapping);
		if (IS_ERR(dmabuf))
			return PTR_ERR(dmabuf);
		ret = dma_buf_fd(dmabuf, O_CLOEXEC);
		if (ret < 0) {
			dma_buf_put(dmabuf);
			return ret;
		}
		/* The fd is the caller's already, whatever comes after it. */
		arg.create.fd = ret;
		return copy_to_user(ptr, &arg, _IOC_SIZE(cmd)) ? -EFAULT : 0;
	}
	dmabuf = dma_buf_get(arg.state.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	ret = 0;
	if (dmabuf->ops < exporter_ops ||
	    dmabuf->ops >= exporter_ops + EXPORTER_KINDS)
		ret = -EINVAL;
	else if (cmd == EXPORTER_REVOKE)
		exporter_revoke(dmabuf, &arg.revoke);
	else
		exporter_state(dmabuf, &arg.state);
	dma_buf_put(dmabuf);
	if (!ret && cmd == EXPORTER_STATE &&
	    copy_to_user(ptr, &arg, _IOC_SIZE(cmd)))
		ret = -EFAULT;
	return ret;
}

static const struct file_operations exporter_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = exporter_ioctl,
};

static struct miscdevice exporter_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "dmabuf-exporter",
	.fops = &exporter_fops,
};

static struct dma_buf *exporter_heap_allocate(struct dma_heap *heap,
					      unsigned long len, u32 fd_flags,
					      u64 heap_flags)
{
	return ERR_PTR(-ENOMEM);
}

/* A heap in a module may want a name that is taken. Not on the base. */
static bool __init exporter_heap_refused(void)
{
	static const struct dma_heap_ops ops = { exporter_heap_allocate };
	const struct dma_heap_export_info info = { "system", &ops };

	return !IS_ENABLED(CONFIG_DMABUF_HEAPS_CHUNK) ||
	       dma_heap_add(&info) == ERR_PTR(-EINVAL);
}

static int __init exporter_init(void)
{
	int ret;

	if (WARN(!exporter_heap_refused(), "a second heap \"system\""))
		return -EINVAL;
	ret = misc_register(&exporter_misc);
	if (ret)
		return ret;
	ret = exporter_gem_init(exporter_misc.this_device);
	if (ret)
		misc_deregister(&exporter_misc);
	return ret;
}

static void __exit exporter_exit(void)
{
	exporter_gem_exit();
	misc_deregister(&exporter_misc);
}

module_init(exporter_init);
module_exit(exporter_exit);
MODULE_DESCRIPTION("dma-buf exporters for tests, compliant and not");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "DMA_BUF");
MODULE_INFO(import_ns, "DMA_BUF_HEAP");
