// A creative before money is spent on it: what the oracle expects, and the plan.

import { api } from './api.js';
import { fill, h } from './dom.js';
import { plural, share, time, times, words } from './format.js';
import { action, badge, empty, field, form, load, sheet, view } from './parts.js';
import { planView } from './plan.js';
import { may } from './session.js';
import { table } from './table.js';

const EXAMPLE = { hook_type: 'question', hook_strength: 0.8, visual_pacing: 'fast', cta_type: 'learn_more', captions: true };

export function creativesView() {
  return view('Creatives', 'Describe an idea by its creative DNA. The gate says whether it is worth spending on, and the director writes its plan from what has won.',
    may('editor') && load('accounts', api.accounts, ({ accounts }) => judge(accounts)),
    load('plans', () => api.plans(), list));
}

function judge(accounts) {
  if (accounts.length === 0) return sheet(empty('No ad account yet', 'Import a report first: what your ads have done is what the gate goes by.', ['Import', '#/import']));
  const account = h('select', null, accounts.map((a) => h('option', { value: a.account_id }, a.name || a.account_id)));
  const dna = h('textarea', { required: true, maxlength: 32768, spellcheck: 'false', rows: 6 });
  dna.value = JSON.stringify(EXAMPLE, null, 2);
  const result = h('div');
  const described = () => {
    try {
      return JSON.parse(dna.value);
    } catch {
      throw new Error('The creative DNA is not JSON: write it like the example, in braces with quoted names.');
    }
  };
  const ask = action('Judge it', async () => fill(result, verdict(await api.predict({ creative_dna: described(), account_id: account.value }))), { primary: true, submit: true, busy: 'Judging …' });
  const write = action('Write the plan', async () => {
    const plan = await api.battlePlan({ video_id: `console-${Date.now()}`, creative_dna: described(), account_id: account.value });
    fill(result, planView(plan));
  }, { busy: 'Writing …' });
  return sheet(form({ class: 'stack' }, ask, h('div', { class: 'row' }, field('Account', account)), field('Creative DNA', dna), h('div', { class: 'row' }, ask, write)), result);
}

function verdict(told) {
  const { ctr, roas } = told.intervals;
  return h('div', { class: 'stack', role: 'status' },
    h('h3', null, badge(told.decision, told.decision === 'PROCEED' ? 'good' : 'bad'), ' ', told.reason),
    told.recommendation && h('p', null, told.recommendation),
    h('p', { class: 'soft small' }, `CTR ${share(told.predicted_ctr, 2)} (nine chances in ten between ${share(ctr.low, 2)} and ${share(ctr.high, 2)}), against an average of ${share(told.account_baseline, 2)} (${words(told.baseline_source).toLowerCase()}). ROAS ${times(told.predicted_roas)} (${times(roas.low)} to ${times(roas.high)}). Confidence ${share(told.confidence)}, from ${plural(told.ads_in_history, 'ad')}.`),
    told.weaknesses.length > 0 && h('ul', null, told.weaknesses.map((w) => h('li', null, h('b', null, `${words(w.feature)} ${w.value}`), ` costs about ${share(w.effect)} of the clicks.`, w.instead && ` Better: ${w.instead}.`))));
}

function list(first) {
  if (first.plans.length === 0) return sheet(empty('No plans yet', 'Judge a creative above and have its plan written; replacements for tired ads appear here by themselves.'));
  const place = h('div', { class: 'stack' });
  const draw = (known, next) => fill(place,
    h('section', { class: 'sheet flush' }, table('Plans', columns, known)),
    next && action('Show older ones', async () => {
      const more = await api.plans(next);
      draw([...known, ...more.plans], more.next_cursor);
    }));
  draw(first.plans, first.next_cursor);
  return place;
}

const columns = [
  { name: 'When', by: (p) => p.created_at, show: (p) => h('a', { href: `#/creatives/${p.plan_id}` }, time(p.created_at)) },
  { name: 'Kind', by: (p) => p.kind, show: (p) => badge(p.kind, p.kind === 'battle_plan' ? 'good' : 'warn') },
  { name: 'For', by: (p) => p.ad_id || p.video_id, wide: true, show: (p) => h('span', null, p.ad_id ? `in place of ad ${p.ad_id}` : `video ${p.video_id}`) },
  { name: 'Hook', by: (p) => p.hook_type, wide: true, minor: true, show: (p) => [h('b', null, words(p.hook_type)), h('span', { class: 'small soft' }, p.hook_text)] },
  { name: 'Expected CTR', by: (p) => p.predicted_ctr, number: true, show: (p) => share(p.predicted_ctr, 2) },
  { name: 'Written by', by: (p) => p.generated_by, minor: true, show: (p) => h('span', { class: 'id' }, p.generated_by) },
];

export function creativeView(id) {
  return load('the plan', () => api.plan(id), (plan) => h('div', { class: 'view' },
    h('div', { class: 'head' }, h('h1', { tabindex: -1 }, `${words(plan.kind)} of ${time(plan.created_at)}`),
      h('p', { class: 'crumb' }, h('a', { href: '#/creatives' }, 'Creatives'), ' / ', h('span', { class: 'id' }, plan.plan_id))),
    sheet(planView(plan))));
}
