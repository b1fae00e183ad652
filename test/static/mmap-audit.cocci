// SPDX-License-Identifier: GPL-2.0-only
//
// How each dma-buf exporter maps its buffers into user space: one line for each
// .mmap in a struct dma_buf_ops, or in a struct drm_gem_object_funcs, which
// DRM's own dma_buf_ops end up in. Looks into the function and into those of
// the same file that it calls.
//
//   pfnmap   sets VM_PFNMAP, by itself or through a helper that does
//   pages    may map struct pages, on one path at least
//   backend  leaves it to the DMA API, which maps pages for some IOMMUs
//   refuses  calls nothing that could map anything
//   unknown  none of these: look at it
//
// The second word is "declared" if mmap_exposes_pages is set, in the table of a
// struct drm_gem_object_funcs or where the dma_buf_ops are exported, else "-".
// A last line has the number of tables, with .mmap or without.
//
// Run by test/static/mmap-audit.sh.

@initialize:python@
@@

PFNMAP = {"remap_pfn_range", "io_remap_pfn_range", "drm_gem_mmap_obj",
          "drm_gem_prime_mmap", "drm_gem_dmabuf_mmap", "drm_gem_shmem_mmap",
          "drm_gem_shmem_object_mmap", "drm_gem_ttm_mmap", "ttm_bo_mmap_obj"}
PAGES = {"vm_map_pages", "vm_map_pages_zero", "vm_insert_page",
         "vm_insert_pages", "remap_vmalloc_range",
         "remap_vmalloc_range_partial", "call_mmap", "vfs_mmap"}
BACKEND = {"dma_mmap_attrs", "dma_mmap_coherent", "dma_mmap_wc",
           "dma_mmap_pages", "dma_mmap_noncontiguous", "drm_gem_dma_mmap",
           "drm_gem_dma_object_mmap"}

tables = set()	# (file, table)
declared = set()	# (file, table)
ops_of = {}	# (file, function) -> the table that names it, and its line
def_of = {}	# (file, function) -> line
marks = {}	# (file, function) -> what it calls and which flags it touches

def mark(p, what):
    marks.setdefault((p[0].file, p[0].current_element), set()).add(what)

@table@
identifier o;
position p;
@@
(
  struct dma_buf_ops o@p = { ... };
|
  struct drm_gem_object_funcs o@p = { ... };
|
  struct virtio_dma_buf_ops o@p = { ... };
)

@script:python@
o << table.o;
p << table.p;
@@
tables.add((p[0].file, o))

@gem_declared@
identifier o;
expression e;
position p;
@@
struct drm_gem_object_funcs o@p = { ..., .mmap_exposes_pages = e, ... };

@script:python@
o << gem_declared.o;
p << gem_declared.p;
@@
declared.add((p[0].file, o))

// What is assigned may depend on the device.
@export_declared@
identifier i, o;
expression e;
position p;
@@
i.ops@p = &o;
... when any
i.mmap_exposes_pages = e;

@script:python@
o << export_declared.o;
p << export_declared.p;
@@
declared.add((p[0].file, o))

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
o << ops.o;
p << ops.p;
@@
ops_of.setdefault((p[0].file, f), []).append((o, p[0].line))

@calls@
identifier g;
position p;
@@
g@p(...)

@script:python@
g << calls.g;
p << calls.p;
@@
mark(p, g)

@sets@
constant c =~ "^VM_(PFNMAP|MIXEDMAP)$";
expression e;
position p;
@@
(
  vm_flags_set@p(e, <+... c ...+>)
|
  vm_flags_mod@p(e, <+... c ...+>, ...)
)

@script:python@
c << sets.c;
p << sets.p;
@@
mark(p, c)

@clears@
expression e, e2;
position p;
@@
(
  vm_flags_clear@p(e, <+... VM_PFNMAP ...+>)
|
  vm_flags_mod@p(e, e2, <+... VM_PFNMAP ...+>)
)

@script:python@
p << clears.p;
@@
mark(p, "clears")

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
for (file, f), used in ops_of.items():
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
    for o, line in used:
        print("%-8s %-8s %s:%s %s" % (verdict,
              "declared" if (file, o) in declared else "-",
              file, def_of.get((file, f), line), f))
print("tables %d" % len(tables))
