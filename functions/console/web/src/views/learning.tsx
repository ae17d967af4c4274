// The learning cycle: run it and watch its steps, and see over the cycles whether it gets better.
import { useEffect, useMemo } from 'react'
import { Link } from 'wouter'
import { useGet, useLoose, useSend, type Answer } from '../api/query'
import { may } from '../auth/session'
import { useParam } from '../parts/address'
import { Badge, Empty, Facts, Field, Go, Load, Notice, Sheet, View } from '../parts/basic'
import { Chart } from '../parts/lazychart'
import { ago, money, number, plural, share, time, words } from '../parts/format'
import { Table, type Column } from '../parts/table'

type Cycle = Answer<'/api/ml/self-learning-cycle/{cycle_id}'>
type Step = NonNullable<Cycle['steps']>[number]
type Learned = Answer<'/api/ml/self-learning-cycle'>

const titles: Record<string, string> = {
  fetch_actuals: 'Fetch what really happened', calculate_accuracy: 'Compare it with what was predicted', auto_retrain: 'Retrain the models', compound_learning: 'Find patterns of what works',
  auto_promote: 'Promote what proved better', cross_learning: 'Learn across accounts', rag_indexing: 'Index new winners',
}

export function LearningView() {
  const accounts = useGet('/api/accounts')
  return (
    <View title="Learning" lead="Every hour the system compares what it predicted with what happened, and corrects itself. Run a cycle now and watch its steps.">
      <Load of={accounts} what="your accounts">{({ accounts: all }) => (all.length === 0
        ? <Sheet><Empty title="No ad account yet" hint="Connect Meta or import a report first." to={['Set-up', '/setup']} /></Sheet>
        : <Account accounts={all} />)}</Load>
    </View>
  )
}

function Account({ accounts }: { accounts: { account_id: string; name: string }[] }) {
  const [account, setAccount] = useParam('account', accounts[0]?.account_id ?? '')
  const [cycleId, setCycleId] = useParam('cycle')
  const history = useGet('/api/ml/self-learning-cycle', { query: { account_id: account } })
  const newest = (history.data?.cycles ?? []).reduce<Point | undefined>((a, b) => (!a || b.cycle_started_at > a.cycle_started_at ? b : a), undefined)
  const last = cycleId || newest?.cycle_id
  return (
    <>
      {accounts.length > 1 && <div className="row"><Field label="Account"><select value={account} onChange={(event) => { setCycleId(''); setAccount(event.target.value) }}>{accounts.map((one) => <option key={one.account_id} value={one.account_id}>{one.name || one.account_id}</option>)}</select></Field></div>}
      <div className="two">
        <Sheet title="The cycle">
          {may('editor') && <Run account={account} started={setCycleId} />}
          {last ? <Steps id={last} /> : <p className="soft">No cycle has run for this account yet.</p>}
        </Sheet>
        <Schedules />
      </div>
      <Load of={history} what="the cycles so far">{(told) => ((told.cycles ?? []).length > 0 ? <Trends told={told} open={setCycleId} /> : null)}</Load>
    </>
  )
}

function Run({ account, started }: { account: string; started: (id: string) => void }) {
  const [bar, setBar] = useParam('threshold', '80')
  const run = useSend('post', '/api/ml/self-learning-cycle', ['/api/ml/self-learning-cycle'])
  // The answer comes when the cycle is done or after 50 seconds: meanwhile the history says which one runs.
  const running = useGet('/api/ml/self-learning-cycle', { query: { account_id: account, limit: 1 } }, { enabled: run.isPending, refetchInterval: 1000, staleTime: 0 })
  const now = run.isPending ? (running.data?.cycles ?? []).find((one) => one.status === 'running')?.cycle_id : run.data?.cycle_id
  useEffect(() => { if (now) started(now) }, [now]) // eslint-disable-line react-hooks/exhaustive-deps -- each cycle is named once
  return (
    <form className="row" onSubmit={(event) => { event.preventDefault(); run.mutate({ body: { account_id: account, trigger_retrain: true, accuracy_threshold: Number(bar) / 100 } }) }}>
      <Field label="Retrain below an accuracy of, %"><input type="number" min="0" max="100" required value={bar} onChange={(event) => setBar(event.target.value)} /></Field>
      <Go label="Run learning cycle" submit primary busy={run.isPending} error={run.error} />
    </form>
  )
}

function Steps({ id }: { id: string }) {
  const found = useGet('/api/ml/self-learning-cycle/{cycle_id}', { path: { cycle_id: id } }, { refetchInterval: (query) => (query.state.data?.status === 'running' ? 1000 : false) })
  return (
    <Load of={found} what="the cycle">{(cycle) => (
      <div className="stack">
        <p role="status"><Badge of={cycle.status} /> started {ago(cycle.cycle_started_at)}{cycle.duration_seconds !== undefined && `, took ${cycle.duration_seconds.toFixed(1)} s`}</p>
        <ol className="steps">{(cycle.steps ?? []).map((step) => (
          <li key={step.step} className={step.status}>
            <span>{step.step}</span>
            <span><b>{titles[step.name] ?? words(step.name)}</b><span className="small line">{figures(step)}</span>{step.reason && <span className="small soft line">{step.reason}</span>}</span>
            <Badge of={step.status} />
          </li>
        ))}</ol>
      </div>
    )}</Load>
  )
}

const told = new Set(['step', 'name', 'status', 'reason', 'started_at', 'completed_at'])

