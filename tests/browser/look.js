// What a person with a cheap phone would notice. Each function takes nothing from the page's own script.
(() => {
  const seen = (element) => {
    const style = getComputedStyle(element);
    if (style.visibility === "hidden" || style.display === "none" || element.closest("[hidden], .unseen, .skip")) return false;
    const closed = element.closest("details:not([open])");
    if (closed && !element.closest("summary")) return false;
    const box = element.getBoundingClientRect();
    return box.width > 0 && box.height > 0;
  };
  const name = (element) => {
    const words = (element.innerText || element.value || element.getAttribute("aria-label") || "").trim().slice(0, 40);
    return `${element.tagName.toLowerCase()}.${element.getAttribute("class") || ""} "${words}"`;
  };
  // Tables scroll inside themselves, as does the staff's row of work lists.
  const scroller = (element) => element.closest(".scroll, .work");
  const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);
  const ACTS = "a[href], button, input:not([type=hidden]), select, textarea, summary";

  const sideways = () => {
    const wide = document.documentElement.clientWidth;
    const over = document.documentElement.scrollWidth - wide;
    if (over <= 0) return [];
    const guilty = all("body *").filter((each) => !scroller(each) && each.getBoundingClientRect().right > wide + 1);
    return [`page ${over} px too wide`, ...guilty.slice(-3).map(name)];
  };

  const small = () => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const parent = walker.currentNode.parentElement;
      if (!walker.currentNode.data.trim() || !parent || !seen(parent)) continue;
      const size = parseFloat(getComputedStyle(parent).fontSize);
      if (size < 11) found.push(`${size} px: ${name(parent)}`);
    }
    return found;
  };

  const low = () =>
    all("button, a.button, .tabs a, .work a, .subtabs a, .tile[href], summary, select, input:not([type=hidden])")
      .filter((each) => each.type !== "checkbox" && each.getBoundingClientRect().height < 44)
      .map((each) => `${Math.round(each.getBoundingClientRect().height)} px: ${name(each)}`);

  // Whatever can be pressed lies inside the screen, and nothing lies over it.
  const unreachable = () => {
    const wide = document.documentElement.clientWidth;
    return all(ACTS).flatMap((each) => {
      each.scrollIntoView({ block: "center", inline: "nearest" });
      const box = [...each.getClientRects()].find((one) => one.width && one.height);
      if (!box) return [];
      if (!scroller(each) && (box.left < -1 || box.right > wide + 1)) return [`outside: ${name(each)}`];
      const top = document.elementFromPoint(
        Math.min(Math.max((box.left + box.right) / 2, 1), wide - 1), (box.top + box.bottom) / 2);
      return top && (each.contains(top) || top.contains(each) || top.closest("label")) ? [] : [`covered: ${name(each)}`];
    });
  };

  // Words that a box cuts off; what is there for screen readers alone is cut on purpose.
  const cut = () =>
    all("body *")
      .filter((each) => getComputedStyle(each).clipPath === "none")
      .filter((each) => ["hidden", "clip"].includes(getComputedStyle(each).overflowX) && each.scrollWidth > each.clientWidth + 1)
      .filter((each) => each.innerText && !["svg", "path"].includes(each.tagName.toLowerCase()))
      .map(name);

  // Words that spill over what holds them: SVG text beyond the screen, lines that overlap nothing but leave their card.
  const spilt = () =>
    all(".card, .hero, .tile, .notice, .stub > div").flatMap((box) => {
      const edge = box.getBoundingClientRect();
      return [...box.querySelectorAll("*")]
        .filter((each) => seen(each) && !scroller(each) && !each.closest("svg:not(.chart-plot)"))
        .filter((each) => {
          const one = each.getBoundingClientRect();
          return one.right > edge.right + 1 || one.left < edge.left - 1;
        })
        .slice(0, 2).map((each) => `${name(each)} leaves ${name(box).slice(0, 40)}`);
    });

  // Columns that a table hides beyond its edge: with what is folded up unfolded, as people look at it.
  const hidden = () => {
    const folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((each) => { each.open = true; });
    const found = [...document.querySelectorAll(".scroll")]
      .filter((each) => each.scrollWidth > each.clientWidth + 1)
      .map((each) => `${each.scrollWidth - each.clientWidth} px of the table ${each.getAttribute("aria-label")}`);
    folded.forEach((each) => { each.open = false; });
    return found;
  };

  const buttons = () => all("button, .button, .tabs, .work, input[type=submit]").map(name);

  return { sideways, small, low, unreachable, cut, spilt, hidden, buttons };
})()
