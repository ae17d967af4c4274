// An allocation: what each ad has, what it should get, and why.

import { bar, h } from './dom.js';
import { change, money, plural, share, times } from './format.js';
import { badge } from './parts.js';
import { table } from './table.js';

/** splitView shows an answer of the allocation; names are the ads' by id, linked whether it leads to its decision. */
export function splitView(split, names = {}, linked = true) {
  const { currency, recommendations } = split;
  const highest = Math.max(...recommendations.map((ad) => ad.interval.high), 0.01);
  return h('div', { class: 'stack' },
    h('p', null, h('b', null, money(split.total_budget - split.unallocated_budget, currency)), ` of ${money(split.total_budget, currency)} a day for ${plural(split.num_ads, 'ad')}. `,
      linked && [h('a', { href: `#/decisions/${split.decision_id}` }, 'Kept as a decision'), '.']),
    split.unallocated_budget > 0 && h('p', { class: 'notice warn' },
      `${money(split.unallocated_budget, currency)} stays unallocated. ${split.unallocated_reason ?? ''}`),
    !(split.unallocated_budget > 0) && split.limit_reason && h('p', { class: 'notice' }, split.limit_reason),
    table('Recommended budgets', columns(currency, names, highest), recommendations, { column: 'Recommended', down: true }));
}

const columns = (currency, names, highest) => [
  { name: 'Ad', by: (ad) => names[ad.ad_id] ?? ad.ad_id, wide: true, show: (ad) => [h('b', null, names[ad.ad_id] ?? ad.ad_id, ' ', ['kill', 'scale'].includes(ad.verdict) && badge(ad.verdict)), h('span', { class: 'small soft' }, ad.reason)] },
  { name: 'Current', by: (ad) => ad.current_budget, number: true, show: (ad) => money(ad.current_budget, currency) },
  { name: 'Recommended', by: (ad) => ad.recommended_budget, number: true, show: (ad) => h('b', null, money(ad.recommended_budget, currency)) },
  { name: 'Change', by: (ad) => ad.change_percentage, number: true, show: (ad) => h('span', { class: mood(ad.change_percentage) }, change(ad.change_percentage)) },
  { name: 'Confidence', by: (ad) => ad.confidence, number: true, show: (ad) => share(ad.confidence) },
  { name: 'Likely return', by: (ad) => ad.interval.high, number: true, show: (ad) => range(ad.interval, highest) },
];

const mood = (percent) => (percent > 0 ? 'good' : percent < 0 ? 'bad' : 'soft');

// range is nine chances in ten of what a unit of money here finally returns,
// drawn on a scale that all rows share.
function range({ low, high }, highest) {
  const drawn = bar((high - low) / highest, '', low / highest);
  drawn.classList.add('range');
  return [h('span', { title: 'What each unit of money finally returns lies in this range with 9 chances in 10' }, `${times(low)} – ${times(high)}`), drawn];
}
