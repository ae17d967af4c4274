// A report of ads as CSV: looked through first, then imported.
import { useMutation } from '@tanstack/react-query'
import { newKey } from '@geminivideo/ml-api'
import { useRef, useState } from 'react'
import { Link } from 'wouter'
import { client } from '../../api/client'
import { invalidate, useGet, type Answer } from '../../api/query'
import { useParam } from '../../parts/address'
import { Field, Go, Notice, Sheet, Tiles } from '../../parts/basic'
import { money, number, plural, sentence } from '../../parts/format'
import { Table } from '../../parts/table'

type Report = Answer<'/api/ads/import', 'post'>

export function ImportPage() {
  const accounts = useGet('/api/accounts').data?.accounts ?? []
  const [account, setAccount] = useParam('account')
  const [worth, setWorth] = useParam('worth')
  const [file, setFile] = useState<File>()
  const [checked, setChecked] = useState<Report>()
  const [done, setDone] = useState<Report>()
  const key = useRef('')
  const forget = () => { setChecked(undefined); setDone(undefined); key.current = newKey() }
  const send = useMutation<Report, Error, boolean>({
    mutationFn: async (dryRun) => {
      if (!file) throw new Error('Choose a report first.')
      const form = new FormData() // the file comes last: it is read as it arrives
      if (account) form.append('account_id', account)
      form.append('file', file)
      const { data } = await (client.POST as (path: string, init: unknown) => Promise<{ data: unknown }>)('/api/ads/import', {
        body: form, bodySerializer: (body: unknown) => body, params: { query: { dry_run: dryRun, ...(worth !== '' && { conversion_value: Number(worth) }) }, header: dryRun ? {} : { 'Idempotency-Key': key.current } },
      })
      return data as Report
    },
    onSuccess: async (told, dryRun) => {
      if (dryRun) setChecked(told)
      else { setDone(told); setChecked(undefined); await invalidate('/api/campaigns', '/api/campaigns/{id}/ads', '/api/accounts') }
    },
  })
  const changes = (checked?.imported ?? 0) + (checked?.updated ?? 0)
  return (
    <>
      <Sheet>
        <p>Take in a report of ads as CSV: an Ads Manager export, or any table with ad_id, impressions, clicks and spend. It is checked first, and rows that are wrong are named by their line.</p>
        <form className="row" onSubmit={(event) => { event.preventDefault(); forget(); send.mutate(true) }}>
          <Field label="Report, CSV" broad><input type="file" accept=".csv,text/csv" required onChange={(event) => { setFile(event.target.files?.[0]); forget() }} /></Field>
          {accounts.length > 1 && <Field label="Ad account"><select value={account} onChange={(event) => { setAccount(event.target.value); forget() }}><option value="">as the report says</option>{accounts.map((one) => <option key={one.account_id} value={one.account_id}>{one.name || one.account_id}</option>)}</select></Field>}
          <Field label="A conversion without a value is worth" hint="Empty: the account’s setting."><input type="number" min="0" step="any" value={worth} onChange={(event) => { setWorth(event.target.value); forget() }} /></Field>
          <Go label="Check the file" submit primary busy={send.isPending && send.variables} error={send.variables ? send.error : undefined} />
        </form>
      </Sheet>
      <div className="stack" aria-live="polite">
        {checked && (
          <>
            <ReportSheets told={checked} verb="Would be imported" />
            <Notice>Nothing has been written yet.</Notice>
            <Go label="Import" primary disabled={changes === 0} busy={send.isPending && !send.variables} error={send.variables ? undefined : send.error} onClick={() => send.mutate(false)} />
          </>
        )}
        {done && <><ReportSheets told={done} verb="Imported" /><p><Link className="button" href="/campaigns">See the campaigns</Link></p></>}
      </div>
    </>
  )
}

function ReportSheets({ told, verb }: { told: Report; verb: string }) {
  const [errors, ignored] = [told.errors ?? [], told.ignored_columns ?? []]
  return (
    <>
      <Tiles of={[['Rows', number(told.rows)], [`${verb}: new`, number(told.imported)], ['Known, updated', number(told.updated)], ['Of these the same', number(told.unchanged)], ['Rejected', number(told.rejected)], ['New ads', number(told.new_ads)]]} />
      {told.conversion_value !== undefined && told.conversions_without_value > 0 && <Notice>{plural(told.conversions_without_value, 'conversion')} without a value {told.conversions_without_value === 1 ? 'counts' : 'count'} {money(told.conversion_value, told.currency)} each, as an estimate.</Notice>}
      {told.conversion_value === undefined && told.conversions_without_value > 0 && <Notice mood="warn">{plural(told.conversions_without_value, 'conversion')} without a value count 0: say above what one is worth.</Notice>}
      {(told.notes ?? []).map((note) => <Notice key={note}>{sentence(note)}</Notice>)}
      {errors.length > 0 && (
        <Sheet flush title="Rejected rows">
          {told.errors_truncated && <p className="inner soft small">The first {plural(errors.length, 'row')} of {number(told.rejected)}.</p>}
          <Table caption="Rejected rows" param="rejected" rows={errors} id={(one) => `${one.line}/${one.column}/${one.reason}`} columns={[
            { name: 'Line', by: (one) => one.line, number: true, show: (one) => number(one.line) },
            { name: 'Column', by: (one) => one.column, show: (one) => one.column ?? '–' },
            { name: 'Reason', by: (one) => one.reason, wide: true, show: (one) => one.reason },
          ]} />
        </Sheet>
      )}
      <Sheet><details><summary>How the columns were read</summary>
        <ul className="chips">{Object.entries(told.columns).map(([ours, theirs]) => <li key={ours}><span className="soft">{theirs} →</span> {ours}</li>)}</ul>
        {ignored.length > 0 && <p className="small soft">Not used: {ignored.join(', ')}</p>}
      </details></Sheet>
    </>
  )
}
