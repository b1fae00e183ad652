// SPDX-License-Identifier: GPL-2.0
/*
 * Does what a debug kernel must notice, for the harness's own tests:
 * "modprobe misbehave what=..." must turn a run red.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *what = "";
module_param(what, charp, 0400);
MODULE_PARM_DESC(what, "lock-order, sleep, page-poison or dma");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

/* No deadlock, only the order of one: lockdep's business. */
static void lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void sleep_in_atomic(void)
{
	void *p;

	spin_lock(&spin);
	p = kmalloc(64, GFP_KERNEL);
	spin_unlock(&spin);
	kfree(p);
}

/* Behind KASAN's back, as a device would. */
static void __no_sanitize_address page_poison(void)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_NOFAIL);
	volatile u8 *p = page_address(page);

	__free_page(page);
	p[128] = 0x42;
	/* The next one to get it from this CPU's list looks at it. */
	__free_page(alloc_page(GFP_KERNEL | __GFP_NOFAIL));
}

/* Unmapped with another size than it was mapped with. */
static void dma(void)
{
	struct platform_device *pdev =
		platform_device_register_simple("misbehave", -1, NULL, 0);
	void *p = kmalloc(4096, GFP_KERNEL | __GFP_NOFAIL);
	dma_addr_t addr;

	dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	addr = dma_map_single(&pdev->dev, p, 4096, DMA_TO_DEVICE);
	if (!dma_mapping_error(&pdev->dev, addr))
		dma_unmap_single(&pdev->dev, addr, 2048, DMA_TO_DEVICE);
	kfree(p);
	platform_device_unregister(pdev);
}

static int __init misbehave_init(void)
{
	if (!strcmp(what, "lock-order"))
		lock_order();
	else if (!strcmp(what, "sleep"))
		sleep_in_atomic();
	else if (!strcmp(what, "page-poison"))
		page_poison();
	else if (!strcmp(what, "dma"))
		dma();
	else
		return -EINVAL;
	return 0;
}

module_init(misbehave_init);
MODULE_DESCRIPTION("What a debug kernel must notice");
MODULE_LICENSE("GPL");
