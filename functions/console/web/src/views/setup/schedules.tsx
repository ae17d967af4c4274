// When cycles, sweeps and syncs run: by the system's own times, or by the company's.
import { useMutation } from '@tanstack/react-query'
import { newKey } from '@geminivideo/ml-api'
import { useState } from 'react'
import { client } from '../../api/client'
import { queries, useLoose } from '../../api/query'
import { useUnsaved } from '../../parts/address'
import { Badge, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { time } from '../../parts/format'

interface Schedule { name: string; cron: string; time_zone: string; paused?: boolean; next_runs?: string[]; source: 'tenant' | 'global' }
const titles: Record<string, string> = { fatigue: 'Looking for tired ads', sync: 'Reading Meta’s figures', learning: 'The learning cycle' }

export function SchedulesPage() {
  const found = useLoose<{ schedules: Schedule[] }>('/api/schedules')
  return <Load of={found} what="the schedules">{(told) => <>{(told?.schedules ?? []).map((one) => <One key={one.name + one.cron} schedule={one} />)}{told === null && <Notice>This deployment has no schedules of its own: everything runs by the system’s.</Notice>}</>}</Load>
}

function One({ schedule }: { schedule: Schedule }) {
  const [cron, setCron] = useState(schedule.cron)
  const [zone, setZone] = useState(schedule.time_zone)
  const [paused, setPaused] = useState(Boolean(schedule.paused))
  useUnsaved(cron !== schedule.cron || zone !== schedule.time_zone || paused !== Boolean(schedule.paused))
  const put = useMutation({
    mutationFn: () => (client.PUT as (path: string, init: unknown) => Promise<unknown>)(`/api/schedules/${schedule.name}`, { body: { cron, time_zone: zone, paused }, params: { header: { 'Idempotency-Key': newKey() } } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['/api/schedules'] }),
  })
  return (
    <Sheet title={titles[schedule.name] ?? schedule.name} beside={<><Badge>{schedule.source === 'tenant' ? 'your own times' : 'the system’s times'}</Badge>{schedule.paused && <Badge mood="warn">paused</Badge>}</>}>
      {!schedule.paused && schedule.next_runs && <p className="small soft">Next: {schedule.next_runs.map((one) => time(one)).join(' · ')}</p>}
      <form className="row" onSubmit={(event) => { event.preventDefault(); put.mutate() }}>
        <Field label="Times, as cron" hint="minute hour day month weekday; every 15 minutes at most"><input value={cron} onChange={(event) => setCron(event.target.value)} required spellCheck={false} /></Field>
        <Field label="Time zone"><input value={zone} onChange={(event) => setZone(event.target.value)} required list="zones" /></Field>
        <label className="check"><input type="checkbox" checked={paused} onChange={(event) => setPaused(event.target.checked)} />Paused</label>
        <Go label="Save" name={`Save the times of ${titles[schedule.name] ?? schedule.name}`} submit primary busy={put.isPending} error={put.error} done={put.isSuccess && 'Saved.'} />
      </form>
      <datalist id="zones">{['UTC', Intl.DateTimeFormat().resolvedOptions().timeZone, 'America/New_York', 'America/Chicago', 'America/Los_Angeles', 'Europe/London', 'Europe/Berlin'].map((one) => <option key={one} value={one} />)}</datalist>
    </Sheet>
  )
}
