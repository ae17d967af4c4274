// The proof beside it: what the same method would have brought on the account's own past days.
import { useParam } from '../../parts/address'
import { useSend } from '../../api/query'
import { may } from '../../auth/session'
import { Bar, Field, Go, Notice, Sheet } from '../../parts/basic'
import { day, money, number, share, times, words } from '../../parts/format'
import { Table } from '../../parts/table'

export function Backtest({ account }: { account: string }) {
  const [days, setDays] = useParam('days', '30')
  const test = useSend('post', '/api/ml/battle-hardened/backtest')
  if (!may('editor')) return null
  const told = test.data?.account_id === account ? test.data : undefined
  const most = Math.max(...(told?.outcomes.map((one) => one.interval.high) ?? []), 0.01)
  return (
    <Sheet title="Would it have paid? The backtest">
      <p className="soft small">Goes through the account’s own past, splits each day’s money by what was known on that day, and estimates what it would have brought.</p>
      <form className="row" onSubmit={(event) => { event.preventDefault(); test.mutate({ body: { account_id: account, days: Number(days) } }) }}>
        <Field label="Days back"><input type="number" min="1" max="90" required value={days} onChange={(event) => setDays(event.target.value)} /></Field>
        <Go label="Run the backtest" submit busy={test.isPending} error={test.error} />
      </form>
      {told && (
        <div className="stack" role="status">
          {told.reason && <Notice mood="warn">{told.reason}</Notice>}
          {told.outcomes.length > 0 && (
            <>
              <p>{day(told.from)} to {day(told.to)}: {money(told.spend, told.currency)} on {number(told.num_ads)} ads, {number(told.days_replayed)} days gone through.</p>
              <Table caption="Backtest" param="test" rows={told.outcomes} id={(one) => one.policy} columns={[
                { name: 'Way of splitting', show: (one) => <b>{words(one.policy)}</b> },
                { name: 'Value', number: true, by: (one) => one.estimated_value, show: (one) => money(one.estimated_value, told.currency) },
                { name: 'Return', number: true, by: (one) => one.return, show: (one) => times(one.return) },
                { name: 'Range', number: true, show: (one) => <>{money(one.interval.low, told.currency, true)} – {money(one.interval.high, told.currency, true)}<Bar className="range" from={one.interval.low / most} share={(one.interval.high - one.interval.low) / most} /></> },
                { name: 'Money moved', number: true, minor: true, show: (one) => share(one.moved) },
              ]} />
            </>
          )}
          {told.notes.map((note) => <p key={note} className="small soft">{note}</p>)}
        </div>
      )}
    </Sheet>
  )
}
