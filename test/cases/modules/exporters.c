// SPDX-License-Identifier: GPL-2.0
/*
 * Exporters of dma-bufs that keep to the rule that a mapping is VM_PFNMAP, or
 * break it, and that count what is done to them. More ways to break it are in
 * drivers/dma-buf/tests/dma_buf_mmap_kunit.c. Each takes a reference to its
 * buffer in ->mmap and drops it in vm_ops->close, as GEM does.
 */
#define pr_fmt(fmt) "dmabuf-exporter: " fmt

#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/huge_mm.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
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

#define WITH_HUGE	IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP)

/* How long ->mmap of EXPORTER_INSERT_SLOW sleeps. */
#define SLOW_MS		500

struct exporter_buf {
	struct kref kref;	/* the dma-buf, and each mapping */
	enum exporter_kind kind;
	bool sigbus;
	unsigned long start;	/* of the buffer in its address_space, in pages */
	char name[EXPORTER_NAME_LEN];
	atomic64_t mmaps, mappings, faults, huge_faults;
	unsigned int nr_pages;
	struct page *pages[] __counted_by(nr_pages);
};

static void exporter_free(struct kref *kref)
{
	struct exporter_buf *buf = container_of(kref, struct exporter_buf,
						kref);

	for (int i = 0; i < buf->nr_pages && buf->pages[i]; i++)
		put_page(buf->pages[i]);
	kvfree(buf);
}

static void exporter_vm_open(struct vm_area_struct *vma)
{
	struct exporter_buf *buf = vma->vm_private_data;

	atomic64_inc(&buf->mappings);
	kref_get(&buf->kref);
}

static void exporter_vm_close(struct vm_area_struct *vma)
{
	struct exporter_buf *buf = vma->vm_private_data;
	const bool last = !atomic64_dec_return(&buf->mappings);

	/* The pages are taken away first, for ->close may free them. */
	for (int i = 0; last && i < buf->nr_pages; i++)
		WARN_ON_ONCE(folio_mapped(page_folio(buf->pages[i])));
	kref_put(&buf->kref, exporter_free);
}

static vm_fault_t exporter_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct exporter_buf *buf = vma->vm_private_data;
	unsigned long nr = vmf->pgoff - buf->start;

	atomic64_inc(&buf->faults);
	if (nr >= buf->nr_pages || READ_ONCE(buf->sigbus))
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vma, vmf->address, page_to_pfn(buf->pages[nr]));
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

static int exporter_insert_pages(struct exporter_buf *buf,
				 struct vm_area_struct *vma)
{
	unsigned long addr = vma->vm_start, i = vma->vm_pgoff;
	int ret = 0;

	for (; addr < vma->vm_end && !ret; addr += PAGE_SIZE)
		ret = vm_insert_page(vma, addr, buf->pages[i++]);
	return ret;
}

static int exporter_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct exporter_buf *buf = dmabuf->priv;
	int ret = 0;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (buf->kind <= EXPORTER_LAST_COMPLIANT)
		vm_flags_set(vma, VM_PFNMAP);
	else
		ret = exporter_insert_pages(buf, vma);
	if (ret)
		return ret;
	atomic64_inc(&buf->mmaps);
	if (buf->kind == EXPORTER_NO_OPS)
		return 0;
	/* As GEM does it, with what it calls a fake offset. */
	vma->vm_pgoff += buf->start;
	kref_get(&buf->kref);
	atomic64_inc(&buf->mappings);
	vma->vm_private_data = buf;
	vma->vm_ops = &exporter_vm_ops;
	/* As if there were more to do, or another CPU faster. */
	if (buf->kind == EXPORTER_INSERT_SLOW)
		msleep(SLOW_MS);
	return 0;
}

/* Nobody attaches a device. */
static struct sg_table *exporter_map_dma(struct dma_buf_attachment *attach,
					 enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void exporter_unmap_dma(struct dma_buf_attachment *attach,
			       struct sg_table *table,
			       enum dma_data_direction direction)
{
}

static void exporter_release(struct dma_buf *dmabuf)
{
	struct exporter_buf *buf = dmabuf->priv;

	kref_put(&buf->kref, exporter_free);
}

static const struct dma_buf_ops exporter_ops = {
	.map_dma_buf = exporter_map_dma,
	.unmap_dma_buf = exporter_unmap_dma,
	.mmap = exporter_mmap,
	.release = exporter_release,
};

static struct drm_device *exporter_drm;

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
	/* The kernel of the baseline has no declaration. */
#if IS_ENABLED(CONFIG_DMABUF_HEAPS_CHUNK)
	[1].mmap_exposes_pages = true,
#endif
};

DEFINE_DRM_GEM_FOPS(exporter_drm_fops);

