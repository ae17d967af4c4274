// What is to be changed on the ad platform: approved, rejected, cancelled and undone here, several at once.
import { useMutation } from '@tanstack/react-query'
import { Problem } from '@geminivideo/ml-api'
import { useState } from 'react'
import { Link } from 'wouter'
import { invalidate, send, useGet, useIntent, useSend, type Answer } from '../../api/query'
import { may } from '../../auth/session'
import { useParam } from '../../parts/address'
import { Badge, Empty, Facts, Field, Go, Load, Notice, Sheet, Trouble, View, said } from '../../parts/basic'
import { Alarm } from '../../parts/alarm'
import { Dialog } from '../../parts/dialog'
import { change as percent, money, plural, time, words } from '../../parts/format'
import { Table, type Column } from '../../parts/table'
import { sum, type Change } from './sum'

const shown: [string, string][] = [['open', 'Open'], ['awaiting_approval', 'Awaiting approval'], ['pending', 'Pending'], ['held', 'Held'], ['applied', 'Applied'], ['dry_run', 'Dry runs'], ['failed', 'Failed'], ['', 'All']]
const renews = ['/api/ads/changes', '/api/ads/history'] as const

export function ChangesView() {
  const [show, setShow] = useParam('show', 'open')
  const [cursor, setCursor] = useParam('from')
  const list = useGet('/api/ads/changes', { query: { status: (show || undefined) as 'open', limit: 100, cursor: cursor || undefined } }, { refetchInterval: 20_000 })
  return (
    <View title="Changes" lead="Budgets move on Meta only through this queue: a fifth in six hours at most, never twice, and never against somebody’s own edit." beside={<Link href="/changes/history">History of every attempt</Link>}>
      <div className="row">
        <Field label="Show"><select value={show} onChange={(event) => { setCursor(''); setShow(event.target.value) }}>{shown.map(([value, name]) => <option key={value} value={value}>{name}</option>)}</select></Field>
        {may('editor') && <Sweeper />}
      </div>
      <Load of={list} what="changes">{(told) => (told.changes.length === 0
        ? <Sheet><Empty title={show === 'open' ? 'Nothing is open' : 'No such changes'} hint="Split a campaign’s budget and apply what it recommends, or let the sweep find tired ads." to={['Budget', '/budget']} /></Sheet>
        : <Queue key={show + cursor} changes={told.changes} />)}</Load>
      <div className="row">
        {cursor && <button type="button" onClick={() => setCursor('')}>The newest</button>}
        {list.data?.next_cursor && <button type="button" onClick={() => setCursor(list.data?.next_cursor ?? '')}>Older ones</button>}
      </div>
    </View>
  )
}

function Sweeper() {
  const sweep = useSend('post', '/api/ml/fatigue/sweep', [...renews, '/api/campaigns/{id}/ads'])
  const found = sweep.data
  return <>
    {(found?.account_alerts ?? []).filter((one) => !one.resolved_at).map((one) => <Alarm key={one.account_id + one.kind} of={one} />)}
    <Go label="Look for tired ads" busy={sweep.isPending} error={sweep.error} onClick={() => sweep.mutate({})}
    done={found && `${plural(found.looked_at, 'active ad')} looked at: ${Object.entries(found.by_status).map(([name, count]) => `${count} ${words(name).toLowerCase()}`).join(', ')}. ${plural(found.cuts, 'cut')} queued.`} />
  </>
}

type Act = 'approve' | 'reject'

function Queue({ changes }: { changes: Change[] }) {
  const [ticked, setTicked] = useState(new Set<string>())
  const [asking, setAsking] = useState<Act>()
  const intent = useIntent()
  const decidable = changes.filter((one) => one.status === 'awaiting_approval' || one.status === 'pending')
  const chosen = decidable.filter((one) => ticked.has(one.id))
  const approvable = chosen.filter((one) => one.status === 'awaiting_approval')
  const tick = (ids: string[], on: boolean) => {
    const next = new Set(ticked)
    for (const id of ids) { if (on) next.add(id); else next.delete(id) }
    setTicked(next)
  }
  const decide = useMutation<{ done: number; failed: { change: Change; why: string }[] }, Error, { act: Act; of: Change[] }>({
    mutationFn: async ({ act, of }) => {
      const failed: { change: Change; why: string }[] = []
      for (const one of of) {
        const wish = [act, one.id, one.digest]
        try {
          if (act === 'approve') await send('post', '/api/ads/changes/{id}/approve', { params: { path: { id: one.id } }, body: { digest: one.digest } }, intent.key(wish))
          else await send('post', '/api/ads/changes/{id}/reject', { params: { path: { id: one.id } }, body: {} as never }, intent.key(wish))
          intent.over(wish)
        } catch (error) {
          intent.over(wish, error)
          failed.push({ change: one, why: said(error) })
        }
      }
      return { done: of.length - failed.length, failed }
    },
    onSuccess: ({ failed }) => { setTicked(new Set(failed.map((one) => one.change.id))); setAsking(undefined) },
    onSettled: () => invalidate(...renews),
  })
  const of = asking === 'approve' ? approvable : chosen
  const told = decide.data
  return (
    <Sheet flush>
      <Table caption="Changes" rows={changes} id={(one) => one.id} height={84} columns={columns(ticked, tick, decidable)} />
      {may('editor') && decidable.length > 0 && (
        <div className="sum">
          <span>{plural(chosen.length, 'change')} chosen{chosen.length > 0 && <>: {sum(chosen).text}</>}</span>
          {may('admin') && <Go label="Approve …" primary disabled={approvable.length === 0} onClick={() => setAsking('approve')} />}
          <Go label="Reject or cancel …" disabled={chosen.length === 0} onClick={() => setAsking('reject')} />
          <div role="status">{told && !decide.isPending && <Notice mood={told.failed.length > 0 ? 'warn' : 'good'}>{plural(told.done, 'change')} decided.{told.failed.map((one) => <span key={one.change.id} className="line">{one.change.ad_name}: {one.why}</span>)}</Notice>}</div>
        </div>
      )}
      <Dialog title={asking === 'approve' ? `Approve ${plural(of.length, 'change')}?` : `Reject ${plural(of.length, 'change')}?`} open={asking !== undefined} onClose={() => setAsking(undefined)}>
        <Facts of={sum(of).facts} />
        <p>{asking === 'approve' ? 'Exactly these plans are approved; one that changes in the meantime waits again.' : 'They end here. Steps that were made stay; undo them where they were applied.'}</p>
        <Trouble error={decide.error} />
        <div className="row">
          <Go label={asking === 'approve' ? 'Approve' : 'Reject'} primary busy={decide.isPending} onClick={() => asking && decide.mutate({ act: asking, of })} />
          <Go label="Not now" onClick={() => setAsking(undefined)} />
        </div>
      </Dialog>
    </Sheet>
  )
}