// figures is whatever a step counted, in words.
const figures = (step: Step) => Object.entries(step).filter(([key, value]) => !told.has(key) && ['number', 'boolean'].includes(typeof value)).map(([key, value]) => {
  if (typeof value === 'boolean') return `${words(key)}: ${value ? 'yes' : 'no'}`
  return `${words(key)}: ${/accuracy|coverage|error|rate|calibration/.test(key) && Math.abs(value as number) <= 1 ? share(value as number, 1) : number(value as number)}`
}).join(' · ')

type Point = Learned['cycles'][number]

function Trends({ told, open }: { told: Learned; open: (id: string) => void }) {
  const cycles = useMemo(() => [...(told.cycles ?? [])].sort((a, b) => Date.parse(a.cycle_started_at) - Date.parse(b.cycle_started_at)), [told])
  const x = useMemo(() => cycles.map((one) => Date.parse(one.cycle_started_at) / 1000), [cycles])
  const quality = useMemo(() => [
    { label: 'Accuracy', colour: 'accent' as const, values: cycles.map((one) => one.accuracy ?? null), show: (v: number | null) => share(v, 1) },
    { label: 'Accuracy in value', colour: 'ink' as const, values: cycles.map((one) => one.value_accuracy ?? null), show: (v: number | null) => share(v, 1) },
    { label: 'Calibration: how often the range held', colour: 'warn' as const, dashed: true, values: cycles.map((one) => one.interval_coverage ?? null), show: (v: number | null) => share(v, 1) },
  ], [cycles])
  const found = useMemo(() => [
    { label: 'New patterns', colour: 'accent' as const, values: cycles.map((one) => one.new_patterns), show: number },
    { label: 'Ads promoted', colour: 'warn' as const, values: cycles.map((one) => one.promoted), show: number },
  ], [cycles])
  const { money: moved } = told
  return (
    <>
      <div className="two">
        <Sheet title="Accuracy and calibration">{cycles.every((one) => one.accuracy === undefined && one.value_accuracy === undefined && one.interval_coverage === undefined)
          ? <p className="soft">No prediction has come to its outcome yet: its ad must run, and its conversions must have had time to arrive.</p>
          : cycles.length > 1 ? <Chart label="Accuracy and calibration by cycle" x={x} series={quality} /> : <p className="soft">A line appears from the second cycle on.</p>}</Sheet>
        <Sheet title="Patterns and promotions">{cycles.length > 1 ? <Chart label="New patterns and promotions by cycle" x={x} series={found} /> : <p className="soft">A line appears from the second cycle on.</p>}</Sheet>
      </div>
      <div className="two">
        <Sheet title="What it has found out">
          {(told.patterns ?? []).length === 0 ? <p className="soft">No pattern yet: it takes enough ads with and without a trait.</p> : (
            <ul className="list">{(told.patterns ?? []).map((one) => <li key={`${one.feature}/${one.value}/${one.metric}`}>{one.sentence}</li>)}</ul>
          )}
        </Sheet>
        <Sheet title="What changed because of it">
          <Facts of={[['Changes made', number(moved.applied_changes)], ['Money moved a day', money(moved.applied_budget_per_day, moved.currency)], ['Still open', number(moved.open_changes)], ['In dry run', number(moved.dry_run_changes)]]} />
        </Sheet>
      </div>
      <Sheet flush title="All cycles">
        <Table caption="Cycles" rows={cycles} id={(one) => one.cycle_id} sorted="-Started" columns={columns(open, moved.currency)} />
      </Sheet>
    </>
  )
}

const columns = (open: (id: string) => void, currency: string): Column<Point>[] => [
  { name: 'Started', by: (one) => one.cycle_started_at, show: (one) => <button type="button" className="plain" onClick={() => open(one.cycle_id)}>{time(one.cycle_started_at)}</button> },
  { name: 'Status', by: (one) => one.status, show: (one) => <Badge of={one.status} /> },
  { name: 'Accuracy', number: true, by: (one) => one.accuracy, show: (one) => share(one.accuracy, 1) },
  { name: 'Model', minor: true, show: (one) => (one.model_promoted ? <Badge mood="good">a better one</Badge> : one.triggered ? 'retrained, kept' : '–') },
  { name: 'Patterns', number: true, minor: true, by: (one) => one.new_patterns, show: (one) => number(one.new_patterns) },
  { name: 'Promoted', number: true, minor: true, by: (one) => one.promoted, show: (one) => number(one.promoted) },
  { name: 'Moved a day', number: true, minor: true, by: (one) => one.budget_moved_per_day, show: (one) => money(one.budget_moved_per_day, currency) },
]

interface Schedule { name: string; cron: string; time_zone: string; paused?: boolean; next_runs?: string[]; source: string }

function Schedules() {
  const found = useLoose<{ schedules: Schedule[] }>('/api/schedules', { enabled: may('admin') })
  if (!may('admin')) return <Sheet title="Schedules"><p className="soft">When cycles, sweeps and syncs run is set by an admin.</p></Sheet>
  return (
    <Sheet title="Schedules" beside={<Link href="/setup/schedules">Change them</Link>}>
      <Load of={found} what="the schedules">{(told) => (told && told.schedules.length > 0
        ? <Facts of={told.schedules.map((one) => [words(one.name), `${one.paused ? 'paused' : one.next_runs?.[0] ? `next ${time(one.next_runs[0])}` : one.cron}${one.source === 'tenant' ? ', your own' : ''}`])} />
        : <Notice>{plural(0, 'schedule')}: everything runs by the system’s own.</Notice>)}</Load>
    </Sheet>
  )
}
