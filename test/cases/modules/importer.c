// SPDX-License-Identifier: GPL-2.0
/*
 * An importer of dma-bufs that user space steers: what a driver does with a
 * buffer, one step at a time, and what a driver sees of it.
 */
#define pr_fmt(fmt) "dmabuf-importer: " fmt

#include <linux/dma-buf.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/pagemap.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dmabuf-test.h"

struct importer_slot {
	struct dma_buf_attachment *attach;
	struct sg_table *table;
	enum dma_data_direction direction;
};

struct importer {
	/*
	 * For mmap, which is called under the mmap_lock that the ioctls may
	 * take under @lock, and so does without @lock. @dmabuf is set once.
	 */
	struct dma_buf *dmabuf;
	struct mutex lock;	/* everything below */
	struct importer_slot slot[IMPORTER_SLOTS + 1];	/* and our own */
	struct iosys_map map;
	unsigned int vmaps;
	struct folio *locked;
};

/*
 * The devices of the slots. A device tree may describe some, by nodes that are
 * compatible with "test,dmabuf-importer" and whose reg is the slot; the other
 * slots get simple ones.
 */
static struct platform_device *importer_dev[IMPORTER_SLOTS];
static struct platform_device *importer_simple[IMPORTER_SLOTS];

/* Where the memory is that the device knows by an address. */
static phys_addr_t importer_phys(struct device *dev, dma_addr_t addr)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain ? iommu_iova_to_phys(domain, addr) : addr;
}

static void importer_look(struct sg_table *table, struct importer_attach *arg)
{
	struct scatterlist *sg;
	u64 last = 0, addr, len;
	int i;

	*arg = (struct importer_attach) {
		.chunk = arg->chunk,
		.nents = table->nents,
		.orig_nents = table->orig_nents,
		.shortest = U64_MAX,
	};
	/* An importer may look at addresses and lengths, not at pages. */
	for_each_sgtable_dma_sg(table, sg, i) {
		addr = sg_dma_address(sg);
		len = sg_dma_len(sg);
		if (!len || (arg->chunk && (addr | len) & (arg->chunk - 1)))
			arg->odd++;
		if (i && addr < last)
			arg->descending++;
		last = addr + len;
		arg->bytes += len;
		arg->shortest = min(arg->shortest, len);
	}
}

static int importer_attach(struct importer *imp, u32 nr,
			   enum dma_data_direction direction)
{
	struct importer_slot *slot = &imp->slot[nr];
	struct dma_buf_attachment *attach;
	struct sg_table *table;

	if (slot->attach)
		return -EBUSY;
	attach = dma_buf_attach(imp->dmabuf,
				&importer_dev[nr % IMPORTER_SLOTS]->dev);
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	table = dma_buf_map_attachment_unlocked(attach, direction);
	if (IS_ERR(table)) {
		dma_buf_detach(imp->dmabuf, attach);
		return PTR_ERR(table);
	}
	*slot = (struct importer_slot) { attach, table, direction };
	return 0;
}

static int importer_detach(struct importer *imp, u32 nr)
{
	struct importer_slot *slot = &imp->slot[nr];

	if (nr >= ARRAY_SIZE(imp->slot) || !slot->attach)
		return -EINVAL;
	dma_buf_unmap_attachment_unlocked(slot->attach, slot->table,
					  slot->direction);
	dma_buf_detach(imp->dmabuf, slot->attach);
	memset(slot, 0, sizeof(*slot));
	return 0;
}

static int importer_vmap(struct importer *imp)
{
	struct iosys_map map;
	int ret;

	ret = dma_buf_vmap_unlocked(imp->dmabuf, &map);
	if (ret)
		return ret;
	if (imp->vmaps && !iosys_map_is_equal(&map, &imp->map)) {
		pr_err("two kernel mappings of one buffer\n");
		dma_buf_vunmap_unlocked(imp->dmabuf, &map);
		return -EBADF;
	}
	imp->map = map;
	imp->vmaps++;
	return 0;
}

static int importer_vunmap(struct importer *imp)
{
	struct iosys_map map = imp->map;

	if (!imp->vmaps)
		return -EINVAL;
	imp->vmaps--;
	dma_buf_vunmap_unlocked(imp->dmabuf, &map);
	return 0;
}

/*
 * Maps what a device finds at @offset, or less of it than *@len: what is in one
 * page. A device has no idea of pages, only of what the table says.
 */
static void *importer_map(const struct importer_slot *slot, u64 offset,
			  size_t *len)
{
	struct scatterlist *sg;
	phys_addr_t phys;
	int i;

	for_each_sgtable_dma_sg(slot->table, sg, i) {
		if (offset >= sg_dma_len(sg)) {
			offset -= sg_dma_len(sg);
			continue;
		}
		phys = importer_phys(slot->attach->dev,
				     sg_dma_address(sg) + offset);
		*len = min_t(u64, *len, sg_dma_len(sg) - offset);
		*len = min_t(u64, *len, PAGE_SIZE - offset_in_page(phys));
		return kmap_local_page(pfn_to_page(PHYS_PFN(phys))) +
		       offset_in_page(phys);
	}
	return NULL;
}

