// SPDX-License-Identifier: GPL-2.0-only
//
// How each dma-buf exporter maps its buffers into user space: one line for each
// .mmap in a struct dma_buf_ops, or in a struct drm_gem_object_funcs, which
// DRM's own dma_buf_ops end up in. Looks into the function and into those of
// the same file that it calls.
//
//   pfnmap   sets VM_PFNMAP, by itself or through a helper that does
//   pages    may map struct pages, on one path at least: not allowed
//   backend  leaves it to the DMA API, which maps pages for some IOMMUs
//   refuses  calls nothing that could map anything
//   unknown  none of these: look at it
//
// Run by test/host/mmap-audit.sh, which compares the output with the list in
// docs/mmap-audit.md.

@initialize:python@
@@

PFNMAP = {"remap_pfn_range", "io_remap_pfn_range", "drm_gem_mmap_obj",
          "drm_gem_prime_mmap", "drm_gem_dmabuf_mmap", "drm_gem_shmem_mmap",
          "drm_gem_shmem_object_mmap", "drm_gem_ttm_mmap", "ttm_bo_mmap_obj"}
PAGES = {"vm_map_pages", "vm_map_pages_zero", "vm_insert_page",
         "vm_insert_pages", "remap_vmalloc_range",
         "remap_vmalloc_range_partial", "call_mmap"}
BACKEND = {"dma_mmap_attrs", "dma_mmap_coherent", "dma_mmap_wc",
           "dma_mmap_pages", "dma_mmap_noncontiguous", "drm_gem_dma_mmap",
           "drm_gem_dma_object_mmap"}

ops_of = {}	# function -> where it is used: (file, line)
def_of = {}	# (file, function) -> line
marks = {}	# (file, function) -> what it calls and which flags it touches

def mark(p, f, what):
    marks.setdefault((p[0].file, f), set()).add(what)

@ops@
identifier o, f;
position p;
@@
(
  struct dma_buf_ops o = { ..., .mmap = f@p, ... };
|
  struct drm_gem_object_funcs o = { ..., .mmap = f@p, ... };
|
  struct virtio_dma_buf_ops o = { ..., .ops = { ..., .mmap = f@p, ... }, ... };
)

@script:python@
f << ops.f;
p << ops.p;
@@
ops_of[(p[0].file, f)] = p[0].line

@calls@
identifier ops.f, g;
position p, q;
@@
f@p(...) { <+... g@q(...) ...+> }

@script:python@
f << ops.f;
g << calls.g;
p << calls.p;
@@
mark(p, f, g)

@calls2@
identifier calls.g, h;
position p;
@@
g@p(...) { <+... h(...) ...+> }

@script:python@
g << calls.g;
h << calls2.h;
p << calls2.p;
@@
mark(p, g, h)

@sets@
identifier ops.f;
constant c =~ "^VM_(PFNMAP|MIXEDMAP)$";
expression e;
position p;
@@
f@p(...) { <+...
(
  vm_flags_set(e, <+... c ...+>)
|
  vm_flags_mod(e, <+... c ...+>, ...)
)
...+> }

@script:python@
f << ops.f;
c << sets.c;
p << sets.p;
@@
mark(p, f, c)

@sets2@
identifier calls.g;
constant c =~ "^VM_(PFNMAP|MIXEDMAP)$";
expression e;
position p;
@@
g@p(...) { <+...
(
  vm_flags_set(e, <+... c ...+>)
|
  vm_flags_mod(e, <+... c ...+>, ...)
)
...+> }

@script:python@
g << calls.g;
c << sets2.c;
p << sets2.p;
@@
mark(p, g, c)

@clears@
identifier ops.f;
expression e, e2;
position p;
@@
f@p(...) { <+...
(
  vm_flags_clear(e, <+... VM_PFNMAP ...+>)
|
  vm_flags_mod(e, e2, <+... VM_PFNMAP ...+>)
)
...+> }

@script:python@
f << ops.f;
p << clears.p;
@@
mark(p, f, "clears")

@clears2@
identifier calls.g;
expression e, e2;
position p;
@@
g@p(...) { <+...
(
  vm_flags_clear(e, <+... VM_PFNMAP ...+>)
|
  vm_flags_mod(e, e2, <+... VM_PFNMAP ...+>)
)
...+> }

@script:python@
g << calls.g;
p << clears2.p;
@@
mark(p, g, "clears")

@def@
identifier ops.f;
position p;
@@
f@p(...) { ... }

@script:python@
f << ops.f;
p << def.p;
@@
def_of[(p[0].file, f)] = p[0].line

@finalize:python@
@@
for (file, f), line in ops_of.items():
    seen = {f} | marks.get((file, f), set())
    for g in list(seen):
        seen |= marks.get((file, g), set())
    if seen & (PAGES | {"VM_MIXEDMAP"}):
        verdict = "pages"
    elif seen & BACKEND:
        verdict = "backend"
    elif "clears" in seen:
        verdict = "pages"
    elif seen & (PFNMAP | {"VM_PFNMAP"}):
        verdict = "pfnmap"
    elif seen == {f} and (file, f) in def_of:
        verdict = "refuses"
    else:
        verdict = "unknown"
    print("%-8s %s:%s %s" % (verdict, file, def_of.get((file, f), line), f))
