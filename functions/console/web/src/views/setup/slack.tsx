// The tenant's Slack channel: what is posted there and when, and a test message.
import { useState } from 'react'
import { useGet, useSend, type Answer } from '../../api/query'
import { useUnsaved } from '../../parts/address'
import { Badge, Facts, Field, Go, Load, Notice, Sheet } from '../../parts/basic'
import { time, words } from '../../parts/format'

type Channel = Answer<'/api/connections/slack'>

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

export function SlackPage() {
  const found = useGet('/api/connections/slack')
  return <Load of={found} what="the Slack channel">{(channel) => <Form channel={channel} />}</Load>
}

function Form({ channel }: { channel: Channel }) {
  const put = useSend('put', '/api/connections/slack', ['/api/connections/slack'])
  const test = useSend('post', '/api/connections/slack/test', [])
  const [url, setUrl] = useState('')
  const [atOnce, setAtOnce] = useState(channel.at_once)
  const [daily, setDaily] = useState(channel.daily)
  const [weekly, setWeekly] = useState(channel.weekly)
  const [hour, setHour] = useState(String(channel.hour))
  const [weekday, setWeekday] = useState(String(channel.weekday))
  const [zone, setZone] = useState(channel.time_zone ?? '')
  const [kinds, setKinds] = useState(new Set(channel.kinds))
  const edited = url !== '' || atOnce !== channel.at_once || daily !== channel.daily || weekly !== channel.weekly || hour !== String(channel.hour) ||
    weekday !== String(channel.weekday) || zone !== (channel.time_zone ?? '') || [...kinds].sort().join() !== [...channel.kinds].sort().join()
  useUnsaved(edited && !put.isSuccess)
  const save = (disabled?: boolean) => put.mutate({ body: {
    ...(url.trim() && { url: url.trim() }), ...(zone.trim() && { time_zone: zone.trim() }), ...(disabled && { disabled }),
    at_once: atOnce, daily, weekly, hour: Number(hour), weekday: Number(weekday), kinds: [...kinds],
  } }, { onSuccess: () => setUrl('') })
  const answer = test.data
  return (
    <>
      <Sheet title="What goes to Slack" beside={channel.configured && <Badge mood={channel.enabled ? 'good' : 'bad'}>{channel.enabled ? 'on' : 'off'}</Badge>}>
        {channel.configured && <Facts of={[
          ['Last message', time(channel.last_sent_at)], channel.next_daily && ['Next daily summary', time(channel.next_daily)], channel.next_weekly && ['Next weekly summary', time(channel.next_weekly)],
          channel.failing_since && ['Failing since', `${time(channel.failing_since)}; it is switched off after a week of that`], channel.last_error && ['Slack said', channel.last_error],
          channel.disabled_reason && ['Off because', channel.disabled_reason],
        ]} />}
        <form className="stack" onSubmit={(event) => { event.preventDefault(); save() }}>
          <Field label="Address of the incoming webhook" hint={channel.configured ? 'A secret, never shown. Empty: it stays as it is.' : 'In Slack: Apps, Incoming Webhooks, Add to a channel.'}>
            <input type="url" required={!channel.configured} value={url} onChange={(event) => setUrl(event.target.value)} placeholder="https://hooks.slack.com/services/…" autoComplete="off" />
          </Field>
          <label className="check"><input type="checkbox" checked={atOnce} onChange={(event) => setAtOnce(event.target.checked)} />Notices within a minute</label>
          <label className="check"><input type="checkbox" checked={daily} onChange={(event) => setDaily(event.target.checked)} />A summary of each day</label>
          <label className="check"><input type="checkbox" checked={weekly} onChange={(event) => setWeekly(event.target.checked)} />A summary of each week</label>
          <div className="row">
            <Field label="Summaries at, hour"><input type="number" min="0" max="23" required value={hour} onChange={(event) => setHour(event.target.value)} /></Field>
            <Field label="The weekly one on"><select value={weekday} onChange={(event) => setWeekday(event.target.value)}>{days.map((day, n) => <option key={day} value={n}>{day}</option>)}</select></Field>
            <Field label="Time zone" hint="Empty: the first ad account’s."><input value={zone} onChange={(event) => setZone(event.target.value)} maxLength={100} /></Field>
          </div>
          <fieldset><legend>Which notices (none chosen: all)</legend>
            <div className="grid">{channel.all_kinds.map((kind) => <label key={kind} className="check"><input type="checkbox" checked={kinds.has(kind)} onChange={(event) => { const next = new Set(kinds); if (event.target.checked) next.add(kind); else next.delete(kind); setKinds(next) }} />{words(kind.replaceAll('.', ' '))}</label>)}</div>
          </fieldset>
          <Go label="Save" submit primary busy={put.isPending} error={put.error} done={put.isSuccess && 'Saved.'}>
            {channel.enabled && <Go label="Switch it off" busy={put.isPending} onClick={() => save(true)} />}
          </Go>
        </form>
      </Sheet>
      {channel.enabled && (
        <Sheet title="Test it">
          <Go label="Post a test message" busy={test.isPending} error={test.error} onClick={() => test.mutate({})} />
          {answer && <Notice mood={answer.delivered ? 'good' : 'bad'}>{answer.delivered ? 'Slack took it.' : `Slack did not take it: ${answer.reason ?? 'no reason given'}`}{answer.status !== undefined && ` It answered ${answer.status}.`}</Notice>}
        </Sheet>
      )}
    </>
  )
}
