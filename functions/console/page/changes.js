// What is to be changed on the ad platform, what was, and why not.

import { accountsSheet } from './accounts.js';
import { api } from './api.js';
import { fill, h } from './dom.js';
import { change as percent, money, plural, time, words } from './format.js';
import { action, badge, empty, field, load, sheet, view } from './parts.js';
import { may } from './session.js';
import { table } from './table.js';

const SHOWN = { open: 'Open', awaiting_approval: 'Awaiting approval', held: 'Held', applied: 'Applied', dry_run: 'Dry runs', failed: 'Failed', '': 'All' };

export function changesView() {
  const list = h('div');
  const status = h('select', null, Object.entries(SHOWN).map(([value, name]) => h('option', { value }, name)));
  const draw = () => load('changes', () => api.changes({ status: status.value }), (first) => show(first, status.value, draw), list);
  status.addEventListener('change', draw);
  draw();
  return view('Changes', 'Budgets move on Meta only through this queue: a fifth in six hours at most, never twice, and never against somebody’s own edit.',
    accountsSheet(draw),
    h('div', { class: 'row' }, field('Show', status), may('editor') && sweeper(draw)),
    list,
    h('details', { class: 'sheet flush' }, h('summary', { class: 'inner' }, 'The history: every attempt, and why'), load('the history', () => api.history({ limit: 50 }), history)));
}

function sweeper(draw) {
  return action('Look for tired ads', async () => {
    const found = await api.sweep();
    draw();
    return `${plural(found.looked_at, 'active ad')} looked at: ${Object.entries(found.by_status).map(([name, count]) => `${count} ${words(name).toLowerCase()}`).join(', ')}. ${plural(found.cuts, 'cut')} queued.`;
  }, { busy: 'Looking …' });
}

function show(first, status, draw) {
  if (first.changes.length === 0) {
    return sheet(empty(status === 'open' ? 'Nothing is open' : 'No such changes', 'Split a campaign’s budget and queue what it recommends, or let the sweep find tired ads.', ['Campaigns', '#/campaigns']));
  }
  const place = h('div', { class: 'stack' });
  const paint = (known, next) => fill(place,
    h('section', { class: 'sheet flush' }, table('Changes', columns(draw), known)),
    next && action('Show older ones', async () => {
      const more = await api.changes({ status, cursor: next });
      paint([...known, ...more.changes], more.next_cursor);
    }));
  paint(first.changes, first.next_cursor);
  return place;
}

const columns = (draw) => [
  { name: 'Ad', by: (c) => c.ad_id, wide: true, show: (c) => [h('b', null, c.ads.length > 1 ? plural(c.ads.length, 'ad') : c.ad_id), h('span', { class: 'id' }, c.budget_object), h('span', { class: 'small soft' }, `${time(c.created_at)} by ${c.requested_by}`)] },
  { name: 'Change', by: (c) => c.target_budget ?? null, number: true, show: asked },
  { name: 'Why', by: (c) => c.reason, wide: true, show: (c) => [h('span', null, c.reason), c.why_not && h('span', { class: 'small soft' }, c.why_not)] },
  { name: 'Status', by: (c) => c.status, show: (c) => [badge(c.status), c.mode !== 'live' && c.status !== 'dry_run' && h('div', { class: 'small soft' }, words(c.mode)), c.steps_left > 0 && h('div', { class: 'small soft' }, `${plural(c.steps_left, 'step')} left`)] },
  { name: '', show: (c) => decide(c, draw) },
];

// asked is what a change does, in money or in words.
function asked(c) {
  if (c.target_status) return `${words(c.before_status || '?')} → ${words(c.target_status)}`;
  if (c.kind === 'spend_limits') return `at most ${c.target_budget ? money(c.target_budget, c.currency) : 'any'} a day`;
  const moved = c.before_budget > 0 ? (c.target_budget / c.before_budget - 1) * 100 : null;
  return [h('div', null, `${money(c.before_budget, c.currency)} → `, h('b', null, money(c.target_budget, c.currency))),
    moved !== null && h('div', { class: 'small soft' }, percent(moved))];
}

function decide(c, draw) {
  const then = (work) => async () => { await work(); draw(); };
  const waits = c.status === 'awaiting_approval';
  return h('div', { class: 'stack' },
    waits && may('admin') && action('Approve', then(() => api.approveChange(c.id, c.digest)), { primary: true }),
    waits && may('editor') && action('Reject', then(() => api.rejectChange(c.id))),
    c.status === 'applied' && c.source !== 'undo' && may('admin') && action('Undo', then(() => api.undoChange(c.id))));
}

function history({ history: entries }) {
  if (entries.length === 0) return empty('No history yet', 'The first change that is tried is kept here, with what became of it.');
  return table('History', [
    { name: 'When', by: (e) => e.at, show: (e) => time(e.at) },
    { name: 'Ad', by: (e) => e.ad_id, show: (e) => [h('b', null, e.ad_id), h('div', { class: 'id' }, e.budget_object)] },
    { name: 'Outcome', by: (e) => e.outcome, show: (e) => badge(e.outcome) },
    { name: 'Before', by: (e) => e.before_budget ?? null, number: true, show: (e) => (e.before_status ? words(e.before_status) : money(e.before_budget, e.currency)) },
    { name: 'After', by: (e) => e.after_budget ?? null, number: true, show: (e) => (e.after_status ? words(e.after_status) : money(e.after_budget, e.currency)) },
    { name: 'Why', by: (e) => e.reason, wide: true, show: (e) => [h('span', null, e.reason), h('span', { class: 'small soft' }, `by ${e.initiator}`)] },
  ], entries);
}
