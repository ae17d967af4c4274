// A table that its reader can sort by any column.

import { fill, h } from './dom.js';

/**
 * table shows rows by columns of {name, show, by?, number?, minor?, wide?}. by
 * gives what a column is sorted by; minor columns are left out on a phone.
 */
export function table(caption, columns, rows, sorted = null) {
  let order = sorted; // {column, down}
  const body = h('tbody');
  const heads = columns.map((column) => head(column, () => {
    const down = order?.column === column.name ? !order.down : Boolean(column.number);
    order = { column: column.name, down };
    draw();
  }));
  const draw = () => {
    columns.forEach((column, i) => {
      if (order?.column === column.name) heads[i].setAttribute('aria-sort', order.down ? 'descending' : 'ascending');
      else heads[i].removeAttribute('aria-sort');
    });
    fill(body, arrange(columns, rows, order).map((row) => h('tr', null,
      columns.map((column) => h('td', { class: kind(column), 'data-name': column.name }, column.show(row))))));
  };
  draw();
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h('table', null, h('thead', null, h('tr', null, heads)), body));
}

function head(column, sort) {
  return h('th', { scope: 'col', class: kind(column) }, column.by ? h('button', { type: 'button', onclick: sort }, column.name) : column.name);
}

const kind = ({ number, minor, wide }) => [number && 'number', minor && 'minor', wide && 'wide'].filter(Boolean).join(' ') || null;

// arrange sorts a copy; what has no value comes last either way.
function arrange(columns, rows, order) {
  const by = columns.find((column) => column.name === order?.column)?.by;
  if (!by) return rows;
  const sign = order.down ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [x, y] = [by(a), by(b)];
    if (x == null || y == null) return (x == null) - (y == null);
    return sign * (typeof x === 'string' ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
  });
}
