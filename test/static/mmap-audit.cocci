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
import re

PFNMAP = {"remap_pfn_range", "io_remap_pfn_range", "drm_gem_mmap_obj",
          "drm_gem_prime_mmap", "drm_gem_dmabuf_mmap", "drm_gem_shmem_mmap",
          "drm_gem_shmem_object_mmap", "drm_gem_ttm_mmap", "ttm_bo_mmap_obj"}
PAGES = {"vm_map_pages", "vm_map_pages_zero", "vm_insert_page",
         "vm_insert_pages", "remap_vmalloc_range",
         "remap_vmalloc_range_partial", "call_mmap", "vfs_mmap"}
BACKEND = {"dma_mmap_attrs", "dma_mmap_coherent", "dma_mmap_wc",
           "dma_mmap_pages", "dma_mmap_noncontiguous", "drm_gem_dma_mmap",
           "drm_gem_dma_object_mmap"}

tables = {}	# (file, table) -> its line, and the function that is its .mmap
declared = set()	# (file, table)
def_of = {}	# (file, function) -> line
marks = {}	# (file, function) -> what it calls and which flags it touches

def mark(p, what):
    marks.setdefault((p[0].file, p[0].current_element), set()).add(what)

@table@
identifier o;
initializer i;
position p;
@@
(
  struct dma_buf_ops o@p = i;
|
  struct drm_gem_object_funcs o@p = i;
|
  struct virtio_dma_buf_ops o@p = i;
)

@script:python@
o << table.o;
i << table.i;
p << table.p;
@@
at = (p[0].file, o)
fields = dict(re.findall(r"\. (\w+) = (\w+)", i))
tables[at] = p[0].line, fields.get("mmap")
if "mmap_exposes_pages" in fields:
    declared.add(at)

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

@calls@
identifier g;
expression list args;
position p;
@@
g@p(args)

@script:python@
g << calls.g;
args << calls.args;
p << calls.p;
@@
mark(p, g)
if g in ("vm_flags_set", "vm_flags_clear", "vm_flags_mod"):
    flags = [str(arg) for arg in args][1:]
    if g != "vm_flags_clear":
        for flag in re.findall(r"\bVM_(?:PFNMAP|MIXEDMAP)\b", flags.pop(0)):
            mark(p, flag)
    if re.search(r"\bVM_PFNMAP\b", " ".join(flags)):
        mark(p, "clears")

@def@
identifier f;
position p;
@@
f@p(...) { ... }

@script:python@
f << def.f;
p << def.p;
@@
def_of[(p[0].file, f)] = p[0].line

@finalize:python@
@@
for (file, o), (line, f) in tables.items():
    if f in (None, "NULL"):
        continue
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
    print("%-8s %-8s %s:%s %s" % (verdict,
          "declared" if (file, o) in declared else "-",
          file, def_of.get((file, f), line), f))
print("tables %d" % len(tables))
