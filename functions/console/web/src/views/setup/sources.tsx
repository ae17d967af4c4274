// Any other CRM or tool: a door of its own, signed by a secret.
import { useMutation } from '@tanstack/react-query'
import { newKey, withoutNulls } from '@geminivideo/ml-api'
import { useState } from 'react'
import { client } from '../../api/client'
import { queries, useLoose } from '../../api/query'
import { Empty, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { time } from '../../parts/format'
import { Table } from '../../parts/table'
import { Copy } from './hubspot'

interface Source { source: string; name: string; created_at?: string; last_received_at?: string; previous_secret_until?: string; revoked_at?: string }
interface Made { source: string; secret: string; name?: string }
const path = '/api/connections/deals'

type Call = (path: string, init: unknown) => Promise<{ data: unknown }>
const write = async (method: 'POST' | 'DELETE', to: string, body?: unknown) =>
  withoutNulls((await (client[method] as Call)(to, { body, params: { header: { 'Idempotency-Key': newKey() } } })).data)

export function SourcesPage() {
  const found = useLoose<{ connections?: Source[]; sources?: Source[] }>(path)
  const [name, setName] = useState('')
  const [made, setMade] = useState<Made>()
  const renew = () => queries.invalidateQueries({ queryKey: [path] })
  const make = useMutation({ mutationFn: () => write('POST', path, { name: name.trim() }), onSuccess: (told) => { setMade(told as Made); setName(''); return renew() } })
  const rotate = useMutation({ mutationFn: (source: string) => write('POST', `${path}/${source}/rotate`, {}), onSuccess: (told, source) => { setMade({ ...(told as Made), source }); return renew() } })
  const remove = useMutation({ mutationFn: (source: string) => write('DELETE', `${path}/${source}`), onSuccess: renew })
  return (
    <>
      <Sheet title="Connect another CRM or tool">
        <p className="small soft">It sends its deals by POST, signed by Standard Webhooks, to an address of its own; they end in the same ledger as HubSpot’s.</p>
        <form className="row" onSubmit={(event) => { event.preventDefault(); make.mutate() }}>
          <Field label="Called"><input required maxLength={200} value={name} onChange={(event) => setName(event.target.value)} placeholder="Pipedrive" /></Field>
          <Go label="Make an address" submit primary busy={make.isPending} error={make.error} />
        </form>
        {made && <Notice mood="warn"><p>Send deals here. The secret is shown this once.</p><Copy text={`${location.origin}/webhooks/deals/${made.source}`} /><Copy text={made.secret} /></Notice>}
      </Sheet>
      <Load of={found} what="the sources">{(told) => {
        const sources = (told?.sources ?? told?.connections ?? []).filter((one) => !one.revoked_at)
        if (sources.length === 0) return <Sheet><Empty title="No other source" hint="HubSpot needs none of this." /></Sheet>
        return (
          <Sheet flush title="Sources">
            <Table caption="Sources" rows={sources} id={(one) => one.source} columns={[
              { name: 'Called', by: (one) => one.name, show: (one) => <><b>{one.name}</b><span className="id line">/webhooks/deals/{one.source}</span></> },
              { name: 'Made', by: (one) => one.created_at, minor: true, show: (one) => time(one.created_at) },
              { name: 'Last received', by: (one) => one.last_received_at, minor: true, show: (one) => time(one.last_received_at) },
              { name: 'Secret', head: <span className="visually-hidden">Secret</span>, show: (one) => <div className="row"><Go label="New secret" name={`New secret of ${one.name}`} busy={rotate.isPending} onClick={() => rotate.mutate(one.source)} /><Go label="Revoke" name={`Revoke ${one.name}`} danger busy={remove.isPending} onClick={() => remove.mutate(one.source)} /></div> },
            ]} />
            {(rotate.error ?? remove.error) && <Notice mood="bad" alert>{(rotate.error ?? remove.error)?.message}</Notice>}
          </Sheet>
        )
      }}</Load>
    </>
  )
}
