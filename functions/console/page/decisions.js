// Every allocation that was made, and one of them computed again.

import { api } from './api.js';
import { fill, h } from './dom.js';
import { money, number, time, words } from './format.js';
import { action, empty, facts, load, sheet, view } from './parts.js';
import { may } from './session.js';
import { splitView } from './split.js';
import { table } from './table.js';

export function decisionsView() {
  return view('Decisions', 'Every split of a budget is kept with what it was computed from.', load('decisions', () => api.decisions(), show));
}

function show(first) {
  if (first.decisions.length === 0) {
    return sheet(empty('No decisions yet', 'Open a campaign and let its budget be optimized: the split is kept here.', ['Campaigns', '#/campaigns']));
  }
  const place = h('div', { class: 'stack' });
  const draw = (known, next) => fill(place,
    h('section', { class: 'sheet flush' }, table('Decisions', columns, known)),
    next && action('Show older ones', async () => {
      const more = await api.decisions(next);
      draw([...known, ...more.decisions], more.next_before);
    }));
  draw(first.decisions, first.next_before);
  return place;
}

const columns = [
  { name: 'When', by: (d) => d.created_at, show: (d) => h('a', { href: `#/decisions/${d.decision_id}` }, time(d.created_at)) },
  { name: 'By', by: (d) => d.requested_by, minor: true, show: (d) => d.requested_by },
  { name: 'Account', by: (d) => d.account_id, minor: true, show: (d) => h('span', { class: 'id' }, d.account_id) },
  { name: 'Ads', by: (d) => d.num_ads, number: true, show: (d) => number(d.num_ads) },
  { name: 'Budget', by: (d) => d.total_budget, number: true, show: (d) => money(d.total_budget, d.currency) },
  { name: 'Unallocated', by: (d) => d.unallocated_budget, number: true, minor: true, show: (d) => money(d.unallocated_budget, d.currency) },
  { name: 'Model', by: (d) => d.model_version, minor: true, show: (d) => h('span', { class: 'id' }, d.model_version) },
];

export function decisionView(id) {
  return load('the decision', () => api.decision(id), (decision) => h('div', { class: 'view' },
    h('div', { class: 'head' }, h('h1', { tabindex: -1 }, `Decision of ${time(decision.created_at)}`),
      h('p', { class: 'crumb' }, h('a', { href: '#/decisions' }, 'Decisions'), ' / ', h('span', { class: 'id' }, decision.decision_id))),
    h('div', { class: 'two' },
      sheet(h('h2', null, 'Asked'), facts([
        ['By', decision.requested_by], ['Account', decision.account_id], ['Budget', money(decision.total_budget, decision.currency)],
        ['Model', decision.model_version], ['Processor', decision.architecture], ['Seed', String(decision.seed)]]),
      may('admin') && again(decision)),
      sheet(h('h2', null, 'Known by then'), facts(Object.entries(decision.inputs).map(([name, count]) => [words(name), number(count)])))),
    sheet(h('h2', null, 'Answered'), splitView(decision.answer, {}, false)),
    sheet(h('details', null, h('summary', null, 'What it believed of the account and of each ad'), h('pre', null, JSON.stringify(decision.posterior, null, 2))))));
}

function again(decision) {
  return action('Compute it again', async () => {
    const told = await api.replayDecision(decision.decision_id);
    if (JSON.stringify(told) !== JSON.stringify(decision.answer)) throw new Error('The answer computed again is another one. Tell whoever runs this system.');
    return 'Computed again: the same answer.';
  }, { busy: 'Computing …' });
}