static const struct drm_driver exporter_drm_driver = {
	.driver_features = DRIVER_GEM,
	.fops = &exporter_drm_fops,
	.name = "test-gem",
	.desc = "dma-buf exporter for tests",
	.major = 1,
};

static struct dma_buf *exporter_gem_create(enum exporter_kind kind)
{
	struct drm_gem_object *obj = kzalloc(sizeof(*obj), GFP_KERNEL);
	struct dma_buf *dmabuf;
	int ret;

	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->funcs = &exporter_gem_funcs[kind == EXPORTER_GEM_DECLARED];
	ret = drm_gem_object_init(exporter_drm, obj, PAGE_SIZE);
	if (ret) {
		kfree(obj);
		return ERR_PTR(ret);
	}
	/* The dma-buf has a reference of its own. */
	dmabuf = drm_gem_prime_export(obj, O_RDWR);
	drm_gem_object_put(obj);
	return dmabuf;
}

static int exporter_alloc_pages(struct exporter_buf *buf)
{
	const bool huge = WITH_HUGE && buf->kind == EXPORTER_HUGE;
	const unsigned int order = huge ? HPAGE_PMD_ORDER : 0;
	struct page *page;

	for (int i = 0; i < buf->nr_pages; i += 1 << order) {
		page = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
		if (!page)
			return -ENOMEM;
		split_page(page, order);
		for (int k = 0; k < 1 << order; k++)
			buf->pages[i + k] = page + k;
	}
	return 0;
}

static struct dma_buf *exporter_create(struct exporter_create *arg,
				       struct address_space *shared)
{
	const unsigned int nr = arg->size >> PAGE_SHIFT;
	static atomic_long_t shared_pages;
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct exporter_buf *buf;
	struct dma_buf *dmabuf;
	int ret;

	if (arg->kind >= EXPORTER_GEM)
		return exporter_gem_create(arg->kind);

	buf = kvzalloc(struct_size(buf, pages, nr), GFP_KERNEL);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	kref_init(&buf->kref);
	buf->kind = arg->kind;
	buf->nr_pages = nr;
	strscpy(buf->name, arg->name, sizeof(buf->name));
	ret = exporter_alloc_pages(buf);
	/* No two of them are in the same place. */
	if (buf->kind == EXPORTER_SHARED)
		buf->start = atomic_long_add_return(nr, &shared_pages);

	exp_info.exp_name = buf->name;
	exp_info.ops = &exporter_ops;
	exp_info.size = arg->size;
	exp_info.flags = O_RDWR;
	exp_info.priv = buf;
	dmabuf = ret ? ERR_PTR(ret) : dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf))
		kref_put(&buf->kref, exporter_free);
	else if (buf->kind == EXPORTER_SHARED)
		dmabuf->file->f_mapping = shared;
	return dmabuf;
}

static void exporter_state(struct dma_buf *dmabuf, struct exporter_state *arg)
{
	struct exporter_buf *buf = dmabuf->priv;

	*arg = (struct exporter_state) {
		.mmaps = atomic64_read(&buf->mmaps),
		.faults = atomic64_read(&buf->faults),
		.huge_faults = atomic64_read(&buf->huge_faults),
		.held.mappings = atomic64_read(&buf->mappings),
		/* Without the one that the ioctl has. */
		.held.file_refs = file_count(dmabuf->file) - 1,
	};
	for (int i = 0; i < buf->nr_pages; i++) {
		arg->held.page_refs += page_count(buf->pages[i]);
		arg->held.page_maps +=
			folio_mapcount(page_folio(buf->pages[i]));
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
	/* One of ours that is no GEM object, or else a test is wrong. */
	dmabuf = dma_buf_get(arg.state.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	if (cmd == EXPORTER_REVOKE)
		exporter_revoke(dmabuf, &arg.revoke);
	else
		exporter_state(dmabuf, &arg.state);
	dma_buf_put(dmabuf);
	return copy_to_user(ptr, &arg, _IOC_SIZE(cmd)) ? -EFAULT : 0;
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

static int __init exporter_init(void)
{
	int ret = misc_register(&exporter_misc);

	if (ret)
		return ret;
	exporter_drm = drm_dev_alloc(&exporter_drm_driver,
				     exporter_misc.this_device);
	if (!IS_ERR(exporter_drm))
		return 0;
	misc_deregister(&exporter_misc);
	return PTR_ERR(exporter_drm);
}

static void __exit exporter_exit(void)
{
	drm_dev_put(exporter_drm);
	misc_deregister(&exporter_misc);
}

module_init(exporter_init);
module_exit(exporter_exit);
MODULE_DESCRIPTION("dma-buf exporters for tests, compliant and not");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "DMA_BUF");
