// Elements are made here and nowhere else. What is told by the API only ever
// becomes text or an attribute's value, never markup.

/**
 * h makes an element. Of props, functions named on... are listeners, and false,
 * null and undefined leave an attribute out. Children may be nested lists.
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  fill(element, children);
  return element;
}

/** fill puts children in the place of what element holds. */
export function fill(element, ...children) {
  const nodes = children.flat(Infinity).filter((child) => child != null && child !== false);
  element.replaceChildren(...nodes.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
}

/** bar draws a share of a track, as a style that a script may set under the page's policy. */
export function bar(share, kind = '', from = 0) {
  const inside = h('div', { class: `bar-fill ${kind}` });
  inside.style.left = `${clamp(from) * 100}%`;
  inside.style.width = `${Math.max(clamp(share), share > 0 ? 0.015 : 0) * 100}%`;
  return h('div', { class: 'bar-track', 'aria-hidden': 'true' }, inside);
}

const clamp = (share) => Math.min(Math.max(share || 0, 0), 1);