static int importer_copy(struct importer *imp, const struct importer_copy *arg)
{
	const bool vmapped = arg->via == IMPORTER_VIA_VMAP;
	u8 __user *user = u64_to_user_ptr(arg->ptr);
	size_t part, left;
	void *vaddr;
	u64 done;

	if (arg->len > imp->dmabuf->size ||
	    (vmapped ? !imp->vmaps : arg->via >= IMPORTER_SLOTS ||
				     !imp->slot[arg->via].attach))
		return -EINVAL;
	for (done = 0; done < arg->len; done += part) {
		part = min_t(u64, arg->len - done, PAGE_SIZE);
		if (vmapped)
			vaddr = imp->map.vaddr + done;
		else
			vaddr = importer_map(&imp->slot[arg->via], done, &part);
		if (!vaddr)
			return -ENXIO;
		if (arg->write)
			left = copy_from_user(vaddr, user + done, part);
		else
			left = copy_to_user(user + done, vaddr, part);
		if (!vmapped)
			kunmap_local(vaddr);
		if (left)
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/*
 * No importer has any business with pages. This one finds them by where the
 * device would find the memory.
 */
static int importer_pages(struct importer *imp, const struct importer_pages *arg)
{
	struct importer_page __user *user = u64_to_user_ptr(arg->ptr);
	struct importer_slot *slot = &imp->slot[IMPORTER_SLOTS];
	struct importer_page info = { };
	struct sg_dma_page_iter iter;
	struct page *page;
	phys_addr_t phys;
	u64 nr = 0;
	int ret;

	ret = importer_attach(imp, IMPORTER_SLOTS, DMA_BIDIRECTIONAL);
	if (ret)
		return ret;
	for_each_sgtable_dma_page(slot->table, &iter, 0) {
		phys = importer_phys(slot->attach->dev,
				     sg_page_iter_dma_address(&iter));
		page = pfn_to_page(PHYS_PFN(phys));
		info.pfn = page_to_pfn(page);
		info.refcount = folio_ref_count(page_folio(page));
		info.mapcount = folio_mapcount(page_folio(page));
		info.tag = page_kasan_tag(page);
		if (nr == arg->nr ||
		    copy_to_user(&user[nr], &info, sizeof(info)))
			break;
		nr++;
		cond_resched();
	}
	if (nr < arg->nr)
		ret = -ENXIO;
	importer_detach(imp, IMPORTER_SLOTS);
	return ret;
}

static int importer_import(struct importer *imp, int fd)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	WRITE_ONCE(imp->dmabuf, dmabuf);
	return 0;
}

/* A page stays locked, as while storage or a server does not answer. */
static int importer_lock(struct importer *imp, u64 addr)
{
	struct page *page;

	if (imp->locked)
		return -EBUSY;
	if (get_user_pages_fast(addr, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	imp->locked = page_folio(page);
	folio_lock(imp->locked);
	return 0;
}

static int importer_unlock(struct importer *imp)
{
	if (!imp->locked)
		return -EINVAL;
	folio_unlock(imp->locked);
	folio_put(imp->locked);
	imp->locked = NULL;
	return 0;
}

static long importer_ioctl(struct file *file, unsigned int cmd,
			   unsigned long ptr)
{
	struct importer *imp = file->private_data;
	void __user *user = (void __user *)ptr;
	union {
		struct importer_attach attach;
		struct importer_copy copy;
		struct importer_pages pages;
		u32 number;
		u64 addr;
	} arg;
	int ret = 0;

	if (_IOC_SIZE(cmd) > sizeof(arg))
		return -ENOTTY;
	if (_IOC_DIR(cmd) & _IOC_WRITE &&
	    copy_from_user(&arg, user, _IOC_SIZE(cmd)))
		return -EFAULT;

	guard(mutex)(&imp->lock);
	switch (cmd) {
	case IMPORTER_LOCK:
		return importer_lock(imp, arg.addr);
	case IMPORTER_UNLOCK:
		return importer_unlock(imp);
	case IMPORTER_IMPORT:
		return importer_import(imp, arg.number);
	}
	if (!imp->dmabuf)
		return -EINVAL;

	switch (cmd) {
	case IMPORTER_ATTACH:
		if (arg.attach.slot >= IMPORTER_SLOTS)
			return -EINVAL;
		ret = importer_attach(imp, arg.attach.slot, arg.attach.direction);
		if (!ret)
			importer_look(imp->slot[arg.attach.slot].table,
				      &arg.attach);
		break;
	case IMPORTER_DETACH:
		return importer_detach(imp, arg.number);
	case IMPORTER_BEGIN_CPU:
		return dma_buf_begin_cpu_access(imp->dmabuf, arg.number);
	case IMPORTER_END_CPU:
		return dma_buf_end_cpu_access(imp->dmabuf, arg.number);
	case IMPORTER_VMAP:
		return importer_vmap(imp);
	case IMPORTER_VUNMAP:
		return importer_vunmap(imp);
	case IMPORTER_COPY:
		return importer_copy(imp, &arg.copy);
	case IMPORTER_PAGES:
		return importer_pages(imp, &arg.pages);
	default:
		return -ENOTTY;
	}
	if (!ret && copy_to_user(user, &arg, _IOC_SIZE(cmd)))
		ret = -EFAULT;
	return ret;
}

static const struct vm_operations_struct importer_vm_ops;

/* As DRM's drivers do it: the vma is set up before the mapping is forwarded. */
static int importer_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct importer *imp = file->private_data;
	struct dma_buf *dmabuf = READ_ONCE(imp->dmabuf);
	const pgprot_t page_prot = vma->vm_page_prot;
	const vm_flags_t flags = vma->vm_flags;
	int ret;

	if (!dmabuf)
		return -EINVAL;
	vma->vm_ops = &importer_vm_ops;
	vma->vm_private_data = imp;

	ret = dma_buf_mmap(dmabuf, vma, vma->vm_pgoff);

	/* What fails leaves no trace, or gets an error that nobody expects. */
	if (ret && (vma->vm_file != file || vma->vm_flags != flags ||
		    vma->vm_ops != &importer_vm_ops ||
		    vma->vm_private_data != imp ||
		    pgprot_val(vma->vm_page_prot) != pgprot_val(page_prot)))
		return -EUCLEAN;
	return ret;
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct importer *imp = kzalloc(sizeof(*imp), GFP_KERNEL);

	if (!imp)
		return -ENOMEM;
	mutex_init(&imp->lock);
	file->private_data = imp;
	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct importer *imp = file->private_data;

	importer_unlock(imp);
	while (!importer_vunmap(imp))
		;
	for (int i = 0; i < IMPORTER_SLOTS; i++)
		importer_detach(imp, i);
	if (imp->dmabuf)
		dma_buf_put(imp->dmabuf);
	kfree(imp);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.mmap = importer_mmap,
	.unlocked_ioctl = importer_ioctl,
};

static struct miscdevice importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "dmabuf-importer",
	.fops = &importer_fops,
};

/* Called for the simple devices, too. */
static int importer_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	u32 slot = pdev->id;
	int ret;

	/* Leaves it alone where there is no node. */
	of_property_read_u32(dev->of_node, "reg", &slot);
	ret = dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	if (slot >= IMPORTER_SLOTS || importer_dev[slot])
		return -EINVAL;
	/* cma heap: one entry for the whole of the buffer */
	dma_set_max_seg_size(dev, UINT_MAX);
	if (dev->of_node)
		dev_info(dev, "slot %u: %s, %s\n", slot,
			 dev_is_dma_coherent(dev) ? "coherent" : "not coherent",
			 device_iommu_mapped(dev) ? "IOMMU" : "no IOMMU");
	importer_dev[slot] = pdev;
	return 0;
}

