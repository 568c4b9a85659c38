// Texts of a page that another element covers, or that end before they are read: asked by test_text_is_whole.
const isWide = innerWidth >= 1280, found = [];
const clips = (style) => style !== "visible";
for (let walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), node = walk.nextNode(); node; node = walk.nextNode()) {
  const text = node.textContent.trim(), own = node.parentElement;
  if (!text || own.closest("script, style, svg, option, .visually-hidden, .skip, [hidden]") || !own.checkVisibility({ visibilityProperty: true })) continue;
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const box of range.getClientRects()) {
    if (getComputedStyle(own).clipPath !== "none") continue; // for those who listen
    if (box.width < 2 || box.height < 2) continue;
    let outside = "", scrolls = false;
    for (let above = own; above && above !== document.body; above = above.parentElement) {
      const style = getComputedStyle(above), frame = above.getBoundingClientRect();
      const isCutX = clips(style.overflowX) && (box.right > frame.right + 1 || box.left < frame.left - 1);
      const isCutY = clips(style.overflowY) && (box.bottom > frame.bottom + 1 || box.top < frame.top - 1);
      if (isCutX && (style.overflowX === "hidden" || style.overflowX === "clip" || isWide)) outside = "cut";
      if (isCutY && (style.overflowY === "hidden" || style.overflowY === "clip")) outside = "cut";
      scrolls = scrolls || isCutX || isCutY;
    }
    if (!outside && !scrolls && box.right > innerWidth + 1) outside = "cut";
    if (!outside && !scrolls) {
      const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
      if (hit && hit !== own && !own.contains(hit) && !hit.contains(own)) outside = `covered by ${hit.tagName} ${hit.className}`;
    }
    if (outside) found.push(`${outside}: ${text.slice(0, 60)} (${own.tagName} ${own.className})`);
  }
}
return [...new Set(found)];
