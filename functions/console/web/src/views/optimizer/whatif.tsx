// What another total would bring: the same question asked for several totals, with the same random numbers.
import { useMutation } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { newKey } from '@geminivideo/ml-api'
import { send } from '../../api/query'
import { Go, Notice, Sheet } from '../../parts/basic'
import { Chart } from '../../parts/lazychart'
import { money, signed, times } from '../../parts/format'
import { expected, type Split } from './ask'

interface Point { total: number; brings: number }
const steps = [0.5, 0.75, 1.25, 1.5, 2]

export function WhatIf({ split, total, ask, currency }: { split: Split; total: number; ask: (budget: number, seed?: number) => object; currency: string }) {
  const [points, setPoints] = useState<Point[]>([])
  const draw = useMutation<Point[], Error>({
    mutationFn: async () => {
      const found: Point[] = [{ total: split.total_budget, brings: expected(split) }]
      for (const step of steps) {
        const at = Number((split.total_budget * step).toFixed(2))
        const told = await send('post', '/api/ml/battle-hardened/select', { body: ask(at, split.seed) as never }, newKey()) as Split
        found.push({ total: at, brings: expected(told) })
        setPoints([...found].sort((a, b) => a.total - b.total))
      }
      return found
    },
  })
  const chart = useMemo(() => ({
    x: points.map((one) => one.total),
    series: [
      { label: 'Expected pipeline a day', values: points.map((one) => one.brings), colour: 'accent' as const, show: (value: number | null) => money(value, currency, true) },
      { label: 'What is spent', values: points.map((one) => one.total), colour: 'soft' as const, dashed: true, show: (value: number | null) => money(value, currency, true) },
    ],
  }), [points, currency])
  const label = useMemo(() => (at: number) => money(at, currency, true), [currency])
  const here = points.find((one) => one.total === split.total_budget)
  const best = points.reduce<Point | undefined>((a, b) => (!a || b.brings - b.total > a.brings - a.total ? b : a), undefined)
  return (
    <Sheet title="What if the total were another?">
      <p className="soft small">Asks for half to twice of {money(total, currency)} and draws what each is expected to bring. Nothing is queued by asking.</p>
      <Go label="Draw the curve" busy={draw.isPending} error={draw.error} onClick={() => draw.mutate()} />
      {points.length > 1 && <Chart label="Expected pipeline by total budget" x={chart.x} series={chart.series} time={false} xLabel={label} />}
      {here && best && points.length > steps.length && (
        <Notice>At {money(here.total, currency)} a day {money(here.brings, currency)} of pipeline is expected, {times(here.brings / here.total)}. {best.total === here.total
          ? 'No other of these totals leaves more over what is spent.'
          : `Most is left over at ${money(best.total, currency)}: ${signed(best.brings - best.total - (here.brings - here.total), currency)} a day against now.`}</Notice>
      )}
    </Sheet>
  )
}
