// A plan: what to film, what it is borrowed from, and what is expected of it.

import { h } from './dom.js';
import { number, share, times, words } from './format.js';
import { badge, facts } from './parts.js';
import { table } from './table.js';

/** planView shows a battle plan or a fix plan. */
export function planView(plan) {
  const planned = plan.planned;
  return h('div', { class: 'stack' },
    h('h3', null, badge(plan.kind, plan.kind === 'battle_plan' ? 'good' : 'warn'), ` by ${plan.generated_by}`),
    plan.fallback_reason && h('p', { class: 'notice' }, `The template wrote it: ${plan.fallback_reason}.`),
    plan.note && h('p', { class: 'notice' }, plan.note),
    h('p', null, plan.rationale),
    facts([
      ['Expected CTR', `${share(plan.prediction.predicted_ctr, 2)}${planned ? `; planned like this ${share(planned.predicted_ctr, 2)}` : ''}`],
      ['Hook', [h('b', null, `${words(plan.hook.type)}: `), plan.hook.text, ' ', h('span', { class: 'soft' }, plan.hook.direction)]],
      ['Pacing', `${words(plan.pacing.type)}, a cut every ${number(plan.pacing.seconds_per_cut)} s`],
      ['Call to action', `${words(plan.cta.type)}: ${plan.cta.text}`],
      ['Caption', plan.caption],
    ]),
    plan.fixes.length > 0 && h('div', null, h('h3', null, 'What to change'), h('ul', null, plan.fixes.map((fix) => h('li', null, h('b', null, `${words(fix.feature)} ${fix.now}`), ` ${fix.change}`)))),
    table('Scenes', [
      { name: 'Seconds', number: true, show: (s) => `${number(s.start_seconds)}–${number(s.end_seconds)}` },
      { name: 'For', show: (s) => badge(s.purpose) },
      { name: 'Seen', wide: true, show: (s) => [h('span', null, s.shot), s.on_screen_text && h('span', { class: 'small soft' }, `On screen: ${s.on_screen_text}`)] },
      { name: 'Said', wide: true, show: (s) => h('span', null, s.voiceover) },
      { name: 'Borrowed from', minor: true, show: (s) => h('span', { class: 'id' }, s.from_ads.join(', ')) },
    ], plan.scenes),
    plan.winners.length > 0 && table('Winners', [
      { name: 'Winner', wide: true, show: (w) => [h('b', null, w.ad_id), h('span', { class: 'small soft' }, w.borrowed.join(', ') || 'for comparison')] },
      { name: 'Hook', show: (w) => words(w.hook_type || '–') },
      { name: 'Alike', number: true, minor: true, show: (w) => share(w.similarity) },
      { name: 'ROAS', number: true, show: (w) => times(w.pipeline_roas) },
      { name: 'CTR', number: true, minor: true, show: (w) => share(w.ctr, 2) },
    ], plan.winners));
}
