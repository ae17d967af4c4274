// Any other CRM or tool: an address of its own, signed by a secret, and what its stages stand for.
import { useState } from 'react'
import { useGet, useSend } from '../../api/query'
import { useParam } from '../../parts/address'
import { Copy, Empty, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { time } from '../../parts/format'
import { Table } from '../../parts/table'
import { Mapping } from './mapping'

const renews = ['/api/connections/deals'] as const

export function SourcesPage() {
  const found = useGet('/api/connections/deals')
  const [name, setName] = useState('')
  const [shown, setShown] = useState<{ source: string; secret?: string }>()
  const [chosen, setChosen] = useParam('source')
  const make = useSend('post', '/api/connections/deals', [...renews])
  const rotate = useSend('post', '/api/connections/deals/{source}/rotate', [...renews])
  const remove = useSend('delete', '/api/connections/deals/{source}', [...renews])
  return (
    <>
      <Sheet title="Connect another CRM or tool">
        <p className="small soft">It sends its deals by POST, signed by Standard Webhooks, to an address of its own; they end in the same ledger as HubSpot’s.</p>
        <form className="row" onSubmit={(event) => { event.preventDefault(); make.mutate({ body: { name: name.trim() } }, { onSuccess: (made) => { setShown(made); setName('') } }) }}>
          <Field label="Called"><input required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} placeholder="Pipedrive" /></Field>
          <Go label="Make an address" submit primary busy={make.isPending} error={make.error} />
        </form>
        {shown?.secret && <Notice mood="warn"><p>Send deals here. The secret is shown this once.</p><Copy text={`${location.origin}/webhooks/deals/${shown.source}`} /><Copy text={shown.secret} /></Notice>}
      </Sheet>
      <Load of={found} what="the sources">{(listed) => {
        const sources = listed.sources.filter((one) => !one.revoked_at)
        if (sources.length === 0) return <Sheet><Empty title="No other source" hint="HubSpot needs none of this." /></Sheet>
        const open = sources.find((one) => one.source === chosen)
        return (
          <>
            <Sheet flush title="Sources">
              <Table caption="Sources" rows={sources} id={(one) => one.source} columns={[
                { name: 'Called', by: (one) => one.name, show: (one) => <><b>{one.name}</b><span className="id line">/webhooks/deals/{one.source}</span></> },
                { name: 'Made', by: (one) => one.created_at, minor: true, show: (one) => time(one.created_at) },
                { name: 'Last deal', by: (one) => one.last_report_at, minor: true, show: (one) => (one.last_report_at ? time(one.last_report_at) : 'none yet') },
                {
                  name: 'Actions', head: <span className="visually-hidden">Actions</span>, show: (one) => <div className="row">
                    <Go label="Stages" name={`Stages of ${one.name}`} onClick={() => setChosen(one.source)} />
                    <Go label="New secret" name={`New secret of ${one.name}`} busy={rotate.isPending} onClick={() => rotate.mutate({ params: { path: { source: one.source } } }, { onSuccess: setShown })} />
                    <Go label="Revoke" name={`Revoke ${one.name}`} danger busy={remove.isPending} onClick={() => remove.mutate({ params: { path: { source: one.source } } })} />
                  </div>,
                },
              ]} />
              {(rotate.error ?? remove.error) && <Notice mood="bad" alert>{(rotate.error ?? remove.error)?.message}</Notice>}
            </Sheet>
            {open && <Stages key={open.source} source={open.source} name={open.name} />}
          </>
        )
      }}</Load>
    </>
  )
}

/** Stages says what the stages that a source has named stand for. */
function Stages({ source, name }: { source: string; name: string }) {
  const found = useGet('/api/connections/deals/{source}/stages', { path: { source } })
  const put = useSend('put', '/api/connections/deals/{source}/stages', ['/api/connections/deals/{source}/stages', '/api/deals/funnel', '/api/campaigns'])
  return (
    <Sheet title={`What the stages of ${name} stand for`}>
      <Load of={found} what="the stages">{(mapping) => (mapping.pipelines.length === 0
        ? <Empty title="No stage yet" hint="A stage appears here with the first deal that names it." />
        : <Mapping of={mapping} busy={put.isPending} error={put.error} revalued={put.data?.revalued_deals}
            save={(stages, saved) => put.mutate({ params: { path: { source } }, body: { stages } }, { onSuccess: saved })} />)}</Load>
    </Sheet>
  )
}
