// Every call that the console makes. A test holds these paths against openapi.json.

import { session } from './session.js';

/** Problem is an answer that is not a success: the API's RFC 9457 problem, or none at all. */
export class Problem extends Error {
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

// path fills a template's holes with one path segment each.
const path = (texts, ...values) => String.raw({ raw: texts }, ...values.map(encodeURIComponent));

async function send(method, address, { query, body, form } = {}) {
  const headers = { Accept: 'application/json', Authorization: `Bearer ${session()?.token ?? ''}` };
  if (method !== 'GET') headers['Idempotency-Key'] = fresh();
  if (body) headers['Content-Type'] = 'application/json';
  const asked = new URLSearchParams(Object.entries(query ?? {}).filter(([, value]) => value != null && value !== ''));
  let answer;
  try {
    answer = await fetch(asked.size ? `${address}?${asked}` : address, { method, headers, body: form ?? (body && JSON.stringify(body)) });
  } catch {
    throw new Problem(0, 'The API cannot be reached. Check your connection and try again.');
  }
  const told = await answer.json().catch(() => null);
  if (answer.ok && told !== null) return told;
  if (answer.status === 401) window.dispatchEvent(new CustomEvent('signed-out', { detail: told?.detail }));
  throw new Problem(answer.status, told?.detail ?? `The API answered ${answer.status} without saying why.`, told?.errors);
}

// fresh is a key of its own for one write. randomUUID is only there on https and localhost.
function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** all follows a list's pages to its end. */
async function all(address, member) {
  const found = [];
  for (let after; ;) {
    const page = await send('GET', address, { query: { after } });
    found.push(...page[member]);
    if (!page.next) return found;
    after = page.next;
  }
}

export const api = {
  campaigns: () => all('/api/campaigns', 'campaigns'),
  campaign: (id) => send('GET', path`/api/campaigns/${id}`, { query: { limit: 1 } }),
  ads: (id) => all(path`/api/campaigns/${id}/ads`, 'ads'),
  importAds: (form, dryRun) => send('POST', '/api/ads/import', { form, query: { dry_run: dryRun } }),
  funnel: () => send('GET', '/api/deals/funnel'),

  select: (body) => send('POST', '/api/ml/battle-hardened/select', { body }),
  decisions: (before) => send('GET', '/api/decisions', { query: { before } }),
  decision: (id) => send('GET', path`/api/decisions/${id}`),
  replayDecision: (id) => send('POST', path`/api/decisions/${id}/replay`),

  searchWinners: (body) => send('POST', '/api/ml/rag/search-winners', { body }),
  memoryStats: () => send('GET', '/api/ml/rag/memory-stats'),

  stages: () => send('GET', '/api/ml/synthetic-revenue/stages', { query: { tenant_id: session()?.tenant } }),
  putStage: (name, body) =>
    send('PUT', path`/api/ml/synthetic-revenue/stages/${name}`, { body: { tenant_id: session()?.tenant, ...body } }),

  apply: (id) => send('POST', '/api/ml/battle-hardened/apply', { body: { decision_id: id } }),
  sweep: () => send('POST', '/api/ml/fatigue/sweep'),
  changes: (query) => send('GET', '/api/ads/changes', { query }),
  history: (query) => send('GET', '/api/ads/history', { query }),
  approveChange: (id, digest) => send('POST', path`/api/ads/changes/${id}/approve`, { body: { digest } }),
  rejectChange: (id) => send('POST', path`/api/ads/changes/${id}/reject`, { body: {} }),
  undoChange: (id) => send('POST', path`/api/ads/changes/${id}/undo`),
  accounts: () => send('GET', '/api/accounts'),
  putAccount: (id, body) => send('PUT', path`/api/accounts/${id}`, { body }),

  predict: (body) => send('POST', '/api/ml/predict-creative', { body }),
  battlePlan: (body) => send('POST', '/api/titan/director/battle-plan', { body }),
  plans: (cursor) => send('GET', '/api/titan/director/plans', { query: { cursor } }),
  plan: (id) => send('GET', path`/api/titan/director/plans/${id}`),

  deadLetters: (query) => send('GET', '/api/dead-letters', { query }),
  replayLetter: (id) => send('POST', path`/api/dead-letters/${id}/replay`),
};
