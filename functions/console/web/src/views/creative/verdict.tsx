// What the gate says of a creative, and from what.
import type { Answer } from '../../api/query'
import { Badge, Facts } from '../../parts/basic'
import { money, plural, share, times, words } from '../../parts/format'

export type Gate = Answer<'/api/ml/predict-creative', 'post'> & { gate?: string; test_budget?: number; currency?: string }

export function Verdict({ of }: { of: Gate }) {
  const { ctr, roas } = of.intervals
  return (
    <div className="stack" role="status">
      <h3><Badge of={of.decision} /> {of.reason}</h3>
      {of.recommendation && <p>{of.recommendation}</p>}
      <Facts of={[
        ['CTR', `${share(of.predicted_ctr, 2)}; nine chances in ten between ${share(ctr.low, 2)} and ${share(ctr.high, 2)}`],
        ['The account’s average', `${share(of.account_baseline, 2)} (${words(of.baseline_source).toLowerCase()})`],
        ['ROAS', `${times(of.predicted_roas)}; ${times(roas.low)} to ${times(roas.high)}`], ['Confidence', `${share(of.confidence)}, from ${plural(of.ads_in_history, 'ad')}`],
        of.gate && ['Asked', of.gate === 'value' ? 'what it would earn' : 'whether it would be clicked'], of.test_budget !== undefined && ['Try it with', money(of.test_budget, of.currency)],
      ]} />
      {(of.weaknesses ?? []).length > 0 && <ul>{(of.weaknesses ?? []).map((one) => <li key={one.feature}><b>{words(one.feature)} {one.value}</b> costs about {share(one.effect)} of the clicks.{one.instead && ` Better: ${one.instead}.`}</li>)}</ul>}
    </div>
  )
}
