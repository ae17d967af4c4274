// What the allocation is asked: which ads, under which limits, for how much.
import type { Ad, AdState } from '@geminivideo/ml-api'
import type { Answer } from '../../api/query'
import { ageHours } from '../../parts/format'

/** A split as the allocation answers it. Older answers have no outlook for the account. */
export type Split = Answer<'/api/ml/battle-hardened/select', 'post'> & { account?: Outlook }
export type Recommendation = Split['recommendations'][number]
export interface Outlook {
  expected_return: number; marginal_return: number; break_even: number
  verdict: 'spend_more' | 'hold' | 'spend_less' | 'unknown'; reason: string; total_at_break_even?: number
}
export interface Limit { min?: number; max?: number }

/** stateOf is an ad as the allocation takes it. A budget that is not known is left out, so that it is estimated and limits nothing. */
export function stateOf(ad: Ad, limit: Limit | undefined, excluded: boolean): AdState {
  return {
    ad_id: ad.id, impressions: ad.impressions, clicks: ad.clicks, spend: ad.spend, pipeline_value: ad.pipeline_value, cash_revenue: ad.revenue, age_hours: ageHours(ad),
    ...(ad.daily_budget > 0 && { current_budget: ad.daily_budget }),
    ...(limit?.min !== undefined && { min_budget: limit.min }), ...(limit?.max !== undefined && { max_budget: limit.max }),
    ...(excluded && { excluded: true }),
  }
}

/** Limits and exclusions are short texts in the address: "id~min~max" and ids, with commas between. */
export const readLimits = (text: string) => new Map<string, Limit>(text.split(',').filter(Boolean).map((one) => {
  const [id = '', min, max] = one.split('~')
  return [decodeURIComponent(id), { min: min ? Number(min) : undefined, max: max ? Number(max) : undefined }]
}))

export const writeLimits = (limits: Map<string, Limit>) => [...limits].filter(([, one]) => one.min !== undefined || one.max !== undefined)
  .map(([id, one]) => `${encodeURIComponent(id)}~${one.min ?? ''}~${one.max ?? ''}`).join(',')

export const readIds = (text: string) => new Set(text.split(',').filter(Boolean).map(decodeURIComponent))
export const writeIds = (ids: Set<string>) => [...ids].map(encodeURIComponent).join(',')

/** expected is the pipeline value a day that a split is expected to bring. */
export const expected = (split: Split) => split.account?.expected_return
  ?? split.recommendations.reduce((sum, one) => sum + one.recommended_budget * (one.interval.low + one.interval.high) / 2, 0)

/** effect is what a choice of recommendations does together. */
export function effect(chosen: Recommendation[]) {
  const sum = { before: 0, after: 0, raised: 0, cut: 0, raises: 0, cuts: 0, pipeline: 0 }
  for (const one of chosen) {
    const step = one.recommended_budget - one.current_budget
    sum.before += one.current_budget
    sum.after += one.recommended_budget
    sum.pipeline += step * (one.interval.low + one.interval.high) / 2
    if (step > 0) { sum.raised += step; sum.raises++ }
    if (step < 0) { sum.cut -= step; sum.cuts++ }
  }
  return sum
}
