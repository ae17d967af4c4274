// What the allocation recommends, and how it is applied: all of it or some, its effect first.
import { useMemo, useState } from 'react'
import { Link } from 'wouter'
import type { Ad, Campaign } from '@geminivideo/ml-api'
import { useSend, useGet } from '../../api/query'
import { Badge, Bar, Facts, Go, Notice, Sheet, Trouble } from '../../parts/basic'
import { Dialog } from '../../parts/dialog'
import { change, money, number, plural, share, signed, times } from '../../parts/format'
import { Table, type Column } from '../../parts/table'
import { effect, type Outlook, type Recommendation, type Split } from './ask'

const modes: Record<string, string> = {
  dry_run: 'The account is in dry run: the changes are worked through and recorded, and nothing on Meta moves.',
  approval: 'The account asks for approval: the changes wait until an admin approves them.',
  live: 'The account is live: the changes are carried out by themselves, a fifth in six hours at most.',
}

export function Result({ split, ads, campaign, excluded }: { split: Split; ads: Ad[]; campaign: Campaign; excluded: Set<string> }) {
  const names = useMemo(() => new Map(ads.map((ad) => [ad.id, ad.name])), [ads])
  const movable = split.recommendations.filter((one) => !excluded.has(one.ad_id) && one.recommended_budget !== one.current_budget)
  const [left, setLeft] = useState(new Set<string>())
  const [asking, setAsking] = useState(false)
  const [applied, setApplied] = useState<{ queued: number; of: number; not?: string }>()
  const apply = useSend('post', '/api/ml/battle-hardened/apply', ['/api/ads/changes'])
  const mode = useGet('/api/accounts').data?.accounts.find((one) => one.account_id === campaign.account_id)?.mode
  const chosen = movable.filter((one) => !left.has(one.ad_id))
  const does = effect(chosen)
  const choose = (ids: string[], on: boolean) => {
    const next = new Set(left)
    for (const id of ids) { if (on) next.delete(id); else next.add(id) }
    setLeft(next)
  }
  const send = () => apply.mutate({ body: { decision_id: split.decision_id, ...(left.size > 0 && { ad_ids: chosen.map((one) => one.ad_id) }) } }, {
    onSuccess: (told) => {
      const not = told.ads.find((ad) => !ad.change_id && ad.status !== 'unchanged')
      setApplied({ queued: told.queued, of: told.ads.length, not: not && `${names.get(not.ad_id) ?? not.ad_id}: ${not.reason}` })
      setAsking(false)
    },
  })
  return (
    <Sheet flush title="Recommendations" beside={<Link href={`/decisions/${split.decision_id}`}>Kept as a decision</Link>}>
      <div className="inner stack">
        <p role="status"><b>{money(split.total_budget - split.unallocated_budget, split.currency)}</b> of {money(split.total_budget, split.currency)} a day for {plural(split.num_ads, 'ad')}.</p>
        {split.unallocated_budget > 0 && <Notice mood="warn">{money(split.unallocated_budget, split.currency)} stays unallocated. {split.unallocated_reason}</Notice>}
        {!(split.unallocated_budget > 0) && split.limit_reason && <Notice>{split.limit_reason}</Notice>}
        {split.account && <AccountOutlook of={split.account} currency={split.currency} />}
      </div>
      <Table caption="Recommended budgets" param="split" rows={split.recommendations} id={(one) => one.ad_id} sorted="-Recommended" height={64}
        columns={columns(split, names, left, choose, movable)} />
      <BeforeAfter split={split} names={names} />
      <div className="sum">
        <span>{plural(chosen.length, 'ad')} chosen: <b className="good">+{money(does.raised, split.currency)}</b> for {does.raises}, <b className="bad">−{money(does.cut, split.currency)}</b> from {does.cuts}, {money(does.before, split.currency)} → <b>{money(does.after, split.currency)}</b> a day</span>
        <Go label={left.size > 0 ? 'Apply these …' : 'Apply all …'} primary disabled={chosen.length === 0} onClick={() => setAsking(true)}
          done={applied && <>{plural(applied.queued, 'ad')} of {applied.of} queued. <Link href="/changes">See the changes</Link> {applied.not}</>} />
      </div>
      <Dialog title={`Apply to ${plural(chosen.length, 'ad')}?`} open={asking} onClose={() => setAsking(false)}>
        <Facts of={[
          ['Now', `${money(does.before, split.currency)} a day`], ['Then', `${money(does.after, split.currency)} a day`],
          ['Raised', `${plural(does.raises, 'ad')}, +${money(does.raised, split.currency)}`], ['Cut', `${plural(does.cuts, 'ad')}, −${money(does.cut, split.currency)}`],
          ['Likely pipeline', `${signed(does.pipeline, split.currency)} a day, from the middle of each ad’s range`],
        ]} />
        {mode && <Notice mood={mode === 'live' ? 'warn' : ''}>{modes[mode]}</Notice>}
        <Trouble error={apply.error} />
        <div className="row">
          <Go label="Apply" primary busy={apply.isPending} onClick={send} />
          <Go label="Not now" onClick={() => setAsking(false)} />
        </div>
      </Dialog>
    </Sheet>
  )
}

