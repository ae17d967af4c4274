// The memory of winning ads, searched by meaning.

import { api } from './api.js';
import { bar, fill, h } from './dom.js';
import { number, plural, share, times, words } from './format.js';
import { action, empty, facts, field, form, load, sheet, view } from './parts.js';

const EXAMPLES = ['a question as the hook, fast cuts', '{"hook_type": "testimonial", "visual_pacing": "slow"}'];

export function winnersView() {
  const query = h('textarea', { required: true, maxlength: 32768, spellcheck: 'false', placeholder: 'Describe a creative, or paste its DNA as JSON' });
  const most = h('input', { type: 'number', min: 1, max: 100, value: 5, required: true });
  const likeness = h('input', { type: 'number', min: 0, max: 100, step: 'any', value: 0, required: true });
  const clicked = h('input', { type: 'number', min: 0, max: 100, step: 'any', value: 0, required: true });
  const found = h('div');
  const search = action('Find similar winners', async () => {
    fill(found, results(await api.searchWinners({
      query: query.value, top_k: Number(most.value), min_similarity: Number(likeness.value) / 100, min_ctr: Number(clicked.value) / 100,
    })));
  }, { primary: true, submit: true, busy: 'Searching …' });
  const example = (text) => h('button', { type: 'button', class: 'plain', onclick: () => { query.value = text; search.run(); } }, text);
  return view('Winners', 'Ads whose pipeline returned more than the bar are remembered with their creative DNA. Find those like an idea before you pay for it.',
    h('div', { class: 'two' },
      sheet(form({ class: 'stack' }, search, field('Text or creative DNA', query),
        h('div', { class: 'trio' }, field('At most', most), field('Similarity from, %', likeness), field('CTR from, %', clicked)),
        search), h('div', { class: 'small soft examples' }, 'For example', EXAMPLES.map(example))),
      sheet(h('h2', null, 'The memory'), load('the memory', api.memoryStats, stats))),
    found);
}

const stats = (memory) => facts([
  ['Winners', number(memory.total_winners_in_memory)],
  ['Remembered in all', number(memory.total_remembered)],
  ['Embedding model', memory.embedding_model],
  ['Dimensions', number(memory.dimension)],
  ['Search', memory.memory_backend],
  ['Index', `${number(Math.ceil(memory.index_bytes / 1024))} kB`],
]);

function results({ winners, total_in_memory: total }) {
  if (total === 0) {
    return sheet(empty('No winners yet', 'An ad becomes one by itself as soon as its pipeline ROAS passes 3 with at least 50 spent. Import a report, and let deals arrive.'));
  }
  if (winners.length === 0) {
    return sheet(empty('Nothing is that similar', `None of the ${plural(total, 'winner')} in memory passes your limits. Lower the similarity or the CTR.`));
  }
  return h('div', { class: 'stack' }, h('h2', { role: 'status' }, `${plural(winners.length, 'winner')} of ${number(total)}`), winners.map(match));
}

function match({ ad_id: id, similarity, metadata }) {
  const dna = Object.entries(metadata.creative_dna ?? {});
  const plain = dna.filter(([, value]) => value === null || typeof value !== 'object');
  return h('article', { class: 'sheet match' },
    h('div', { class: 'stack' },
      h('h3', null, id),
      plain.length > 0 ? h('ul', { class: 'chips' }, plain.map(([name, value]) => h('li', null, h('b', null, words(name), ' '), String(value))))
        : h('p', { class: 'soft small' }, 'Nothing is known of its creative.'),
      dna.length > plain.length && h('details', null, h('summary', null, 'All of its DNA'), h('pre', null, JSON.stringify(metadata.creative_dna, null, 2)))),
    h('div', null, h('div', { class: 'number' }, `${share(similarity, 1)} alike`), bar(similarity),
      facts([['ROAS', times(metadata.pipeline_roas)], ['CTR', share(metadata.ctr, 2)]])));
}
