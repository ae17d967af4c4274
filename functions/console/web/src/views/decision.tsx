// One allocation: what was asked, what was known, what was answered; and the same computed again.
import { Link, useParams } from 'wouter'
import { useAdNames } from '../api/ads'
import { useGet, useSend } from '../api/query'
import { may } from '../auth/session'
import { Badge, Bar, Facts, Go, Load, Sheet, View } from '../parts/basic'
import { change, money, number, share, signed, time, times, words } from '../parts/format'
import { Table } from '../parts/table'
import type { Split } from './optimizer/ask'

export function DecisionView() {
  const { id = '' } = useParams()
  const found = useGet('/api/decisions/{id}', { path: { id } }, { staleTime: Infinity })
  return <Load of={found} what="the decision">{(decision) => <Decision key={id} decision={decision as unknown as Decided} />}</Load>
}

interface Decided {
  decision_id: string; created_at: string; requested_by: string; account_id: string; total_budget: number; currency: string; model_version: string; architecture: string; seed: number; expected_gain?: number
  inputs: Record<string, number>; answer: Split; posterior: unknown
}

function Decision({ decision }: { decision: Decided }) {
  const split = decision.answer
  const name = useAdNames(split.recommendations.map((one) => one.ad_id).slice(0, 1000))
  const account = useGet('/api/accounts').data?.accounts.find((one) => one.account_id === decision.account_id)?.name || decision.account_id
  const highest = Math.max(...split.recommendations.map((one) => one.interval.high), 0.01)
  return (
    <View title={`Decision of ${time(decision.created_at)}`} crumbs={[['Decisions', '/decisions']]}>
      <div className="two">
        <Sheet title="Asked">
          <Facts of={[
            ['By', decision.requested_by], decision.account_id !== '' && ['Account', account], ['Budget', money(decision.total_budget, decision.currency)], ['Model', decision.model_version],
            ['Processor', decision.architecture], ['Seed', String(decision.seed)], split.account && ['Expected', `${money(split.account.expected_return, decision.currency)} of pipeline a day`],
            decision.expected_gain !== undefined && ['Against the budgets before it', `${signed(decision.expected_gain, decision.currency)} of pipeline a day`],
          ]} />
          {may('admin') && <Again decision={decision} />}
        </Sheet>
        <Sheet title="Known by then"><Facts of={Object.entries(decision.inputs).map(([key, count]) => [words(key), number(count)])} /></Sheet>
      </div>
      <Sheet flush title="Answered">
        <Table caption="Recommended budgets" rows={split.recommendations} id={(one) => one.ad_id} sorted="-Recommended" height={64} columns={[
          { name: 'Ad', by: (one) => name(one.ad_id), wide: true, show: (one) => <><Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{name(one.ad_id)}</Link> {['kill', 'scale'].includes(one.verdict) && <Badge of={one.verdict} />}<span className="small soft line">{one.reason}</span></> },
          { name: 'Current', by: (one) => one.current_budget, number: true, minor: true, show: (one) => money(one.current_budget, split.currency) },
          { name: 'Recommended', by: (one) => one.recommended_budget, number: true, show: (one) => <b>{money(one.recommended_budget, split.currency)}</b> },
          { name: 'Change', by: (one) => one.change_percentage, number: true, show: (one) => change(one.change_percentage) },
          { name: 'Confidence', by: (one) => one.confidence, number: true, show: (one) => share(one.confidence) },
          { name: 'Likely return', by: (one) => one.interval.high, number: true, minor: true, show: (one) => <>{times(one.interval.low)} – {times(one.interval.high)}<Bar className="range" from={one.interval.low / highest} share={(one.interval.high - one.interval.low) / highest} /></> },
        ]} />
      </Sheet>
      <Sheet><details><summary>What it believed of the account and of each ad</summary><pre tabIndex={0}>{JSON.stringify(decision.posterior, null, 2).slice(0, 200_000)}</pre></details></Sheet>
    </View>
  )
}

function Again({ decision }: { decision: Decided }) {
  const replay = useSend('post', '/api/decisions/{id}/replay')
  const same = replay.data && JSON.stringify(replay.data) === JSON.stringify(decision.answer)
  const error = replay.error ?? (replay.data && !same ? new Error('The answer computed again is another one. Tell whoever runs this system.') : undefined)
  return <Go label="Compute it again" busy={replay.isPending} error={error} done={same && 'Computed again: the same answer.'} onClick={() => replay.mutate({ params: { path: { id: decision.decision_id } } })} />
}