const columns = (ticked: Set<string>, tick: (ids: string[], on: boolean) => void, decidable: Change[]): Column<Change>[] => [
  ...(may('editor') && decidable.length > 0 ? [{
    name: 'Choose', head: <input type="checkbox" aria-label="Choose all" checked={decidable.every((one) => ticked.has(one.id))} onChange={(event) => tick(decidable.map((one) => one.id), event.target.checked)} />,
    show: (one: Change) => decidable.includes(one) && <input type="checkbox" aria-label={`Choose the change of ${one.ad_name}`} checked={ticked.has(one.id)} onChange={(event) => tick([one.id], event.target.checked)} />,
  }] : []),
  {
    name: 'Ad', by: (one) => one.ad_name, wide: true,
    show: (one) => <>{one.ads.length > 1 ? <b>{plural(one.ads.length, 'ad')} of one ad set</b> : <Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{one.ad_name}</Link>}<span className="small soft line">{time(one.created_at)} by {one.requested_by}</span></>,
  },
  { name: 'Change', by: (one) => one.target_budget, number: true, show: asked },
  { name: 'Why', by: (one) => one.reason, wide: true, show: (one) => <>{one.reason}{one.why_not && <span className="small soft line">{one.why_not}</span>}</> },
  {
    name: 'Status', by: (one) => one.status,
    show: (one) => <><Badge of={one.status} />{one.mode !== 'live' && one.status !== 'dry_run' && <span className="small soft line">{words(one.mode)}</span>}{one.steps_left > 0 && <span className="small soft line">{plural(one.steps_left, 'step')} left</span>}
      {may('admin') && one.status === 'applied' && one.source !== 'undo' && <Undo of={one} name={one.ad_name} />}</>,
  },
]

// asked is what a change does, in money or in words.
function asked(one: Change) {
  if (one.target_status) return `${words(one.before_status ?? '?')} → ${words(one.target_status)}`
  if (one.kind === 'spend_limits') return `at most ${one.target_budget ? money(one.target_budget, one.currency) : 'any'} a day`
  const moved = one.before_budget && one.target_budget !== undefined ? (one.target_budget / one.before_budget - 1) * 100 : undefined
  return <>{money(one.before_budget, one.currency)} → <b>{money(one.target_budget, one.currency)}</b>{moved !== undefined && <span className="small soft line">{percent(moved)}</span>}</>
}

function Undo({ of, name }: { of: Change; name: string }) {
  const [open, setOpen] = useState(false)
  const undo = useSend('post', '/api/ads/changes/{id}/undo', [...renews])
  const edited = undo.error instanceof Problem && undo.error.status === 409
  const go = (force: boolean) => undo.mutate({ params: { path: { id: of.id } }, body: force ? { force: true } : {} }, { onSuccess: () => setOpen(false) })
  return (
    <>
      <Go label="Undo …" name={`Undo the change of ${name}`} onClick={() => setOpen(true)} />
      <Dialog title="Undo this change?" open={open} onClose={() => setOpen(false)}>
        <p>{name} goes back {of.before_budget !== undefined ? <>from {money(of.target_budget, of.currency)} to <b>{money(of.before_budget, of.currency)}</b> a day</> : `to ${words(of.before_status ?? 'what it was')}`}.</p>
        <Trouble error={undo.error} />
        <div className="row">
          <Go label="Undo" primary busy={undo.isPending} onClick={() => go(false)} />
          {edited && <Go label="Undo all the same" danger busy={undo.isPending} onClick={() => go(true)} />}
          <Go label="Leave it" onClick={() => setOpen(false)} />
        </div>
      </Dialog>
    </>
  )
}

export type Listed = Answer<'/api/ads/changes'>
