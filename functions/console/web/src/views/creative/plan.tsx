// A plan, scene by scene: what to film, what it is borrowed from, what is expected of it; to be copied or taken along.
import { useState } from 'react'
import { Link, useParams } from 'wouter'
import { useAdNames } from '../../api/ads'
import { useGet, type Answer } from '../../api/query'
import { Badge, Facts, Go, Load, Notice, Sheet, View } from '../../parts/basic'
import { number, share, time, times, words } from '../../parts/format'
import { Table } from '../../parts/table'

type Plan = Answer<'/api/titan/director/plans/{id}'>

export function PlanView() {
  const { id = '' } = useParams()
  const plan = useGet('/api/titan/director/plans/{id}', { path: { id } })
  return <Load of={plan} what="the plan">{(one) => <Shown key={id} plan={one} />}</Load>
}

/** written is the plan as text, for a script or an e-mail. */
export function written(plan: Plan): string {
  const scenes = (plan.scenes ?? []).map((scene, i) => [
    `${i + 1}. ${scene.start_seconds}–${scene.end_seconds} s, ${words(scene.purpose)}`, `   Seen: ${scene.shot}`, scene.on_screen_text && `   On screen: ${scene.on_screen_text}`, `   Said: ${scene.voiceover}`,
  ].filter(Boolean).join('\n'))
  return [
    `${words(plan.kind)} of ${time(plan.created_at)}`, plan.rationale, `Hook (${words(plan.hook.type)}): ${plan.hook.text}. ${plan.hook.direction}`,
    ...(plan.fixes ?? []).map((fix) => `Change ${words(fix.feature).toLowerCase()} from ${fix.now} to ${fix.to}: ${fix.change}`),
    ...scenes, `Call to action: ${plan.cta.text}`, `Caption: ${plan.caption}`,
  ].join('\n\n')
}

function Export({ plan }: { plan: Plan }) {
  const [copied, setCopied] = useState<'yes' | Error>()
  const save = (text: string, type: string, ending: string) => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([text], { type }))
    link.download = `plan-${plan.plan_id}.${ending}`
    link.click()
    URL.revokeObjectURL(link.href)
  }
  return (
    <div className="row">
      <Go label="Copy as text" done={copied === 'yes' && 'Copied.'} error={copied instanceof Error ? copied : undefined}
        onClick={() => void navigator.clipboard.writeText(written(plan)).then(() => setCopied('yes'), () => setCopied(new Error('The browser does not let this page copy: save it as text instead.')))} />
      <button type="button" onClick={() => save(written(plan), 'text/plain', 'txt')}>Save as text</button>
      <button type="button" onClick={() => save(JSON.stringify(plan, null, 2), 'application/json', 'json')}>Save as JSON</button>
    </div>
  )
}

function Shown({ plan }: { plan: Plan }) {
  const name = useAdNames([...(plan.winners ?? []).map((one) => one.ad_id), ...(plan.scenes ?? []).flatMap((one) => one.from_ads ?? []), ...(plan.ad_id ? [plan.ad_id] : [])])
  const { planned, prediction } = plan
  return (
    <View title={`${words(plan.kind)} of ${time(plan.created_at)}`} crumbs={[['Creative', '/creative']]} beside={<Badge of={plan.kind} />}
      lead={plan.ad_id ? <>In place of <Link href={`/ads/${encodeURIComponent(plan.ad_id)}`}>{name(plan.ad_id)}</Link>.</> : undefined}>
      <Export plan={plan} />
      {plan.fallback_reason && <Notice>The template wrote it: {plan.fallback_reason}.</Notice>}
      {plan.note && <Notice>{plan.note}</Notice>}
      <Sheet title="What it is">
        <p>{plan.rationale}</p>
        <Facts of={[
          ['Verdict', <><Badge of={prediction.decision} /> {prediction.reason ?? prediction.recommendation}</>],
          ['Expected CTR', `${share(prediction.predicted_ctr, 2)}${planned ? `; planned like this ${share(planned.predicted_ctr, 2)}` : ''}`],
          ['Hook', <><b>{words(plan.hook.type)}:</b> {plan.hook.text} <span className="soft">{plan.hook.direction}</span></>], ['Pacing', `${words(plan.pacing.type)}, a cut every ${number(plan.pacing.seconds_per_cut)} s`],
          ['Call to action', `${words(plan.cta.type)}: ${plan.cta.text}`], ['Caption', plan.caption], ['Written by', plan.generated_by],
        ]} />
        {(plan.fixes ?? []).length > 0 && <><h3>What to change</h3><ul>{(plan.fixes ?? []).map((fix) => <li key={fix.feature}><b>{words(fix.feature)} {fix.now} → {fix.to}</b> {fix.change}</li>)}</ul></>}
      </Sheet>
      <Sheet title="Scene by scene">
        {(plan.scenes ?? []).map((scene, i) => (
          <section key={i} className="scene stack">
            <h3>{number(scene.start_seconds)}–{number(scene.end_seconds)} s <Badge>{words(scene.purpose)}</Badge></h3>
            <Facts of={[['Seen', scene.shot], scene.on_screen_text ? ['On screen', scene.on_screen_text] : null, ['Said', scene.voiceover], (scene.from_ads ?? []).length > 0 && ['Borrowed from', (scene.from_ads ?? []).map(name).join(', ')]]} />
          </section>
        ))}
      </Sheet>
      {(plan.winners ?? []).length > 0 && (
        <Sheet flush title="The winners it goes by">
          <Table caption="Winners" rows={plan.winners ?? []} id={(one) => one.ad_id} columns={[
            { name: 'Winner', wide: true, show: (one) => <><Link href={`/ads/${encodeURIComponent(one.ad_id)}`}>{name(one.ad_id)}</Link><span className="small soft line">{(one.borrowed ?? []).join(', ') || 'for comparison'}</span></> },
            { name: 'Hook', show: (one) => words(one.hook_type ?? '–') },
            { name: 'Alike', number: true, minor: true, show: (one) => share(one.similarity) },
            { name: 'ROAS', number: true, show: (one) => times(one.pipeline_roas) },
            { name: 'CTR', number: true, minor: true, show: (one) => share(one.ctr, 2) },
          ]} />
        </Sheet>
      )}
    </View>
  )
}
