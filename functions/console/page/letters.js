// Messages that could not be handled, for admins.

import { api } from './api.js';
import { fill, h } from './dom.js';
import { number, time, words } from './format.js';
import { action, badge, empty, load, sheet, view } from './parts.js';
import { table } from './table.js';

export function lettersView() {
  const list = h('div');
  const open = h('input', { type: 'checkbox', checked: true });
  const draw = () => load('dead letters', () => api.deadLetters({ open: open.checked }), (first) => show(first, open.checked), list);
  open.addEventListener('change', draw);
  draw();
  return view('Dead letters', 'Messages that failed their last attempt, or that can never succeed. Once their cause is gone, send them again; a repeat takes effect once.',
    h('div', null, h('label', null, open, 'Only those that wait to be sent again')), list);
}

function show(first, open) {
  if (first.dead_letters.length === 0) {
    return sheet(empty(open ? 'Nothing waits' : 'No dead letters', 'Every message has been handled. There is nothing to do here.'));
  }
  const place = h('div', { class: 'stack' });
  const draw = (known, next) => fill(place,
    h('section', { class: 'sheet flush' }, table('Dead letters', columns, known)),
    next && action('Show older ones', async () => {
      const more = await api.deadLetters({ open, cursor: next });
      draw([...known, ...more.dead_letters], more.next_cursor);
    }));
  draw(first.dead_letters, first.next_cursor);
  return place;
}

const columns = [
  { name: 'Received', by: (l) => l.received_at, show: (l) => time(l.received_at) },
  { name: 'Topic', by: (l) => l.topic, minor: true, show: (l) => badge(l.topic) },
  { name: 'Reason', by: (l) => l.reason, wide: true, show: (l) => [h('span', null, l.reason), h('span', { class: 'id' }, Object.entries(l.ids).map(([name, id]) => `${words(name)} ${id}`).join(' · '))] },
  { name: 'Attempts', by: (l) => l.attempts, number: true, minor: true, show: (l) => number(l.attempts) },
  { name: 'Sent again', by: (l) => l.replayed_at ?? '', show: (l) => (l.replayed_at ? sent(l) : replay(l)) },
];

const sent = (letter) => h('span', { class: 'small soft' }, `${time(letter.replayed_at)} by ${letter.replayed_by ?? 'somebody'}`);

function replay(letter) {
  const cell = h('div');
  fill(cell, action('Send again', async () => fill(cell, sent(Object.assign(letter, await api.replayLetter(letter.id)))), { busy: 'Sending …' }));
  return cell;
}
