// What several changes do together.
import type { Answer } from '../../api/query'
import { money, plural, signed } from '../../parts/format'

export type Change = Answer<'/api/ads/changes'>['changes'][number]

/** sum adds up what changes do, by currency; what is no budget is counted. */
export function sum(changes: Change[]): { text: string; facts: [string, string][] } {
  const moved = new Map<string, { up: number; down: number; before: number; after: number }>()
  let other = 0
  for (const one of changes) {
    if (one.kind !== 'budget' || one.target_budget === undefined || one.before_budget === undefined) { other++; continue }
    const of = moved.get(one.currency) ?? { up: 0, down: 0, before: 0, after: 0 }
    const step = one.target_budget - one.before_budget
    if (step > 0) of.up += step
    else of.down -= step
    of.before += one.before_budget
    of.after += one.target_budget
    moved.set(one.currency, of)
  }
  const facts = [...moved].flatMap(([currency, of]): [string, string][] => [
    ['Raised', signed(of.up, currency)], ['Cut', signed(-of.down, currency)], ['Together', `${money(of.before, currency)} → ${money(of.after, currency)} a day`],
  ])
  if (other > 0) facts.push(['Besides', `${plural(other, 'change')} of a status, a limit or an unknown budget`])
  return { facts, text: facts.map(([name, fact]) => `${name.toLowerCase()} ${fact}`).join(', ') }
}
