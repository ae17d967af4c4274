// What the stages of a CRM stand for: a form over HubSpot's or another source's.
import { useState } from 'react'
import type { Answer, Input } from '../../api/query'
import { useUnsaved } from '../../parts/address'
import { Badge, Field, Go, Notice } from '../../parts/basic'
import { money, plural, share, words } from '../../parts/format'

type Stages = NonNullable<Input<'/api/connections/hubspot/stages', 'put'>['stages']>

export function Mapping({ of: mapping, save, busy, error, revalued }: {
  of: Answer<'/api/connections/hubspot/stages'>; save: (stages: Stages, saved: () => void) => void; busy: boolean; error?: Error | null; revalued?: number
}) {
  const [edits, setEdits] = useState(new Map<string, string>())
  useUnsaved(edits.size > 0)
  return (
    <form className="stack" onSubmit={(event) => {
      event.preventDefault()
      save([...edits].map(([key, to]) => {
            const [pipeline_id = '', stage_id = ''] = key.split('\n')
            const stage = mapping.pipelines.flatMap((one) => one.stages.map((two) => ({ ...two, pipeline_id: one.pipeline_id }))).find((one) => one.pipeline_id === pipeline_id && one.stage_id === stage_id)
            if (to === '+new') return { pipeline_id, stage_id, stage_name: (stage?.label ?? stage_id).toLowerCase().replaceAll(/[^a-z0-9]+/g, '_').replaceAll(/^_|_$/g, ''), value: stage?.offer_value, confidence: stage?.probability }
            return { pipeline_id, stage_id, stage_name: to === '' ? null : to }
          }), () => setEdits(new Map()))
    }}>
      {mapping.unmapped.length > 0 && <Notice mood="warn">{plural(mapping.unmapped.length, 'stage')} with deals {mapping.unmapped.length === 1 ? 'stands' : 'stand'} for nothing yet; their deals are valued 0.</Notice>}
      <p className="small soft">An average deal is worth {money(mapping.average_deal, mapping.currency)}; a stage that is offered as new starts at its probability of that.</p>
      {mapping.pipelines.map((pipeline) => (
        <fieldset key={pipeline.pipeline_id} className="stack">
          <legend>{pipeline.label || pipeline.pipeline_id}</legend>
          <div className="grid">{pipeline.stages.map((stage) => {
            const key = `${pipeline.pipeline_id}\n${stage.stage_id}`
            return (
              <Field key={key} label={<>{stage.label || stage.stage_id} <Badge mood={stage.status === 'mapped' ? 'good' : stage.status === 'prefilled' ? '' : 'warn'}>{stage.status}</Badge></>} hint={`${plural(stage.deals, 'deal')}${stage.probability !== undefined ? `, ${share(stage.probability)} likely` : ''}`}>
                <select value={edits.get(key) ?? stage.stage_name ?? ''} onChange={(event) => setEdits(new Map(edits).set(key, event.target.value))}>
                  <option value="">stands for nothing</option>
                  {mapping.stages.map((own) => <option key={own.stage_name} value={own.stage_name}>{words(own.stage_name)}, {money(own.value, mapping.currency)}</option>)}
                  {!stage.stage_name && stage.offer_value !== undefined && <option value="+new">a stage of its own, {money(stage.offer_value, mapping.currency)}</option>}
                </select>
              </Field>
            )
          })}</div>
        </fieldset>
      ))}
      <Go label="Save the mapping" submit primary disabled={edits.size === 0} busy={busy} error={error} done={revalued !== undefined && `Saved. ${plural(revalued, 'deal')} revalued.`}>
        {edits.size > 0 && <button type="button" onClick={() => setEdits(new Map())}>Take back</button>}
      </Go>
    </form>
  )
}
