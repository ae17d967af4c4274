// What happened day by day: money in, clicks, and what the deals are worth, with the days on which budgets changed.
import { useMemo } from 'react'
import type { Answer } from '../api/query'
import { Chart } from '../parts/lazychart'
import { change, money, number, share } from '../parts/format'

export type Day = Answer<'/api/ads/detail/{id}'>['days'][number]
type Entry = Answer<'/api/ads/history'>['history'][number]

const at = (day: string) => Date.parse(`${day}T00:00:00Z`) / 1000

const none: Entry[] = []

export function DayCharts({ days, currency, history = none, fatigue }: { days: Day[]; currency: string; history?: Entry[]; fatigue?: boolean }) {
  const x = useMemo(() => days.map((one) => at(one.day)), [days])
  const markers = useMemo(() => history.filter((one) => one.outcome === 'applied' && one.before_budget && one.after_budget !== undefined)
    .map((one) => ({ x: Date.parse(one.at) / 1000, label: `${money(one.before_budget, one.currency)} → ${money(one.after_budget, one.currency)} (${change(((one.after_budget ?? 0) / (one.before_budget ?? 1) - 1) * 100)}): ${one.reason}` })), [history])
  const value = useMemo(() => {
    const show = (v: number | null) => money(v, currency, true)
    return [
      { label: 'Spend', values: days.map((one) => one.spend), colour: 'soft' as const, show },
      { label: 'Pipeline value', values: days.map((one) => one.pipeline_value), colour: 'accent' as const, axis: 'right' as const, show },
      { label: 'Won value', values: days.map((one) => one.won_value), colour: 'warn' as const, axis: 'right' as const, dashed: true, show },
    ]
  }, [days, currency])
  const clicks = useMemo(() => [
    { label: 'Clicks', values: days.map((one) => one.clicks), colour: 'accent' as const, show: number },
    { label: 'CTR', values: days.map((one) => (one.impressions > 0 ? one.clicks / one.impressions : null)), colour: 'ink' as const, axis: 'right' as const, dashed: true, show: (v: number | null) => share(v, 2) },
  ], [days])
  const tired = useMemo(() => [
    { label: 'Frequency', values: days.map((one) => one.frequency ?? null), colour: 'bad' as const, show: (v: number | null) => (v === null ? '–' : v.toFixed(2)) },
    { label: 'CPM', values: days.map((one) => (one.impressions > 0 ? one.spend / one.impressions * 1000 : null)), colour: 'soft' as const, axis: 'right' as const, show: (v: number | null) => money(v, currency) },
  ], [days, currency])
  if (days.length === 0) return <p className="soft">No daily figures yet. They come with the hourly sync from Meta, or with a report that has days.</p>
  return (
    <div className="stack">
      <Chart label="Spend, pipeline and won value by day" x={x} series={value} markers={markers} />
      <p className="small soft">Pipeline and won value stand at the day of the click that they are credited to.</p>
      <div className="two">
        <Chart label="Clicks and click-through rate by day" x={x} series={clicks} height={180} />
        {fatigue && <Chart label="Frequency and price of a thousand impressions by day" x={x} series={tired} height={180} />}
      </div>
    </div>
  )
}