const outlooks: Record<Outlook['verdict'], string> = {
  spend_more: 'More money would pay', hold: 'This total is about right', spend_less: 'Less money would pay better', unknown: 'It is too early to say whether this total pays',
}

const AccountOutlook = ({ of, currency }: { of: Outlook; currency: string }) => (
  <Notice mood={of.verdict === 'spend_less' ? 'warn' : of.verdict === 'spend_more' ? 'good' : ''}>
    <b>{outlooks[of.verdict]}.</b> {of.reason} Expected: {money(of.expected_return, currency)} of pipeline a day; the next unit of money brings {times(of.marginal_return)} against {times(of.break_even)} to break even.
    {of.total_at_break_even !== undefined && ` It would break even at ${money(of.total_at_break_even, currency)} a day.`}
  </Notice>
)

function columns(split: Split, names: Map<string, string>, left: Set<string>, choose: (ids: string[], on: boolean) => void, movable: Recommendation[]): Column<Recommendation>[] {
  const { currency } = split
  const highest = Math.max(...split.recommendations.map((one) => one.interval.high), 0.01)
  const can = new Set(movable.map((one) => one.ad_id))
  const name = (one: Recommendation) => names.get(one.ad_id) ?? one.ad_id
  return [
    {
      name: 'Apply', head: <input type="checkbox" aria-label="Apply all" checked={left.size === 0} onChange={(event) => choose(movable.map((one) => one.ad_id), event.target.checked)} />,
      show: (one) => can.has(one.ad_id) && <input type="checkbox" aria-label={`Apply to ${name(one)}`} checked={!left.has(one.ad_id)} onChange={(event) => choose([one.ad_id], event.target.checked)} />,
    },
    {
      name: 'Ad', by: name, wide: true,
      show: (one) => <><Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{name(one)}</Link> {['kill', 'scale'].includes(one.verdict) && <Badge of={one.verdict} />}<span className="small soft line">{one.reason}</span></>,
    },
    { name: 'Current', by: (one) => one.current_budget, number: true, show: (one) => money(one.current_budget, currency) },
    { name: 'Recommended', by: (one) => one.recommended_budget, number: true, show: (one) => <b>{money(one.recommended_budget, currency)}</b> },
    { name: 'Change', by: (one) => one.change_percentage, number: true, show: (one) => <span className={one.change_percentage > 0 ? 'good' : one.change_percentage < 0 ? 'bad' : 'soft'}>{change(one.change_percentage)}</span> },
    { name: 'Confidence', by: (one) => one.confidence, number: true, show: (one) => share(one.confidence) },
    {
      name: 'Likely return', by: (one) => one.interval.high, number: true, minor: true,
      show: (one) => <span title="What each unit of money finally returns lies in this range with 9 chances in 10">{times(one.interval.low)} – {times(one.interval.high)}<Bar className="range" from={one.interval.low / highest} share={(one.interval.high - one.interval.low) / highest} /></span>,
    },
    { name: 'CTR', by: (one) => one.metrics.ctr, number: true, minor: true, show: (one) => share(one.metrics.ctr / 100, 2) },
    { name: 'ROAS', by: (one) => one.metrics.pipeline_roas, number: true, minor: true, show: (one) => times(one.metrics.pipeline_roas) },
  ]
}

const drawn = 20

function BeforeAfter({ split, names }: { split: Split; names: Map<string, string> }) {
  const moved = [...split.recommendations].sort((a, b) => Math.abs(b.recommended_budget - b.current_budget) - Math.abs(a.recommended_budget - a.current_budget)).slice(0, drawn)
  const most = Math.max(...moved.flatMap((one) => [one.current_budget, one.recommended_budget]), 0.01)
  return (
    <details className="inner" open={split.recommendations.length <= 12}>
      <summary>Before and after, drawn: the {plural(moved.length, 'largest move')}{split.num_ads > drawn && ` of ${number(split.num_ads)} ads`}</summary>
      <div className="pairs" role="img" aria-label="Budgets before and after; the figures are in the table above">
        {moved.map((one) => (
          <Pair key={one.ad_id} name={names.get(one.ad_id) ?? one.ad_id} before={one.current_budget / most} after={one.recommended_budget / most}
            text={`${money(one.current_budget, split.currency)} → ${money(one.recommended_budget, split.currency)}`} />
        ))}
      </div>
      <ul className="keys" aria-hidden="true">
        <li><svg viewBox="0 0 10 10"><rect className="ink-soft" width="10" height="10" /></svg>now</li><li><svg viewBox="0 0 10 10"><rect className="ink-accent" width="10" height="10" /></svg>recommended</li>
      </ul>
    </details>
  )
}

const Pair = ({ name, before, after, text }: { name: string; before: number; after: number; text: string }) => (
  <>
    <span className="name" title={name}>{name}</span>
    <svg viewBox="0 0 100 16" preserveAspectRatio="none"><rect className="ink-soft" width={before * 100} height="7" /><rect className="ink-accent" y="9" width={after * 100} height="7" /></svg>
    <span>{text}</span>
  </>
)