static const struct of_device_id importer_of_match[] = {
	{ .compatible = "test,dmabuf-importer" },
	{ }
};

static struct platform_driver importer_driver = {
	.probe = importer_probe,
	.driver = {
		.name = "dmabuf-importer",
		.of_match_table = importer_of_match,
		/* Open files use the devices. */
		.suppress_bind_attrs = true,
	},
};

static void importer_remove_devices(void)
{
	for (int i = 0; i < IMPORTER_SLOTS; i++)
		platform_device_unregister(importer_simple[i]);
	platform_driver_unregister(&importer_driver);
}

static int __init importer_init(void)
{
	int ret = platform_driver_register(&importer_driver);

	if (ret)
		return ret;
	for (int i = 0; i < IMPORTER_SLOTS && !ret; i++) {
		if (!importer_dev[i])
			importer_simple[i] = platform_device_register_simple(
				"dmabuf-importer", i, NULL, 0);
		ret = importer_dev[i] ? 0 : -ENODEV;
	}
	ret = ret ?: misc_register(&importer_misc);
	if (ret)
		importer_remove_devices();
	return ret;
}

static void __exit importer_exit(void)
{
	misc_deregister(&importer_misc);
	importer_remove_devices();
}

module_init(importer_init);
module_exit(importer_exit);
MODULE_DESCRIPTION("dma-buf importer for tests");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "DMA_BUF");
